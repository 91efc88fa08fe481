"""What tests of scans share: a few rendered ones."""

import pytest

from models.morphable_model.embedded import EmbeddedModelSettings, build_embedded_model
from models.morphable_model.model import MorphableModel
from models.rgbd.rendered_scans import RenderedScan, rendered_scans
from models.rgbd.settings import RenderedScanSettings


@pytest.fixture(scope="session")
def renderable_model() -> MorphableModel:
    """A small embedded model, built once: rendering needs its face units and skin masks."""
    return build_embedded_model(EmbeddedModelSettings(heads=200, sequences=20, sequence_frames=90))


@pytest.fixture(scope="session")
def scans(renderable_model) -> list[RenderedScan]:
    """Neutral and an expression of each of three people, turned by up to 10 degrees against their photographs."""
    settings = RenderedScanSettings(largest_turn=10.0)
    found = []
    for person in range(3):
        scanned = rendered_scans(renderable_model, person, 4, settings)
        found += [next(scanned)[2], next(scanned)[2]]
    return found
