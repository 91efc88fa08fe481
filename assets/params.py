"""`params.yaml`, validated: the only place where a number is set."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
import yaml
from pydantic import Field

from models.emotion.settings import Features, SearchSettings, WithoutFace, ZeroShotSettings
from models.emotion.stress_settings import StressSettings
from models.errors import ParamsError
from models.expression.evaluation_settings import RobustnessSettings, UnseenSettings
from models.expression.settings import (
    Augmentation,
    Hardware,
    LossWeights,
    Optimisation,
    Resolution,
    TrainingSettings,
)
from models.fitting.settings import FitSettings
from models.landmarks.settings import CorrespondenceSettings
from models.morphable_model.embedded import EmbeddedModelSettings
from models.rendering.settings import SyntheticImageSettings, SyntheticVideoSettings, TrainingFaceSettings
from models.rgbd.network_settings import RgbdEvaluationSettings, RgbdTrainingSettings
from models.rgbd.pipelines import unknown_pipelines
from models.rgbd.settings import PreparationSettings, RenderedScanSettings
from models.serving.settings import ServingSettings
from models.storage import written_whole

Share = Field(ge=0, le=1)
Count = Field(ge=1)


class Section(pydantic.BaseModel):
    """A section of `params.yaml`. A key it does not know is an error."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)


class Machine(Section):
    """What depends on the machine, and no result does."""

    workers: int = Field(0, ge=0, description="processes for work by video; 0 is one a core")
    dagster_port: int = 3000
    mlflow_port: int = 5000


class RayExecution(Section):
    """The cluster, and what a worker of it is given."""

    address: str | None = Field(description="of a running cluster; None starts one on this machine")
    workers: int = Field(ge=0, description="processes that work on videos; 0 is as many as the cluster has room for")
    cpus_per_worker: float = Field(gt=0)
    gpus_per_worker: dict[str, Annotated[float, Field(ge=0)]] = Field(description="share of a GPU, by stage")
    retries: int = Field(ge=0, description="of a video whose worker was lost")
    patience_seconds: float = Field(gt=0, description="how long to wait for a machine that has room for a worker")


class Execution(Section):
    """Where the work by video is done. No result depends on it."""

    backend: Literal["processes", "ray"]
    ray: RayExecution


@dataclass(frozen=True)
class FaceModel(EmbeddedModelSettings):
    """Which face model the project speaks in.

    Attributes
    ----------
    source : a converted model (`deepexp3d convert-model`), by its path from the project folder; None builds the
        embedded one, which all other keys are about
    """

    source: str | None = None


class SyntheticFaceVid(Section):
    """The embedded synthetic FaceVid."""

    people: int = Count
    clips_per_person: int = Count
    seed: int
    video: SyntheticVideoSettings


class SampleClips(Section):
    """Real sample clips."""

    fetch: bool


class RawVideos(Section):
    """Batches of videos."""

    videos_per_partition: int = Count


class Landmarks(Section):
    """Face detection and landmarks."""

    backend: Literal["mediapipe", "face-alignment", "recorded"]
    redetect_every: int = Count
    max_side: int = Field(ge=64)
    recorded_folder: str | None
    detection_threshold: float = Share
    presence_threshold: float = Share
    smallest_face: int = Count

    def options(self, backend: str) -> dict[str, Any]:
        """What `models.landmarks.backend.load_backend` takes beside the backend's name."""
        thresholds = {"detection_threshold": self.detection_threshold}
        return {
            "mediapipe": thresholds
            | {"presence_threshold": self.presence_threshold, "smallest_face": self.smallest_face},
            "face-alignment": thresholds,
            "recorded": {"folder": self.recorded_folder},
        }[backend]


class Tracking(Section):
    """Section III-B, false detections removal: F, K and the margin."""

    frames_wanted: int = Count
    lost_after: int = Count
    margin: float = Field(gt=0)


class Smoothing(Section):
    """Section III-B, temporal smoothing."""

    cutoff_hz: float = Field(gt=0)


class ReconstructionSheets(Section):
    """The contact sheet of every fit. No fit depends on it."""

    enabled: bool
    moments: int = Field(ge=2, le=24)
    side: int = Field(ge=48, le=512)
    jpeg_quality: int = Field(ge=1, le=95)


class Pruning(Section):
    """Section III-B, error pruning."""

    identity_deviations: float = Field(gt=0)
    identity_least: float = Field(gt=0)


class Review(Section):
    """The page on which people judge fits. No result depends on it."""

    port: int = Field(ge=1, le=65535)
    notable_deviations: float = Field(gt=0, description="from which on a figure of a fit is named as a reason")
    film_height: int = Field(ge=64, le=1080)
    film_frames: int = Field(ge=2, description="frames drawn of a video at most")
    most_upload_mb: float = Field(gt=0)


class Splits(Section):
    """Section III-C: shares of people."""

    train: float = Share
    val: float = Share
    test: float = Share
    seed: int

    @pydantic.model_validator(mode="after")
    def _sum_to_one(self):
        if abs(self.train + self.val + self.test - 1) > 1e-6:
            raise ValueError(f"train, val and test must sum to 1, not {self.train + self.val + self.test:g}")
        return self

    @property
    def fractions(self) -> dict[str, float]:
        return {"train": self.train, "val": self.val, "test": self.test}


class Shards(Section):
    """Training images."""

    frame_stride: int = Count
    jpeg_quality: int = Field(ge=1, le=100)
    chunk_mb: float = Field(gt=0)


class Training(Section):
    """A training of DeepExp3D."""

    shards: dict[str, float] = Field(min_length=1, description="stages whose images are seen, with the share of each")
    backbone: str
    input_size: int = Count
    resolutions: tuple[Resolution, ...] = Field(description="smaller images to begin with")
    landmark_input: bool = Field(description="whether the network takes the detector's landmarks beside the image")
    batch_size: int = Count
    images_per_video: int = Field(ge=1, description="images of a video in a row, for the loss of pairs")
    max_epochs: int | None
    max_steps: int | None
    max_minutes: float | None
    gradient_clip: float
    ema_decay: float = Share
    checkpoint_every_steps: int = Count
    uncertainty_weights: bool = Field(description="whether a coefficient that its fit is unsure of counts less")
    init_from: str | None = Field(description="network to start from: a shipped one's name, or a folder of the project")
    teacher: str | None = Field(description="folder of a trained network to learn from, by its path from the project")
    seed: int
    optimisation: Optimisation
    loss_weights: LossWeights
    augmentation: Augmentation
    hardware: Hardware

    def settings(self) -> TrainingSettings:
        """As `models.expression.training.train` takes them."""
        elsewhere = ("shards", "init_from", "teacher", "seed", "hardware")
        names = [name for name in type(self).model_fields if name not in elsewhere]
        return TrainingSettings(**{name: getattr(self, name) for name in names})

    @pydantic.field_validator("shards")
    @classmethod
    def _some_share(cls, shards: dict[str, float]) -> dict[str, float]:
        if min(shards.values()) < 0 or not sum(shards.values()):
            raise ValueError("shares must not be negative, nor all zero")
        return shards

    @pydantic.field_validator("resolutions")
    @classmethod
    def _a_share_for_input_size(cls, resolutions: tuple[Resolution, ...]) -> tuple[Resolution, ...]:
        if sum(resolution.share for resolution in resolutions) >= 1:
            raise ValueError("shares must sum to less than 1, for the rest is input_size's")
        return resolutions


class FourDfab(Section):
    """Synthetic scans, where 4DFAB is absent."""

    people: int = Count
    validation_people: int = Count
    frames: int = Field(ge=3)
    largest_yaw: float = Field(ge=0, le=90)
    seed: int
    image: SyntheticImageSettings


class RenderedFaces(Section):
    """Rendered faces to learn from."""

    subjects: int = Field(ge=0, description="people to train on; 0 trains on videos alone")
    validation_subjects: int = Count
    seed: int
    photographs: str | None = Field(description="folder of frontal portraits of people at rest, for their skin")
    photographs_pattern: str
    hold_out_every: int = Field(ge=0, description="every so-manieth photograph is kept from training; 0 uses all")
    jpeg_quality: int = Field(ge=1, le=100)
    chunk_mb: int = Count
    image: TrainingFaceSettings


class ShippedModels(Section):
    """Recipes of the networks that come with the project (`python -m assets.shipped_models`)."""

    renders: RenderedFaces
    networks: dict[str, Training]


class ExpressionEvaluation(Section):
    """Errors on the test people, and on rendered people of known expression."""

    batch_size: int = Count
    pictured_images: int = Count
    unseen: UnseenSettings
    robustness: RobustnessSettings


class Export(Section):
    """The network for users."""

    opset: int
    registered_name: str


class RenderedStressSet(Section):
    """Rendered stress videos; folds by person and their searches need some people."""

    people: int = Field(ge=4)
    frames: int = Field(ge=10)


class RenderedBenchmarks(Section):
    """Rendered sets in the layouts of real ones; `people` of each."""

    people: dict[str, Annotated[int, Field(ge=2)]]
    stress: RenderedStressSet | None
    seed: int
    studio: SyntheticImageSettings
    wild: SyntheticImageSettings


class BenchmarkImages(Section):
    """What is picked from a set."""

    seed: int


class EmotionClassifier(Section):
    """Section III-D."""

    folds: int = Field(ge=2)
    repeats: int = Count
    features: tuple[Features, ...] = Field(min_length=1, description="compared on the same folds")
    without_face: WithoutFace = Field(description="how photographs count in which no face is found")
    calibration_folds: int = Field(ge=0)
    seed: int
    search: SearchSettings

    @pydantic.field_validator("features")
    @classmethod
    def _own_first(cls, features: tuple[Features, ...]) -> tuple[Features, ...]:
        # The classifier that users get, and the figures beside the paper's, are of these.
        if features[0] is not Features.deepexp3d or len(set(features)) < len(features):
            raise ValueError("must begin with deepexp3d and name none twice")
        return features


class StressDetection(Section):
    """Section IV-B."""

    seed: int
    protocol: StressSettings


class RenderedScans(Section):
    """Rendered scans, where BU-3DFE is absent."""

    people: int = Field(ge=0, le=100, description="0 renders none")
    seed: int
    scan: RenderedScanSettings


class Bu3dfeScans(Section):
    """Scans, section 4.1 of the fusion paper."""

    verify: bool = Field(description="whether every mesh and image is read in full")
    rendered: RenderedScans


class DepthMaps(Section):
    """Registered depth maps, section 4.2 of the fusion paper."""

    intensities: tuple[Annotated[int, Field(ge=1, le=4)], ...] = Field(min_length=1)
    pictured_scans: int = Count
    preparation: PreparationSettings
    reconstruction_network: str = Field(
        description="DeepExp3D that reconstructs colour images where a pipeline learns from that: a shipped network's "
        "name, or a folder by its path from the project"
    )


class RgbdNetworks(Section):
    """Pipelines, sections 4.3 and 5.1 of the fusion paper."""

    pipelines: tuple[str, ...] = Field(min_length=1)
    weights: dict[Literal["resnet50", "vgg19"], str | None] = Field(description="files of ImageNet weights")
    download: bool = Field(description="whether torchvision is asked for weights that are not there")
    deepexp3d: str | None = Field(
        description="folder of a DeepExp3D that goes before the shipped one, if it is a ResNet-50, where ImageNet's "
        "weights are not at hand; None for the shipped one"
    )
    device: str
    precision: Literal["auto", "float32", "bfloat16"]
    opset: int
    seed: int
    training: RgbdTrainingSettings

    @pydantic.field_validator("pipelines")
    @classmethod
    def _known(cls, pipelines: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := unknown_pipelines(pipelines):
            raise ValueError(unknown)
        return pipelines


class RgbdEvaluation(Section):
    """Section 5.2 of the fusion paper."""

    protocol: Literal["paper", "redrawn", "all", "tenfold"]
    repeats: int | None = Field(ge=1, description="None is as often as the protocol says")
    people: int | None = Field(ge=3, description="None is as many as the protocol says")
    bootstrap: int = Count
    confidence: float = Field(gt=0, lt=1)
    seed: int

    def settings(self, training: RgbdTrainingSettings) -> RgbdEvaluationSettings:
        """As `models.rgbd.evaluation.evaluate_rgbd` takes them."""
        return RgbdEvaluationSettings(**self.model_dump(), training=training)


class ZeroShotClassifier(Section):
    """The emotion classifier that learns from renders alone and goes beside a network."""

    seed: int
    training: ZeroShotSettings


class ResultsReport(Section):
    """The report."""

    overlay_videos: int = Field(ge=0)


class ComparisonPeople(Section):
    """Rendered people on whom networks are compared. Other numbers make another set."""

    people: int = Field(ge=2)
    moments: int = Count
    largest_yaw: float = Field(ge=0, le=90)
    seed: int


class Registry(Section):
    """How a challenger is judged, and who lets it become champion."""

    approval: Literal["person", "automatic"] = Field(description="automatic promotes whatever passes the check")
    tolerance: float = Field(ge=0, description="relative growth of the error that is not called worse")
    confidence: float = Field(gt=0, lt=1)
    resamples: int = Field(ge=100)
    seed: int
    warn_after_days: float = Field(gt=0, description="age of the champion that its freshness warns of")
    stale_after_days: float = Field(gt=0)
    test_set: ComparisonPeople


class Retraining(Section):
    """When a training starts by itself."""

    cron: str
    new_videos: int = Field(ge=1, description="videos that survived pruning since the champion was trained")
    drift_bound: float = Field(gt=0, description="population stability index of their expressions")
    at_once: int = Field(ge=1, description="trainings at the same time; one GPU can do one")
    seed: int


class Automation(Section):
    """What starts by itself."""

    batches_per_run: int = Field(ge=1, description="batches of videos that one run makes, where many are new")


class Params(Section):
    """Everything in `params.yaml`. Sections are named like the stages they belong to."""

    machine: Machine
    execution: Execution
    morphable_model: FaceModel
    landmark_correspondence: CorrespondenceSettings
    synthetic_facevid: SyntheticFaceVid
    sample_clips: SampleClips
    raw_videos: RawVideos
    landmarks: Landmarks
    tracking: Tracking
    smoothing: Smoothing
    reconstruction: FitSettings
    reconstruction_sheets: ReconstructionSheets
    pruning: Pruning
    review: Review
    facevid_splits: Splits
    facevid_shards: Shards
    deepexp3d: Training
    rendered_faces: RenderedFaces
    four_dfab_samples: FourDfab
    deepexp3d_finetuned: Training
    expression_evaluation: ExpressionEvaluation
    deepexp3d_export: Export
    shipped_models: ShippedModels
    rendered_benchmarks: RenderedBenchmarks
    benchmark_images: BenchmarkImages
    emotion_classifier: EmotionClassifier
    stress_detection: StressDetection
    bu3dfe_scans: Bu3dfeScans
    depth_maps: DepthMaps
    rgbd_networks: RgbdNetworks
    rgbd_evaluation: RgbdEvaluation
    zero_shot_classifier: ZeroShotClassifier
    results_report: ResultsReport
    serving: ServingSettings
    registry: Registry
    retraining: Retraining
    automation: Automation


def load_params(path: Path | str, overrides: dict[str, Any] | None = None) -> Params:
    """Read and validate parameters; `overrides` maps dotted names to values that replace those of the file.

    Raises
    ------
    ParamsError
        The file is missing or not YAML, a key is unknown or missing, or a value is of the wrong type or out of range.
    """
    try:
        tree = yaml.safe_load(Path(path).read_text())
    except FileNotFoundError:
        raise ParamsError(f"{path}: no such file; run from the project's folder.") from None
    except yaml.YAMLError as error:
        raise ParamsError(f"{path}: not readable as YAML ({error}).") from None
    for name, value in (overrides or {}).items():
        _replace(tree, name, value, path)
    try:
        return Params.model_validate(tree)
    except pydantic.ValidationError as error:
        raise ParamsError("; ".join(_in_words(path, problem) for problem in error.errors())) from None


def _replace(tree: dict, name: str, value: Any, path: Path | str) -> None:
    *parents, last = name.split(".")
    for parent in parents:
        if not isinstance(tree.get(parent), dict):
            raise ParamsError(f"override {name}: {path} has no section '{parent}'.")
        tree = tree[parent]
    tree[last] = value


def _in_words(path: Path | str, problem: dict) -> str:
    name = ".".join(str(part) for part in problem["loc"])
    match problem["type"]:
        case "extra_forbidden" | "unexpected_keyword_argument":
            return f"{path}: unknown key '{name}'; correct its spelling or remove it"
        case "missing":
            return f"{path}: key '{name}' is missing"
        case _:
            return f"{path}: {name}: {problem['msg']}, got {problem['input']!r}"


def apply_profile(path: Path | str, profile: Path | str) -> None:
    """Write the values of a profile into a parameter file, whose comments and order stay.

    Raises
    ------
    ParamsError
        The result would not be valid; the file is left as it was.
    """
    from ruamel.yaml import YAML

    editor = YAML()
    editor.preserve_quotes = True
    tree = editor.load(Path(path))
    _merge(tree, editor.load(Path(profile)))
    with written_whole(path) as temporary:
        editor.dump(tree, temporary)
        load_params(temporary)


def _merge(tree: dict, values: dict) -> None:
    for name, value in values.items():
        if isinstance(value, dict) and isinstance(tree.get(name), dict):
            _merge(tree[name], value)
        else:
            tree[name] = value


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m assets.params PROFILE.yaml   (writes the profile's values into params.yaml)")
    apply_profile("params.yaml", sys.argv[1])
