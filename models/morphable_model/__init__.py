"""3D Morphable Models: the model, how the embedded one is built, and how others are read."""

from models.morphable_model.model import MorphableModel

__all__ = ["MorphableModel"]
