"""What can be set about a training, without any of the libraries that it takes."""

from dataclasses import dataclass

LOSSES = ("squared_l2", "l2")
SCHEDULES = ("cosine", "constant")


@dataclass(frozen=True)
class Optimisation:
    """How the weights are found.

    Attributes
    ----------
    loss : "squared_l2" (the mean over coefficients of the squared error) or "l2" (the norm itself)
    learning_rate : the highest
    weight_decay : of AdamW
    schedule : "cosine" (falls to a hundredth) or "constant"
    warm_up_steps : steps over which the learning rate rises
    """

    loss: str
    learning_rate: float
    weight_decay: float
    schedule: str
    warm_up_steps: int

    def __post_init__(self):
        if self.loss not in LOSSES:
            raise ValueError(f"loss '{self.loss}' is unknown; choose one of {', '.join(LOSSES)}.")
        if self.schedule not in SCHEDULES:
            raise ValueError(f"schedule '{self.schedule}' is unknown; choose one of {', '.join(SCHEDULES)}.")


@dataclass(frozen=True)
class LossWeights:
    """How much each kind of error counts; 0 leaves it out. See `models.expression.losses`.

    Attributes
    ----------
    coefficients : errors in standard deviations, all coefficients alike (the paper's loss)
    balanced : errors of coefficients, those that natural expression seldom uses counting as much as the others
    vertices : displacements over the head's surface
    landmarks : displacements of the 68 landmarks
    mouth, brows : how much one of their landmarks counts beside others
    pairs : errors of differences between images of one video
    teacher : distance from the output of the network to learn from, where there is one
    image_alone : all of the above but the teacher's once more, of an estimate from the image without the landmarks.
        Landmarks explain most of an expression at once, and what they explain already teaches the image's layers
        nothing: this makes them learn all that can be seen
    """

    coefficients: float = 1.0
    balanced: float = 0.0
    vertices: float = 0.0
    landmarks: float = 0.0
    mouth: float = 1.0
    brows: float = 1.0
    pairs: float = 0.0
    teacher: float = 0.0
    image_alone: float = 0.0

    def __post_init__(self):
        if min(vars(self).values()) < 0 or not any(
            (self.coefficients, self.balanced, self.vertices, self.landmarks, self.teacher)
        ):
            raise ValueError("weights of the loss must not be negative, nor all zero.")


@dataclass(frozen=True)
class Resolution:
    """A size of the images, in pixels a side, that the first `share` of a training works on."""

    input_size: int
    share: float

    def __post_init__(self):
        if not (16 <= self.input_size <= 224 and 0 <= self.share < 1):
            raise ValueError(
                f"resolution {self.input_size}, share {self.share:g}: sizes are 16 to 224, shares from 0 to below 1."
            )


@dataclass(frozen=True)
class Augmentation:
    """Strengths; zero switches a transform off. Each image draws its own values.

    Attributes
    ----------
    translation : standard deviation of a shift, as a share of the image's side
    rotation_deg : standard deviation of a rotation in the image plane
    scale : standard deviation of the logarithm of a magnification
    brightness : half width of a uniform offset, in units of full range
    contrast : half width of a uniform gain about 1
    colour : half width of a uniform gain of each channel about 1
    grey_share : share of images turned grey
    noise : highest standard deviation of pixel noise, in units of full range
    cutout_share : share of images with an occluded rectangle
    cutout_size : highest side of that rectangle, as a share of the image's side
    landmark_noise : standard deviation of the error added to each landmark by itself, pixels of the 224x224 image
    """

    translation: float
    rotation_deg: float
    scale: float
    brightness: float
    contrast: float
    colour: float
    grey_share: float
    noise: float
    cutout_share: float
    cutout_size: float
    landmark_noise: float


@dataclass(frozen=True)
class Hardware:
    """Where the training runs; no result depends on it but for rounding.

    Attributes
    ----------
    accelerator, devices, strategy, nodes : as Lightning names them, "auto" for what there is
    precision : as Lightning names it, or "auto": bf16 where the processor computes in it, else fp32
    workers : threads that decode images ahead, for each device; 0 decodes them when they are needed
    """

    accelerator: str = "auto"
    devices: int | str = "auto"
    strategy: str = "auto"
    nodes: int = 1
    precision: str = "auto"
    workers: int = 1


@dataclass(frozen=True)
class TrainingSettings:
    """What is trained, and for how long: the first of the limits that are set ends it.

    Attributes
    ----------
    backbone : a name of `models.expression.network.BACKBONES`
    input_size : side of the image the backbone works on, a divisor of 224
    landmark_input : whether the network takes the detector's landmarks beside the image; the paper's does not
    batch_size : images in a step, for each device
    max_epochs, max_steps, max_minutes : limits; None is none
    gradient_clip : highest norm of a gradient
    ema_decay : of the exponential moving average of the weights that is validated and kept; 0 keeps the weights as are
    checkpoint_every_steps : how much a killed run loses at most
    uncertainty_weights : whether a coefficient that its fit is unsure of counts less in the loss
    loss_weights : which kinds of errors make up the loss
    resolutions : smaller images to begin with, each size for a share of the steps or of the time; the rest of the
        training works on `input_size`
    images_per_video : how many images of a video come in a row, where it has as many: the pairs of `loss_weights.pairs`
    """

    backbone: str
    input_size: int
    landmark_input: bool
    batch_size: int
    max_epochs: int | None
    max_steps: int | None
    max_minutes: float | None
    gradient_clip: float
    ema_decay: float
    checkpoint_every_steps: int
    uncertainty_weights: bool
    optimisation: Optimisation
    augmentation: Augmentation
    loss_weights: LossWeights = LossWeights()
    resolutions: tuple[Resolution, ...] = ()
    images_per_video: int = 1

    def __post_init__(self):
        total = sum(resolution.share for resolution in self.resolutions)
        if total >= 1:
            raise ValueError(f"shares of the smaller resolutions sum to {total:g}; input_size needs a share as well.")

    def input_size_at(self, progress: float) -> int:
        """Side of the images when `progress`, from 0 to 1, of the training is over."""
        end = 0.0
        for resolution in self.resolutions:
            end += resolution.share
            # Sums of shares are not exact; what they mean is.
            if progress < end - 1e-9:
                return resolution.input_size
        return self.input_size
