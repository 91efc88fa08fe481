"""Settings of all fits: what is assumed of the landmarks, of faces and of time, and when to stop."""

from dataclasses import dataclass

from models.errors import FittingError


@dataclass(frozen=True)
class FitSettings:
    """Settings of a fit.

    Attributes
    ----------
    noise : expected standard deviation of a landmark coordinate, as a share of the inter-ocular distance
    noise_frames : how many frames of residuals that expectation is worth; the fit estimates every landmark's own
        standard deviation from both
    outlier_degrees : degrees of freedom of the Student t distribution of the landmark errors; small values forgive
        outliers more readily, infinity makes it a Gaussian
    landmark_bias : standard deviation of constant offsets between a detector's points and the mesh's, as a share of
        the inter-ocular distance; they are estimated with the identity and kept out of it
    acceleration_factor : multiplies the model's covariance of second differences of the expression; larger is rougher
    identity_bound, expression_bound : largest absolute coefficient, in standard deviations. The Gaussian priors
        already hold coefficients back, so the bounds only stop runaways; the papers' group, with weaker priors,
        used 0.8 and 1.5
    rigid_iterations : largest number of steps of the rigid initialisation
    iterations : largest number of Gauss-Newton steps after it
    tolerance : the fit has converged when a step moves the coefficients by less than this, root mean square, in
        standard deviations of their prior
    coarse_frames : frames, evenly spread over the video, on which the fit starts and its solver is preconditioned
    """

    noise: float = 0.01
    noise_frames: float = 20.0
    outlier_degrees: float = 5.0
    landmark_bias: float = 0.01
    acceleration_factor: float = 10.0
    identity_bound: float = 4.0
    expression_bound: float = 6.0
    rigid_iterations: int = 6
    iterations: int = 12
    tolerance: float = 0.01
    coarse_frames: int = 64

    def __post_init__(self):
        positive = (
            "noise noise_frames outlier_degrees acceleration_factor identity_bound expression_bound "
            "rigid_iterations iterations tolerance coarse_frames"
        ).split()
        for name in positive:
            if not getattr(self, name) > 0:
                raise FittingError(f"fit settings: {name} is {getattr(self, name)}; it must be above zero.")
        if not self.landmark_bias >= 0:
            raise FittingError(f"fit settings: landmark_bias is {self.landmark_bias}; it must be zero or above.")
