"""What can be set about the networks for colour, depth and both, and how they are judged, without their libraries."""

from dataclasses import dataclass, field

PRECISIONS = ("auto", "float32", "bfloat16")


@dataclass(frozen=True)
class EarlyStopping:
    """When a training ends before its last epoch. The paper trains to the end.

    Attributes
    ----------
    patience : epochs without a new least loss after which it ends
    enough : a mean loss of the training images, over an epoch, at which nothing is left to learn; 0 for never
    people : training people who are held back, and whose loss is watched instead of the training images'; the weights
        of the best epoch are kept then. 0 watches the training images, and everybody is learned from
    """

    patience: int = 50
    enough: float = 0.0
    people: int = 0

    def __post_init__(self):
        if self.patience < 1 or self.enough < 0 or self.people < 0:
            raise ValueError("early stopping needs a patience of one epoch or more, and no negative numbers.")


@dataclass(frozen=True)
class RgbdTrainingSettings:
    """How a pipeline is trained; the defaults are section 5.1's where it tells.

    Attributes
    ----------
    epochs : at most
    batch_size : images of a mini-batch (not stated). An epoch is cut into batches of about this size, all alike: batch
        normalisation makes nothing of a last batch of one
    learning_rate : of Adam, constant
    early_stopping : None for the paper's training
    fusion_levels : sizes of the two levels that learn from the joined representations (not stated). 500 and 300 lead
        from the 1000 (ResNet-50) or 800 (VGG-19) joined units to six in steps that the paper's other levels have
    fine_tune_backbones : train the pretrained layers on, from images instead of stored features; wants a GPU
    backbone_learning_rate : of pretrained layers then: the paper's 0.003 would undo what they know
    """

    epochs: int = 1000
    batch_size: int = 64
    learning_rate: float = 0.003
    early_stopping: EarlyStopping | None = None
    fusion_levels: tuple[int, ...] = (500, 300)
    fine_tune_backbones: bool = False
    backbone_learning_rate: float = 1e-4

    def __post_init__(self):
        if self.epochs < 1 or self.batch_size < 2:
            raise ValueError(
                f"epochs {self.epochs}, batch_size {self.batch_size}: at least one epoch, and two images to normalise."
            )
        if self.learning_rate <= 0 or self.backbone_learning_rate <= 0:
            raise ValueError("learning rates must be positive.")
        if not self.fusion_levels or min(self.fusion_levels) < 1:
            raise ValueError("fusion_levels: name the size of one level at least.")


@dataclass(frozen=True)
class RgbdHardware:
    """Where trainings run; results depend on it by rounding alone, and not on `workers` at all.

    Attributes
    ----------
    device : "auto" (a GPU where there is one), or as torch names it
    precision : of convolutions and products in training, a name of `PRECISIONS`; "auto" is bfloat16, in half the time,
        where the processor computes in it and the pipeline has convolutions to train, else float32
    workers : repeats that are trained side by side, in processes of their own
    threads : of each of them
    """

    device: str = "auto"
    precision: str = "float32"
    workers: int = 1
    threads: int = 1

    def __post_init__(self):
        if self.precision not in PRECISIONS:
            raise ValueError(f"precision '{self.precision}' is unknown; choose one of {', '.join(PRECISIONS)}.")
        if min(self.workers, self.threads) < 1:
            raise ValueError("workers and threads: at least one.")


@dataclass(frozen=True)
class RgbdEvaluationSettings:
    """How pipelines are compared.

    Attributes
    ----------
    protocol : a key of `models.rgbd.protocol.PROTOCOLS`
    repeats : how often people are divided anew; None is as often as the protocol says
    people : who take part; None is as many as the protocol says
    seed : of people, divisions and trainings
    training : how each of them is trained
    bootstrap : draws behind the intervals of differences
    confidence : of those intervals
    """

    protocol: str = "paper"
    repeats: int | None = None
    people: int | None = None
    seed: int = 17
    training: RgbdTrainingSettings = field(default_factory=RgbdTrainingSettings)
    bootstrap: int = 2000
    confidence: float = 0.95

    def __post_init__(self):
        if (self.repeats is not None and self.repeats < 1) or self.bootstrap < 1 or not 0 < self.confidence < 1:
            raise ValueError("at least one repeat and one bootstrap draw, and a confidence between 0 and 1.")
