"""What can be set about stress detection, without the libraries that it takes."""

from dataclasses import dataclass, field

from models.emotion.settings import SearchSettings

CLASSIFIERS = ("phase", "all")
# Of folds, drawn frames and searches, where no project says another.
SEED = 5


@dataclass(frozen=True)
class StressSettings:
    """The protocol of section IV-B, and what it leaves open.

    Attributes
    ----------
    frame_stride : every so-manieth frame of a video is looked at
    max_side : of a frame, pixels; larger ones are shrunk
    left_out_phases : not taken into account, neither in training nor in testing
    folds, repeats : of the cross-validation by subject
    classifiers : "phase" trains one for each phase, "all" one for all phases, whose answers are counted by phase. The
        paper does not say which
    training_frames : at most so many train a classifier of frames, as many of each video
    tuning_frames : at most so many of them take part in the search of its hyper-parameters
    calibration_folds : of `EcocSvm`, for the probabilities of frames
    search : of the hyper-parameters, inside each training part
    """

    frame_stride: int = 5
    max_side: int = 1280
    left_out_phases: tuple[str, ...] = ("1",)
    folds: int = 5
    repeats: int = 10
    classifiers: str = "phase"
    training_frames: int = 1500
    tuning_frames: int = 600
    calibration_folds: int = 2
    search: SearchSettings = field(
        default_factory=lambda: SearchSettings(
            coding="one_vs_all",
            class_weight=None,
            kernels=("rbf", "linear"),
            smallest=0.001,
            largest=1000.0,
            evaluations=12,
            initial_evaluations=6,
            folds=3,
        )
    )

    def __post_init__(self):
        if self.classifiers not in CLASSIFIERS:
            raise ValueError(f"classifiers is '{self.classifiers}'; choose one of {', '.join(CLASSIFIERS)}")
        least = {
            **{"frame_stride": 1, "max_side": 64, "folds": 2, "repeats": 1},
            **{"training_frames": 10, "tuning_frames": 10, "calibration_folds": 0},
        }
        for name, value in least.items():
            if getattr(self, name) < value:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be {value} or more")
