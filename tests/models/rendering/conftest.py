"""A small embedded model, built once: rendering needs its face units and skin masks."""

import pytest

from models.morphable_model import MorphableModel
from models.morphable_model.embedded import EmbeddedModelSettings, build_embedded_model


@pytest.fixture(scope="session")
def embedded_model() -> MorphableModel:
    return build_embedded_model(EmbeddedModelSettings(heads=200, sequences=20, sequence_frames=90))
