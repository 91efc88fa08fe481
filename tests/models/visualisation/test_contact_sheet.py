"""Contact sheets of fits."""

import dataclasses
import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import VideoError
from models.visualisation.contact_sheet import (
    BETWEEN,
    DOUBTFUL,
    EXPRESSIVE,
    draw_contact_sheet,
    expression_strength,
    facial_movements,
    telling_moments,
)
from models.visualisation.curves import Curve, draw_curves


def sheet_of(filmed_fit, video=None, **changes):
    settings = {"moments": 6, "side": 64} | changes
    return draw_contact_sheet(
        video or filmed_fit.video,
        "head",
        filmed_fit.fit,
        filmed_fit.landmarks,
        filmed_fit.timestamps,
        filmed_fit.model,
        **settings,
    )


def test_the_strongest_expression_and_the_largest_residual_are_shown_and_the_rest_is_not_left_out(filmed_fit):
    strength = expression_strength(filmed_fit.model, filmed_fit.fit.expression)
    moments = telling_moments(strength, filmed_fit.fit.residual, 6)
    shown = {reason: [m.position for m in moments if m.reason == reason] for reason in (EXPRESSIVE, DOUBTFUL, BETWEEN)}
    assert len(moments) == 6
    assert 20 in shown[EXPRESSIVE]
    assert shown[DOUBTFUL] == [33]
    assert len(shown[BETWEEN]) == 3
    assert max(np.diff([0, *(moment.position for moment in moments), 39])) <= 12


def test_extremes_that_are_neighbours_are_shown_once():
    residual = np.full(100, 0.01)
    residual[40:44] = 0.05
    moments = telling_moments(np.zeros(100), residual, 8)
    assert sum(abs(moment.position - 42) <= 3 for moment in moments) == 1


@given(frames=st.integers(1, 300), count=st.integers(2, 12), seed=st.integers(0, 5), missing=st.floats(0, 0.9))
def test_moments_are_in_order_different_and_have_landmarks(frames, count, seed, missing):
    rng = np.random.default_rng(seed)
    residual = np.where(rng.random(frames) < missing, np.nan, rng.random(frames))
    positions = [moment.position for moment in telling_moments(rng.random(frames), residual, count)]
    assert positions == sorted(set(positions))
    assert np.isfinite(residual[positions]).all()
    assert len(positions) == min(count, np.isfinite(residual).sum())


def test_movements_are_nothing_at_rest_and_grow_with_the_expression(small_model):
    expression = np.stack([np.zeros(28), small_model.expression_std, 2 * small_model.expression_std])
    for values in facial_movements(small_model, expression).values():
        assert values[0] == pytest.approx(0)
        assert values[2] == pytest.approx(2 * values[1])


def test_a_dropped_jaw_opens_the_mouth_and_a_smile_widens_it():
    from models.morphable_model.embedded import EmbeddedModelSettings, build_embedded_model

    model = build_embedded_model(EmbeddedModelSettings(heads=300, sequences=40, sequence_frames=120))
    names = [str(name) for name in model.extras["unit_names"]]
    unit = {name: model.extras["units"][names.index(name)].astype(float) for name in names}
    smile = unit["mouthSmileLeft"] + unit["mouthSmileRight"]
    blink = unit["eyeBlinkLeft"] + unit["eyeBlinkRight"]
    expressions = np.stack([unit["jawOpen"], smile, blink, unit["browInnerUp"]])
    moved = facial_movements(model, expressions)
    assert np.argmax(moved["mouth open"]) == 0
    assert np.argmax(moved["mouth wide"]) == 1
    assert np.argmin(moved["eyes open"]) == 2
    assert np.argmax(moved["brows raised"]) == 3
    assert min(moved["mouth open"][0], moved["mouth wide"][1], -moved["eyes open"][2]) > 0.03
    assert np.argmin(expression_strength(model, expressions)[:3]) == 2


def test_a_sheet_has_a_column_a_moment_and_shows_the_video(filmed_fit):
    sheet = sheet_of(filmed_fit)
    assert sheet.dtype == np.uint8
    assert sheet.shape[1] == 6 * 68 - 4
    filmed = sheet[84 : 84 + 64, :64].reshape(-1, 3).astype(int)
    assert (np.abs(filmed - (40, 90, 160)).max(1) < 12).mean() > 0.1
    assert np.array_equal(sheet, sheet_of(filmed_fit))


def test_a_fit_of_one_frame_has_a_sheet(filmed_fit):
    fit = filmed_fit.fit
    one = dataclasses.replace(
        fit,
        **{name: getattr(fit, name)[:1] for name in ("expression", "rotation", "scale", "translation", "residual")},
    )
    short = dataclasses.replace(
        filmed_fit, fit=one, landmarks=filmed_fit.landmarks[:1], timestamps=filmed_fit.timestamps[:1]
    )
    assert sheet_of(short).ndim == 3


def test_another_video_than_the_fitted_one_is_noticed(filmed_fit, tmp_path):
    with pytest.raises(VideoError, match=r"gone\.mp4: there is no such file"):
        sheet_of(filmed_fit, tmp_path / "gone.mp4")
    later = dataclasses.replace(filmed_fit, timestamps=filmed_fit.timestamps + 1.0)
    with pytest.raises(VideoError, match=r"head\.mp4: lacks \d+ frames that were fitted"):
        sheet_of(later)
    shutil.copy(filmed_fit.video, tmp_path / "moved.mp4")
    assert sheet_of(filmed_fit, tmp_path / "moved.mp4").ndim == 3


def test_a_curve_goes_through_its_values_and_stops_where_there_are_none():
    times = np.linspace(0, 1, 101)
    values = np.where((times > 0.4) & (times < 0.6), np.nan, times)
    picture = draw_curves([Curve("", values, (200, 0, 0))], times, (120, 260))
    rows, columns = np.nonzero((picture[..., 0] > 180) & (picture[..., 1] < 120))
    plot = (columns - 40) / (252 - 40)
    assert np.abs((112 - rows) / (112 - 18) - plot).max() < 0.05
    assert ((plot > 0.43) & (plot < 0.57)).sum() == 0
    assert plot.max() > 0.95


def test_curves_without_a_single_value_leave_an_empty_frame():
    picture = draw_curves([Curve("residual", np.full(5, np.nan), (0, 0, 0))], np.arange(5.0), (80, 200))
    assert picture.shape == (80, 200, 3)
