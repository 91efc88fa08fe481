"""How the points that a landmark detector finds differ from a face model's landmarks, and how the difference varies."""

from dataclasses import dataclass, fields, replace

import numpy as np


@dataclass(frozen=True)
class DetectorErrors:
    """Errors of a detector's L points in the head's axes, for a model with n_e expression components.

    `detected = model + offsets + response e + person a + image b + noise` with a drawn once a person, b once an image,
    both of independent standard normal numbers. Neighbouring points err together and along few patterns: a fit that
    takes their errors for independent believes 68 points to be far better than they are.

    Attributes
    ----------
    offsets : (L, 3) mm, the same for everybody
    response : (L, 3, n_e) mm per mm of an expression coefficient: what a detector shows of a movement beyond what the
        mesh does; negative where it understates
    person : (L, 3, p) mm, patterns that differ between people and last, the strongest first
    image : (L, 3, m) mm, patterns that differ from image to image, the strongest first
    noise : (L,) mm, standard deviation of a coordinate's remaining error
    """

    offsets: np.ndarray
    response: np.ndarray
    person: np.ndarray
    image: np.ndarray
    noise: np.ndarray

    @classmethod
    def none(cls, points: int, expression_size: int) -> "DetectorErrors":
        """A detector that finds the model's own landmarks."""
        return cls(
            offsets=np.zeros((points, 3)),
            response=np.zeros((points, 3, expression_size)),
            person=np.zeros((points, 3, 0)),
            image=np.zeros((points, 3, 0)),
            noise=np.zeros(points),
        )

    def with_fewer_patterns(self, image: int, person: int) -> "DetectorErrors":
        """The strongest patterns of images and of people; what the other ones of images explained counts as noise."""
        # An image shows two of three axes.
        lost = (self.image[..., image:] ** 2).sum((1, 2)) / 2
        noise = np.sqrt(self.noise**2 + lost)
        return replace(self, image=self.image[..., :image], person=self.person[..., :person], noise=noise)

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays by name, for a file."""
        return {item.name: np.asarray(getattr(self, item.name)) for item in fields(self)}
