"""Registered pairs of colour and depth as the networks take them, in one file."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile

import numpy as np

from models.errors import DatasetError, DeepExp3DError
from models.rgbd.cropping import colour_input, depth_input
from models.rgbd.pipelines import CLASSES, DEPTH_SIZE, EXPRESSION_SIZE
from models.storage import load_arrays, save_arrays

if TYPE_CHECKING:
    from models.rgbd.contents import Scan
    from models.rgbd.preparation import PreparedPair

COLOUR_SIZE = 224


@dataclass(frozen=True)
class RgbdSamples:
    """F registered pairs.

    Attributes
    ----------
    colour : (F, 224, 224, 3) uint8 RGB
    depth : (F, 64, 64) float32 in [0, 1], larger nearer, as `models.rgbd.cropping.depth_input` gives it: the same scale
        for everybody, so that nothing is learned from other people's faces for it; 0 where there is nothing
    labels : (F,) names out of `CLASSES`
    subjects : (F,) people
    intensities : (F,) 1 to 4
    synthetic : whether they are rendered
    depth_image : (F, 224, 224) uint8, the same depth as finely as the range images have it, 255 the nearest: what
        networks see that expect photographs. None where nobody asks for it
    reconstructed_depth : (F, 64, 64) as `depth`, of reconstructions of the colour images; all 0 where there is none
    expression : (F, 28) of the colour images, standard deviations; all 0 where no face was found
    """

    colour: np.ndarray
    depth: np.ndarray
    labels: np.ndarray
    subjects: np.ndarray
    intensities: np.ndarray
    synthetic: bool = False
    depth_image: np.ndarray | None = None
    reconstructed_depth: np.ndarray | None = None
    expression: np.ndarray | None = None

    def __post_init__(self):
        count = len(self.labels)
        expected = {
            "colour": (count, COLOUR_SIZE, COLOUR_SIZE, 3),
            "depth": (count, DEPTH_SIZE, DEPTH_SIZE),
            "subjects": (count,),
            "intensities": (count,),
            "depth_image": (count, COLOUR_SIZE, COLOUR_SIZE),
            "reconstructed_depth": (count, DEPTH_SIZE, DEPTH_SIZE),
            "expression": (count, EXPRESSION_SIZE),
        }
        for name, shape in expected.items():
            value = getattr(self, name)
            if value is not None and value.shape != shape:
                raise DatasetError(f"{name} of {count} samples: expected the shape {shape}, found {value.shape}.")
        if unknown := sorted(set(self.labels) - set(CLASSES)):
            raise DatasetError(f"samples show {', '.join(unknown)}; expected {', '.join(CLASSES)} alone.")

    def __len__(self) -> int:
        return len(self.labels)

    def at(self, rows: np.ndarray) -> "RgbdSamples":
        """Some of them, by number or by a mask."""
        arrays = {name: getattr(self, name) for name in (*_ARRAYS, *_FURTHER)}
        return replace(self, **{name: value[rows] for name, value in arrays.items() if value is not None})

    def save(self, path: Path | str) -> None:
        """Write them as npz."""
        arrays = {name: getattr(self, name) for name in (*_ARRAYS, *_FURTHER) if getattr(self, name) is not None}
        save_arrays(path, **arrays, synthetic=np.array(self.synthetic))

    @classmethod
    def load(cls, path: Path | str) -> "RgbdSamples":
        """Read what `save` wrote.

        Raises
        ------
        DatasetError
            The file is missing, or holds something else.
        """
        try:
            arrays = load_arrays(path)
            return cls(
                *(arrays[name] for name in _ARRAYS),
                synthetic=bool(arrays["synthetic"]),
                **{name: arrays[name] for name in _FURTHER if name in arrays},
            )
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise DatasetError(
                f"{path}: no readable samples ({error}); make the depth maps again, or give a file that they wrote."
            ) from error


_ARRAYS = ("colour", "depth", "labels", "subjects", "intensities")
_FURTHER = ("depth_image", "reconstructed_depth", "expression")
# What one pair gives.
_OF_PAIR = ("colour", "depth", "depth_image")


@dataclass(frozen=True)
class AssembledSamples:
    """Samples of scans, and what became of the others.

    Attributes
    ----------
    samples : in the order of the scans
    left_out : reason -> number of scans that could not be prepared
    problems : of each of them, what is wrong
    """

    samples: RgbdSamples
    left_out: dict[str, int]
    problems: tuple[str, ...]


def gathered_samples(
    outcomes: Iterable[tuple["Scan", Mapping[str, np.ndarray] | DeepExp3DError]], *, synthetic: bool
) -> AssembledSamples:
    """Samples out of what became of scans: images by name as `sample_of` makes them, or why there is no such pair.

    Raises
    ------
    DatasetError
        There is no pair at all.
    """
    rows, left_out, problems = [], {}, []
    for scan, outcome in outcomes:
        if isinstance(outcome, DeepExp3DError):
            reason = getattr(outcome, "reason", "scan that cannot be prepared")
            left_out[reason] = left_out.get(reason, 0) + 1
            problems.append(f"{scan.name}: {outcome}")
        else:
            rows.append((scan, outcome))
    if not rows:
        raise DatasetError(
            f"{len(problems)} scans of the six expressions were found, and none could be prepared"
            + (f": {problems[0]}" if problems else ".")
        )
    samples = RgbdSamples(
        **{name: np.stack([images[name] for _, images in rows]) for name in _OF_PAIR},
        labels=np.array([scan.emotion for scan, _ in rows]),
        subjects=np.array([scan.subject for scan, _ in rows]),
        intensities=np.array([scan.intensity for scan, _ in rows]),
        synthetic=synthetic,
    )
    return AssembledSamples(samples, left_out, tuple(problems))


def sample_of(pair: "PreparedPair") -> dict[str, np.ndarray]:
    """The face of a registered pair as networks take it: `colour` (224, 224, 3) uint8, `depth` (64, 64) float32 and
    `depth_image` (224, 224) uint8.
    """
    fine = depth_input(pair.depth, pair.box, COLOUR_SIZE)
    return {
        "colour": colour_input(pair.colour, pair.box, COLOUR_SIZE),
        "depth": depth_input(pair.depth, pair.box, DEPTH_SIZE),
        "depth_image": np.rint(255 * fine).astype(np.uint8),
    }
