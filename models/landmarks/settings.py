"""What can be set about landmarks, without the libraries that finding them takes."""

from dataclasses import dataclass

from models.rendering.settings import SyntheticImageSettings


@dataclass(frozen=True)
class CorrespondenceSettings:
    """What the offsets are learned from.

    Attributes
    ----------
    people : rendered people
    views : pictures of each
    largest_yaw : degrees to either side
    seed : of people and views
    image : how pictures are made
    shrinkage : pictures that the assumption of no offset is worth; it decides what the views do not show, mainly depth
    """

    people: int
    views: int
    largest_yaw: float
    seed: int
    image: SyntheticImageSettings
    shrinkage: float
