"""A small rendered set of stress videos in the form of SRD'15's manifest: what tests and demonstrations run on.

What its people show under stress is made up (a frown, narrowed eyes, pressed and stretched lips over whatever else
their faces do): accuracies on it say that the protocol works, and nothing about stress.
"""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np

from models.emotion.datasets.contents import SYNTHETIC
from models.emotion.stress_videos import COLUMNS, MANIFEST, PHASES
from models.morphable_model.expressions import EXPRESSION_UNITS, UNIT_GROUPS
from models.morphable_model.model import MorphableModel
from models.rendering.settings import SyntheticVideoSettings
from models.rendering.synthetic_video import filmed_subject, synthesise_video
from models.storage import written_whole
from models.video.encoding import write_video

# How strongly each group of units shows during a stressful task.
STRESS_UNITS = {"browDown": 0.9, "eyeSquint": 0.5, "mouthPress": 0.8, "mouthStretch": 0.5}


def write_rendered_stress_set(
    folder: Path | str,
    model: MorphableModel,
    *,
    people: int,
    seed: int,
    phases: tuple[str, ...] = tuple(PHASES),
    settings: SyntheticVideoSettings | None = None,
) -> None:
    """Render a neutral and a stressful task of every person in every phase, and write the manifest.

    The folder gets `manifest.csv`, `videos/*.mp4`, and a file that says that all of it is rendered.

    Parameters
    ----------
    people : how many there are
    seed : the same seed gives the same videos
    settings : of the videos; by default `SyntheticVideoSettings()`

    Raises
    ------
    ModelMismatchError
        The model cannot be rendered.
    """
    folder = Path(folder)
    settings = settings or SyntheticVideoSettings()
    stress = _stress_offset(model)
    rows = []
    for person in range(people):
        someone = filmed_subject(model, person, seed, settings)
        for number, phase in enumerate(phases):
            for stressful, label in enumerate(("non-stressful", "stressful")):
                video = synthesise_video(model, person, 2 * number + stressful, seed, settings, someone)
                video = replace(video, expression=video.expression + stressful * stress)
                name = f"videos/subject{person:02d}_phase{phase}_{label}.mp4"
                write_video(folder / name, video.images(), settings.frames_per_second)
                rows.append((name, f"subject{person:02d}", phase, f"task {2 * number + stressful + 1}", label))
    with written_whole(folder / MANIFEST) as path, open(path, "w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    with written_whole(folder / SYNTHETIC) as path:
        path.write_text("Every video here is rendered. Figures measured on them say nothing about real people.\n")


def _stress_offset(model: MorphableModel) -> np.ndarray:
    """What stress adds to the expression, (n_e,) mm."""
    activations = np.zeros(len(EXPRESSION_UNITS))
    for group, strength in STRESS_UNITS.items():
        for unit in UNIT_GROUPS[group]:
            activations[EXPRESSION_UNITS.index(unit)] = strength
    return activations @ model.extras["units"].astype(np.float64)
