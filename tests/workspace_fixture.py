"""A project folder of its own for tests, with a tiny configuration."""

import contextlib
import os
import shutil
from pathlib import Path

import yaml

from assets.workspace import Workspace

ROOT = Path(__file__).resolve().parents[1]

TINY = {
    "machine.workers": 2,
    "morphable_model.heads": 300,
    "morphable_model.sequences": 40,
    "morphable_model.sequence_frames": 120,
    "landmark_correspondence.people": 4,
    "landmark_correspondence.views": 2,
    "landmark_correspondence.poses": 1,
    "synthetic_facevid.people": 6,
    "synthetic_facevid.video.frames": 24,
    "synthetic_facevid.video.size": 192,
    "synthetic_facevid.video.interruption_share": 0.0,
    "sample_clips.fetch": False,
    "raw_videos.videos_per_partition": 4,
    "facevid_shards.frame_stride": 3,
    "deepexp3d.max_epochs": 2,
    "deepexp3d.batch_size": 8,
    "deepexp3d.input_size": 56,
    "rendered_faces.subjects": 3,
    "rendered_faces.validation_subjects": 1,
    "rendered_faces.image.images_per_subject": 3,
    "four_dfab_samples.people": 2,
    "four_dfab_samples.validation_people": 1,
    "four_dfab_samples.frames": 3,
    "deepexp3d_finetuned.max_epochs": 1,
    "deepexp3d_finetuned.batch_size": 8,
    "deepexp3d_finetuned.input_size": 56,
    "expression_evaluation.unseen.people": 2,
    "expression_evaluation.unseen.moments": 3,
    "expression_evaluation.unseen.pair_people": 1,
    "expression_evaluation.unseen.posing_people": 2,
    "expression_evaluation.robustness.people": 1,
    "expression_evaluation.robustness.occlusion": [0.3],
    "expression_evaluation.robustness.blur": [6.0],
    "expression_evaluation.robustness.resolution": [32],
    "expression_evaluation.robustness.darkness": [],
    "expression_evaluation.robustness.light": [60.0],
    "expression_evaluation.robustness.yaw": [30.0],
    "registry.test_set.people": 4,
    "registry.test_set.moments": 2,
    "registry.resamples": 200,
    "rendered_benchmarks.people": {"manifest": 6, "kdef": 4},
    "rendered_benchmarks.stress": None,
    "rendered_benchmarks.wild.size": 192,
    "rendered_benchmarks.studio.size": 192,
    "emotion_classifier.folds": 3,
    "emotion_classifier.calibration_folds": 2,
    "emotion_classifier.search.evaluations": 2,
    "emotion_classifier.search.initial_evaluations": 1,
    "emotion_classifier.search.folds": 2,
    "zero_shot_classifier.training.people": 3,
    "bu3dfe_scans.rendered.people": 3,
    "bu3dfe_scans.rendered.scan.size": 192,
    "bu3dfe_scans.rendered.scan.spacing": 3.0,
    "depth_maps.pictured_scans": 2,
    "depth_maps.preparation.range_image.size": 128,
    "depth_maps.preparation.registration.iterations": 5,
    "depth_maps.preparation.registration.relit": 0,
    "depth_maps.preparation.registration.worst_information": 0.0,
    "rgbd_networks.pipelines": ["depth"],
    "rgbd_networks.training.epochs": 1,
    "rgbd_evaluation.repeats": 1,
    "rgbd_evaluation.bootstrap": 50,
    "results_report.overlay_videos": 1,
}


def make_project(folder: Path, **overrides) -> Workspace:
    """A copy of the project at `folder`: code, pipeline and the tiny parameters; no data, no git."""
    for name in ("assets", "models", "reviews"):
        shutil.copytree(
            ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"), copy_function=_linked_if_large
        )
    for name in ("dvc.yaml", ".dvcignore"):
        shutil.copy(ROOT / name, folder / name)
    for readme in ROOT.glob("data/*/README.md"):
        (folder / readme.relative_to(ROOT)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(readme, folder / readme.relative_to(ROOT))
    for readme in ROOT.glob("data/datasets/*/README.md"):
        (folder / readme.relative_to(ROOT)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(readme, folder / readme.relative_to(ROOT))
    (folder / ".dvc").mkdir()
    (folder / ".dvc" / "config").write_text("[core]\n    no_scm = true\n    analytics = false\n")
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    for name, value in (TINY | overrides).items():
        *sections, key = name.split(".")
        section = params
        for part in sections:
            section = section[part]
        section[key] = value
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    return Workspace.open(folder)


def _linked_if_large(source: str, target: str) -> None:
    """Copy a file, but let networks be a second name of the same bytes: a hundred projects would fill the disk."""
    if Path(source).suffix in (".onnx", ".npz"):
        with contextlib.suppress(OSError):  # another file system
            os.link(source, target)
            return
    shutil.copy2(source, target)
