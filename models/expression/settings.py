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
    workers : processes that decode images, for each device
    """

    accelerator: str = "auto"
    devices: int | str = "auto"
    strategy: str = "auto"
    nodes: int = 1
    precision: str = "auto"
    workers: int = 0


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
