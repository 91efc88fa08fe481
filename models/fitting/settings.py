"""Settings of all fits: what is assumed of the landmarks, of faces and of time, and when to stop."""

from dataclasses import dataclass, fields

from models.errors import FittingError

_ZERO_OR_ABOVE = ("landmark_bias", "rest_weight", "error_patterns", "person_patterns", "error_persistence")


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
    error_patterns : how many of the patterns in which a detector errs a fit tells apart, where the model knows its
        detector; the others count as noise
    person_patterns : how many of the patterns in which its errors differ from person to person; a video's many frames
        would take the person's lasting expression for them
    error_persistence : correlation of such a share from one frame to the next at 30 frames a second, more exactly the
        double pole of its autoregression; photographs have none
    expression_inflation : multiplies the covariance of the model's expressions; 1 fits faces that move as the model's
        samples do a little better, and all others much worse
    acceleration_factor : multiplies the model's covariance of second differences of the expression; larger is rougher
    rest_weight : of the prior that most of a face is at rest most of the time, for a frame at 30 frames a second;
        0 leaves it out
    rest_width : activation of a face unit below which it counts as at rest
    rest_opposite : how much larger a movement against a unit's direction counts
    identity_bound, expression_bound : largest absolute coefficient, in standard deviations. The Gaussian priors
        already hold coefficients back, so the bounds only stop runaways: a single face unit moves a rare coefficient
        by up to 36 standard deviations. The papers' group, with weaker priors, used 0.8 and 1.5
    rigid_iterations : largest number of steps of the rigid initialisation
    iterations : largest number of Gauss-Newton steps after it
    tolerance : the fit has converged when a step moves the coefficients by less than this, root mean square, in
        standard deviations of their prior
    coarse_frames : frames, evenly spread over the video, on which the fit starts and its solver is preconditioned
    uncertainty : whether to compute the posterior standard deviation of every expression coefficient
    uncertainty_factor : by which the standard deviations are multiplied, so that intervals cover what they promise
    """

    noise: float = 0.01
    noise_frames: float = 20.0
    outlier_degrees: float = 5.0
    landmark_bias: float = 0.002
    error_patterns: int = 6
    person_patterns: int = 0
    error_persistence: float = 0.97
    expression_inflation: float = 4.0
    acceleration_factor: float = 10.0
    rest_weight: float = 0.1
    rest_width: float = 0.05
    rest_opposite: float = 4.0
    identity_bound: float = 4.0
    expression_bound: float = 8.0
    rigid_iterations: int = 6
    iterations: int = 15
    tolerance: float = 0.03
    coarse_frames: int = 64
    uncertainty: bool = False
    uncertainty_factor: float = 1.45

    def __post_init__(self):
        positive = [field.name for field in fields(self) if field.name not in (*_ZERO_OR_ABOVE, "uncertainty")]
        for name in positive:
            if not getattr(self, name) > 0:
                raise FittingError(f"fit settings: {name} is {getattr(self, name)}; it must be above zero.")
        for name in _ZERO_OR_ABOVE:
            if not getattr(self, name) >= 0:
                raise FittingError(f"fit settings: {name} is {getattr(self, name)}; it must be zero or above.")
        if not self.error_persistence < 1:
            raise FittingError(f"fit settings: error_persistence is {self.error_persistence}; it must be below one.")


# For photographs, which have no neighbours in time to average with: what was best for rendered emotions through the
# detector and on real neutral and smiling faces. Movements are allowed to be slight, since no other image repeats them.
PHOTOGRAPHS = FitSettings(
    noise=0.01,
    noise_frames=500.0,
    landmark_bias=0.025,
    error_patterns=12,
    person_patterns=12,
    expression_inflation=1.0,
    rest_weight=0.003,
)
