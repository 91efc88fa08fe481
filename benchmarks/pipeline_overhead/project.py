"""A project folder of its own for the measurements, and clips for it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import yaml

from assets.landmark_correspondence import learn_landmark_correspondence
from assets.landmark_weights import fetch_landmark_weights
from assets.morphable_model import build_morphable_model, load_model
from assets.sample_clips import fetch_sample_clips
from assets.workspace import Workspace
from models.rendering.synthetic_video import SyntheticVideoSettings, synthesise_video
from models.video.encoding import write_video

ROOT = Path(__file__).resolve().parents[2]
# A face model of few heads, as what is measured does not depend on it.
SMALL = {
    "morphable_model.heads": 300,
    "morphable_model.sequences": 40,
    "morphable_model.sequence_frames": 120,
    "landmark_correspondence.people": 4,
    "landmark_correspondence.views": 2,
    "landmark_correspondence.poses": 1,
    "sample_clips.fetch": False,
}


def make_project(folder: Path, parameters: dict) -> Workspace:
    """A copy of the code and the pipeline with the given parameters by dotted name; no data."""
    for name in ("assets", "models", "reviews"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("dvc.yaml", ".dvcignore"):
        shutil.copy(ROOT / name, folder / name)
    (folder / ".dvc").mkdir()
    (folder / ".dvc" / "config").write_text("[core]\n    no_scm = true\n    analytics = false\n")
    tree = yaml.safe_load((ROOT / "params.yaml").read_text())
    for name, value in parameters.items():
        *sections, key = name.split(".")
        section = tree
        for part in sections:
            section = section[part]
        section[key] = value
    (folder / "params.yaml").write_text(yaml.safe_dump(tree, sort_keys=False))
    return Workspace.open(folder)


def add_face_model(workspace: Workspace) -> None:
    """The face model and what the detector's points mean on it, which fits need."""
    build_morphable_model(workspace)
    learn_landmark_correspondence(workspace)


def add_inputs(workspace: Workspace) -> None:
    """What stages depend on beside the clips: DVC records no stage whose inputs are not all there."""
    fetch_landmark_weights(workspace)
    fetch_sample_clips(workspace)
    workspace.data("synthetic_facevid", "videos").mkdir(parents=True)


def write_clip(path: Path, workspace: Workspace, frames: int, size: int, rendered: int, person: int = 0) -> None:
    """A film of a rendered face: `rendered` frames there and back, until there are `frames`."""
    settings = SyntheticVideoSettings(frames=rendered, size=size, still_share=1.0, occluder_share=0.0)
    images = list(synthesise_video(load_model(workspace), person, 0, seed=4, settings=settings).images())
    write_video(path, _there_and_back(images, frames), settings.frames_per_second)


def _there_and_back(images: list[np.ndarray], frames: int) -> Iterator[np.ndarray]:
    round_trip = images + images[-2:0:-1]
    for frame in range(frames):
        yield round_trip[frame % len(round_trip)]


def write_copies(clip: Path, folder: Path, number: int) -> None:
    """So many files of the same pictures and different content: each carries its number as a comment."""
    folder.mkdir(parents=True, exist_ok=True)
    with av.open(str(clip)) as source:
        (stream,) = source.streams.video
        packets = [packet for packet in source.demux(stream) if packet.dts is not None]
        for count in range(number):
            with av.open(str(folder / f"clip{count:05d}.mp4"), "w") as copy:
                copy.metadata["comment"] = str(count)
                out = copy.add_stream_from_template(stream)
                for packet in packets:
                    packet.stream = out
                    copy.mux(packet)
