"""Expression vectors of made-up people who differ, and whose emotions do so more."""

import numpy as np
import pytest

from models.emotion.labels import EMOTIONS
from models.emotion.settings import SearchSettings


@pytest.fixture(scope="session")
def expressions():
    """Features (210, 28), labels (210,) and people (210,): 30 people, each emotion once."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(7, 28))
    person_offset = 0.3 * rng.normal(size=(30, 1, 28))
    features = (centres + person_offset + 0.8 * rng.normal(size=(30, 7, 28))).reshape(-1, 28)
    return features, np.tile(EMOTIONS, 30), np.repeat([f"person-{index}" for index in range(30)], 7)


@pytest.fixture
def quick_search() -> SearchSettings:
    return SearchSettings(
        "one_vs_all", None, ("rbf", "linear"), 1e-3, 1e3, evaluations=6, initial_evaluations=4, folds=3
    )
