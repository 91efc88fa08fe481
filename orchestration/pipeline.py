"""The pipeline as a list of steps, each a job of assets that share their partitions, in the order of the data's way."""

from dataclasses import dataclass

# Tags of a run that makes several partitions: the first and the last of them, in the order of their registration.
RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"

BENCHMARK_STAGES = ("benchmark_images", "expression_vectors", "emotion_classifier")


@dataclass(frozen=True)
class Step:
    """A job.

    Attributes
    ----------
    name, description : of the Dagster job
    assets : in order; their names are also those of the stages in `dvc.yaml`
    partitions : "" (none), "batches" of videos, or "benchmarks"
    """

    name: str
    description: str
    assets: tuple[str, ...]
    partitions: str = ""


STEPS = (
    Step(
        "prepare",
        "Face model, detector weights and what they mean on it, synthetic videos and photographs, sample clips",
        (
            *("morphable_model", "landmark_weights", "landmark_correspondence", "synthetic_facevid", "sample_clips"),
            "rendered_benchmarks",
        ),
    ),
    Step(
        "facevid_batches",
        "From video files to fitted 3DMM parameters, batch by batch",
        ("raw_videos", "landmarks", "tracked_landmarks", "reconstructions"),
        partitions="batches",
    ),
    Step(
        "facevid_dataset",
        "Pruning, splits and training shards",
        ("manual_review", "pruned_videos", "facevid_splits", "facevid_shards"),
    ),
    Step(
        "retrain",
        "Render faces, train DeepExp3D, fine-tune it, measure and export it",
        (
            *("rendered_faces", "deepexp3d", "four_dfab_samples", "deepexp3d_finetuned"),
            *("expression_evaluation", "deepexp3d_export"),
        ),
    ),
    Step(
        "review",
        "Compare the new network with the champion, and register it as challenger",
        ("frozen_test_set", "challenger_review"),
    ),
    Step(
        "promotion",
        "Bring the champion that the registry names into use, and see what is new since it was trained",
        ("champion", "expression_drift"),
    ),
    Step("emotion", "Emotion classifiers, one benchmark at a time", BENCHMARK_STAGES, partitions="benchmarks"),
    Step(
        "further_evaluations",
        "Stress, view invariance and RGB with depth, where their data sets are at hand",
        ("stress_detection", "view_invariance", "bu3dfe_scans", "depth_maps", "rgbd_networks", "rgbd_evaluation"),
    ),
    Step("report", "The tables and figures", ("results_report",)),
)

STAGE_MODULES = tuple(name for step in STEPS for name in step.assets)

# What a retraining makes anew, from the fits at hand to a challenger in the registry.
RETRAINING = tuple(
    name for step in STEPS if step.name in ("facevid_dataset", "retrain", "review") for name in step.assets
)

# Assets whose file is a source that people edit: nothing in `dvc.yaml` makes them.
SOURCES = ("manual_review",)


def stages_of(step: Step, partition: str | None = None) -> list[str]:
    """The stages of `dvc.yaml` that a step runs, for one benchmark where it has those."""
    names = [name for name in step.assets if name not in SOURCES]
    return [f"{name}@{partition}" for name in names] if step.partitions == "benchmarks" else names
