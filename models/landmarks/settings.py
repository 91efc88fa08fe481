"""What can be set about landmarks, without the libraries that finding them takes."""

from dataclasses import dataclass

from models.rendering.settings import SyntheticImageSettings


@dataclass(frozen=True)
class CorrespondenceSettings:
    """What a detector's errors are learned from.

    Attributes
    ----------
    people : rendered people
    views : directions from which each is seen
    poses : pictures of posed emotions from each direction, beside one at rest
    largest_yaw : degrees to either side
    seed : of people and views
    image : how pictures are made
    shrinkage : pictures that the assumption of no offset is worth; it decides what the views do not show, mainly depth
    response_shrinkage : the same of no response to the expression, in standard deviations of its coefficients
    patterns : largest number of patterns of error between people, and between images of one person
    """

    people: int
    views: int
    poses: int
    largest_yaw: float
    seed: int
    image: SyntheticImageSettings
    shrinkage: float
    response_shrinkage: float
    patterns: int
