"""How far expressions of one moment are apart between angles."""

from pathlib import Path

import numpy as np
import pytest

from models.emotion.datasets.contents import Photograph
from models.emotion.view_invariance import compare_views, view_figure


def photograph(subject, moment, view):
    return Photograph(Path(f"{subject}_{moment}_{view}.jpg"), "happy", subject, view=float(view), moment=moment)


def set_of(moments=40, views=(-45, 0, 45, 90), seed=0):
    """Photographs of moments of four people, and the expression of each moment, (P, 28)."""
    expressions = np.random.default_rng(seed).normal(size=(moments, 28))
    photographs = [photograph(f"s{m % 4}", f"m{m}", view) for m in range(moments) for view in views]
    return photographs, np.repeat(expressions, len(views), axis=0)


def test_the_difference_of_each_angle_is_told_with_its_share_of_the_variance():
    photographs, vectors = set_of()
    shift = {-45.0: 0.1, 0.0: 0.0, 45.0: 0.2, 90.0: 0.5}
    moved = vectors + np.array([[shift[one.view]] for one in photographs])
    result = compare_views(photographs, moved)
    assert [view.view for view in result.views] == [-45, 45, 90]
    np.testing.assert_allclose([view.mse for view in result.views], [0.01, 0.04, 0.25])
    assert [view.pairs for view in result.views] == [40, 40, 40]
    assert {view.people for view in result.views} == {4}
    frontal = vectors[::4]
    assert result.views[2].share == pytest.approx(0.25 / frontal.var(axis=0).mean())
    assert result.semi_profile.mse == pytest.approx(0.025)
    assert result.semi_profile.pairs == 80


def test_coefficients_are_told_one_by_one():
    photographs, vectors = set_of(views=(0, 45))
    vectors[1::2, 3] += 2.0
    view = compare_views(photographs, vectors).views[0]
    expected = np.zeros(28)
    expected[3] = 4.0
    np.testing.assert_allclose(view.coefficients, expected, atol=1e-12)
    assert view.coefficient_shares[3] == pytest.approx(4 / vectors[::2, 3].var())
    assert view.mse == pytest.approx(4 / 28)


def test_vectors_that_know_nothing_of_each_other_have_twice_the_variance():
    photographs, _ = set_of(moments=400, views=(0, 45))
    vectors = np.random.default_rng(1).normal(size=(800, 28))
    assert compare_views(photographs, vectors).semi_profile.share == pytest.approx(2, abs=0.1)


def test_other_moments_are_not_compared():
    photographs = [photograph("a", "one", 0), photograph("a", "two", 45), photograph("a", "one", 45)]
    vectors = np.zeros((3, 28))
    vectors[1] = 100.0
    result = compare_views(photographs, vectors)
    assert result.semi_profile.pairs == 1
    assert result.semi_profile.mse == 0
    assert result.unpaired == 1


def test_photographs_without_a_face_or_a_moment_take_no_part():
    photographs, vectors = set_of(moments=3, views=(0, 45))
    vectors[0] = np.nan
    vectors[3] = np.nan
    loose = Photograph(Path("loose.jpg"), "sad", None, view=45.0)
    result = compare_views([*photographs, loose], np.vstack([vectors, np.zeros(28)]))
    assert result.semi_profile.pairs == 1
    assert result.without_face == 2
    assert result.unpaired == 2
    assert result.photographs == 7


def test_a_set_without_pairs_has_no_figures_and_still_a_json_form():
    photographs, vectors = set_of(views=(0,))
    result = compare_views(photographs, vectors)
    assert (result.views, result.semi_profile) == ((), None)
    assert result.to_json()["semi_profile"] is None


def test_equal_frontal_photographs_give_no_share():
    photographs, vectors = set_of(views=(0, 45))
    vectors[:] = 1.0
    told = compare_views(photographs, vectors).to_json()
    assert told["semi_profile"]["share"] is None
    assert told["semi_profile"]["coefficient_shares"] == [None] * 28


def test_as_many_vectors_as_photographs_are_asked_for():
    photographs, vectors = set_of()
    with pytest.raises(ValueError, match="160 photographs need as many vectors"):
        compare_views(photographs, vectors[:-1])


def test_the_figure_has_a_bar_for_each_angle_of_each_set():
    result, fewer = compare_views(*set_of()), compare_views(*set_of(views=(0, 45)))
    (axes,) = view_figure({"RaFD": result, "KDEF": fewer}).axes
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["-45°", "+45°", "+90°"]
    assert len(axes.patches) == 4
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["RaFD", "KDEF"]
