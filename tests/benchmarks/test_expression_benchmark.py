"""The benchmark's own parts: figures under the names that others rely on, and tables that come out of them."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from benchmarks.expression import measures, tables
from models.errors import ParamsError
from models.expression.contract import NetworkContract
from models.expression.judgement import KnownFaces
from models.expression.observed_faces import ObservedFaces


class KnowingSession:
    """A network that answers what the first pixel's row of a table says, plus an error."""

    def __init__(self, contract: NetworkContract, table: np.ndarray, error: float):
        self.contract, self.table, self.error = contract, table, error
        self.expression_size = table.shape[1]

    def __call__(self, images: np.ndarray, landmarks: np.ndarray | None = None) -> np.ndarray:
        return self.table[images[:, 0, 0, 0]] + self.error


@pytest.fixture(scope="module")
def contract(small_model) -> NetworkContract:
    return NetworkContract.of(small_model, "resnet18_half", 112)


def known_faces(truth: np.ndarray, subject: list, condition: list) -> KnownFaces:
    """Faces whose first pixel is their number; the last one was not found."""
    count = len(truth)
    aligned = np.zeros((count, 224, 224, 3), np.uint8)
    aligned[:, 0, 0, 0] = np.arange(count)
    points = np.zeros((count, 68, 2), np.float32)
    points[-1] = np.nan
    fits = truth + 0.4
    fits[-1] = np.nan
    return KnownFaces(
        ObservedFaces(aligned, points, points), truth, np.array(subject), np.array(condition), fits, 2 * fits
    )


@pytest.fixture(scope="module")
def moments() -> KnownFaces:
    rng = np.random.default_rng(0)
    return known_faces(rng.normal(size=(25, 28)), np.repeat(list("abcde"), 5), ["moment"] * 25)


def test_errors_are_of_faces_that_were_found_and_by_method(contract, moments):
    session = KnowingSession(contract, moments.truth, 0.1)
    figures = measures.truth_figures(measures.answers(session, moments), moments, contract)
    assert figures["moments"] == 24
    assert figures["people"] == 5
    assert figures["mse"] == pytest.approx(0.01)
    assert figures["single_image_mse"] == pytest.approx(0.16)
    assert figures["mse_mm2"] == pytest.approx(0.01 * np.mean(contract.expression_std**2))
    assert figures["rest_mse"] == pytest.approx(np.mean(moments.truth[:-1] ** 2))
    assert 0 <= figures["identity_leakage"] <= 1


def test_views_are_compared_moment_by_moment(contract):
    rng = np.random.default_rng(1)
    truth = np.repeat(rng.normal(size=(4, 28)), 2, axis=0)
    pairs = known_faces(truth, ["a"] * 8, ["frontal", "semi-profile"] * 4)
    session = KnowingSession(contract, truth + np.where(np.arange(8) % 2, 0.3, 0.0)[:, None], 0.0)
    figures = measures.view_figures({"": measures.answers(session, pairs)[""]}, pairs, contract)
    assert figures["view_pairs"] == 3
    assert figures["view_invariance_mse"] == pytest.approx(0.09)


def test_an_answer_that_is_always_the_same_has_no_share_of_its_variance(contract):
    truth = np.zeros((4, 28))
    pairs = known_faces(truth, ["a"] * 4, ["frontal", "semi-profile"] * 2)
    figures = measures.view_figures({"": np.ones((4, 28))}, pairs, contract)
    assert figures["view_invariance_mse"] == 0
    assert "view_invariance_mse_share" not in figures


def test_one_person_alone_has_errors_and_no_leakage(contract):
    truth = np.random.default_rng(3).normal(size=(6, 28))
    known = known_faces(truth, ["a"] * 6, ["moment"] * 6)
    figures = measures.truth_figures({"": np.where(np.arange(6)[:, None] < 5, truth, np.nan)}, known, contract)
    assert figures["mse"] == 0
    assert "identity_leakage" not in figures


def test_the_london_figures_come_from_rules_that_renders_taught(contract, tmp_path):
    rng = np.random.default_rng(2)
    people = [f"{number:03d}" for number in range(20)]
    truth = 0.05 * rng.normal(size=(41, 28))
    truth[1:40:2, 0] += 1
    subject = [*np.repeat(people, 2), "x"]
    known = known_faces(truth, subject, [*["neutral", "happy"] * 20, "neutral"])
    rows = "".join(f"{name},{20 + number},{'fe' * (number % 2)}male,white\n" for number, name in enumerate(people))
    (tmp_path / "subjects.csv").write_text(f"face_id,face_age,face_gender,face_eth\n{rows}")
    figures = measures.measure_london(KnowingSession(contract, truth, 0.0), known, known, tmp_path)
    assert figures["london_people"] == 20
    assert figures["london_accuracy"] == 1.0
    assert figures["london_cosine"] > 0.9
    assert figures["london_people_gender_female"] == figures["london_people_gender_male"] == 10
    assert figures["single_image_london_spread"] == pytest.approx(figures["london_spread"])


def test_tables_show_every_method_and_leave_out_what_is_missing():
    figures = {
        "moments": 700,
        "people": 60,
        "mse": 0.05,
        "per_frame_baseline_mse": 0.3,
        "single_image_mse": 0.15,
        "robustness_found_plain": 1.0,
        "robustness_plain": 0.04,
        "robustness_found_blur_4": 0.9,
        "robustness_blur_4": 0.08,
    }
    text = tables.tables(figures)
    assert "| MSE, rendered test people, known truth | 0.050 | 0.150 | 0.300 |" in text
    assert "| blur: 4 (standard deviation, % of the inter-ocular distance) | 0.080 |  | 0.900 |" in text
    assert "London" not in text


def test_tables_go_between_the_marks_of_a_page(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"Before.\n\n{tables.BEGIN}\nstale\n{tables.END}\n\nAfter.\n")
    for _ in range(2):
        tables.write_into_page(page, "fresh")
    assert page.read_text() == f"Before.\n\n{tables.BEGIN}\n\nfresh\n\n{tables.END}\n\nAfter.\n"
    page.write_text("Nothing.")
    with pytest.raises(ParamsError, match="needs the lines"):
        tables.write_into_page(page, "fresh")


def test_the_networks_page_has_a_place_for_the_tables(tmp_path):
    page = tmp_path / "deepexp3d.md"
    shutil.copy(Path(__file__).parents[2] / "docs" / "deepexp3d.md", page)
    tables.write_into_page(page, "tables of today")
    assert page.read_text().count("tables of today") == 1
