"""A card says what was measured, and nothing else."""

import numpy as np
import pytest

from models.expression.contract import NetworkContract
from models.expression.model_card import LONDON_CREDIT, model_card, write_card

HEADINGS = (
    *("Model details", "Intended use", "Factors", "Metrics", "Evaluation data", "Training data"),
    *("Quantitative analyses", "Ethical considerations", "Caveats and recommendations"),
)


@pytest.fixture(scope="module")
def contract(small_model) -> NetworkContract:
    return NetworkContract.of(small_model, "resnet50", 224, landmark_input=True)


@pytest.fixture
def figures() -> dict[str, float]:
    return {
        "mse": 0.0512,
        "single_image_mse": 0.1534,
        "moments": 1234,
        "people": 60,
        "identity_leakage": 0.031,
        "identity_leakage_true": 0.018,
        "identity_leakage_chance": 0.017,
        "london_people": 102,
        "london_spread": 0.3051,
        "london_people_gender_female": 49,
        "london_spread_gender_female": 0.29,
        "london_offset_gender_female": 0.11,
        "london_accuracy_gender_female": 0.98,
        "robustness_plain": 0.04,
        "robustness_resolution_24": 0.11,
        "resnet50_fps": 81.4,
    }


def test_the_card_has_the_usual_headings_in_order(contract, figures):
    card = model_card("deepexp3d-resnet50", contract, figures)
    places = [card.index(f"## {heading}\n") for heading in HEADINGS]
    assert places == sorted(places)
    assert card.startswith("# deepexp3d-resnet50\n")


def test_the_card_credits_the_photographs(contract):
    card = model_card("deepexp3d-small", contract, {})
    assert LONDON_CREDIT in card
    assert "CC BY 4.0" in card


def test_figures_are_those_that_were_measured(contract, figures):
    card = model_card("deepexp3d-resnet50", contract, figures)
    assert "0.051 | 0.153 |" in card
    assert "1,234 pictures of 60 people" in card
    assert "| gender female | 49 | 0.290 | 0.110 | 0.980 |" in card
    assert "| face of 24 pixels | 0.110 |  |" in card
    assert "| end to end in video mode, frames a second | 81.4 |" in card
    assert "by guessing in 0.017" in card


def test_what_was_not_measured_is_left_out(contract):
    card = model_card("deepexp3d-small", contract, {"mse": 0.1})
    assert "None" not in card
    assert "nan" not in card
    assert "London faces by group" not in card
    assert "emotion classifier |" not in card
    assert card.count("| mean squared error") == 1


def test_the_inputs_are_those_of_the_network(contract, small_model, figures):
    assert "and its 68 landmarks" in model_card("a", contract, figures)
    assert "and its 68 landmarks" not in model_card("a", NetworkContract.of(small_model, "resnet50", 224), figures)
    assert f"{len(contract.expression_std)} coefficients" in model_card("a", contract, figures)


def test_a_card_is_written_whole(contract, figures, tmp_path):
    write_card(tmp_path / "card.md", "deepexp3d-small", contract, figures)
    assert (tmp_path / "card.md").read_text() == model_card("deepexp3d-small", contract, figures)
    assert not np.any([path.name.startswith(".") for path in tmp_path.iterdir()])
