"""What each choice of the training is worth: `python -m benchmarks.ablations --json FILE [--docs PAGE]`.

The recipe of `deepexp3d-small` on smaller images, and the same with one thing changed: each trained on the same
rendered faces, from the same seed, for the same number of images, and measured as `benchmarks.expression` measures, on
rendered people of no training set and, where `LONDON_FACES` names their folder, on the London faces. Differences count
between these rows; all of them are far from trained to the end.

Works in the project at hand: faces and networks are kept in `data/.scratch/ablations`, so that a run which was stopped
goes on where it was. The stages `landmark_correspondence` and `four_dfab_samples` come first:

    dvc repro landmark_correspondence four_dfab_samples
    LONDON_FACES=FOLDER python -m benchmarks.ablations --json FILE --docs docs/deepexp3d.md
"""

import argparse
import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assets.landmark_correspondence import load_detector_model
from assets.params import RenderedFaces, Training
from assets.rendered_faces import render_shards
from assets.training import initial_network
from assets.workspace import Workspace
from benchmarks.expression.faces import TestSets
from benchmarks.expression.measures import RENAMED, answers, measure_london
from benchmarks.expression.tables import table
from benchmarks.pages import write_between
from models.expression.alignment import template
from models.expression.export import export_onnx
from models.expression.judgement import fitted_figures, neutral_figures, truth_figures, view_figures
from models.expression.runtime import NetworkSession
from models.expression.training import train
from models.storage import written_whole

BEGIN = "<!-- benchmark: written by `python -m benchmarks.ablations --docs` -->"
END = "<!-- end of benchmark: ablations -->"

RECIPE = "shipped_models.networks.small"
RENDERS = "renders"
BASELINE = "baseline"
# Of faces that a choice must prove itself on in minutes: a quarter of the pixels sees four times as many images.
INPUT_SIZE = 56
SUBJECTS, VALIDATION_SUBJECTS, IMAGES = 2_000, 100, 40_000


@dataclass(frozen=True)
class Ablation:
    """One thing that is different.

    Attributes
    ----------
    note : what, in words
    changes : values of the recipe, by their dotted names below it
    shards : what is learned from: "renders", or a stage of the project
    after : another ablation whose network is trained on
    share : of the images that others see
    """

    note: str
    changes: dict[str, Any] = field(default_factory=dict)
    shards: str = RENDERS
    after: str | None = None
    share: float = 1.0


_JITTER = {f"augmentation.{name}": 0.0 for name in ("translation", "rotation_deg", "scale", "landmark_noise")}
_GENTLE = {"optimisation.learning_rate": 0.0003, "optimisation.warm_up_steps": 30}

ABLATIONS: dict[str, Ablation] = {
    BASELINE: Ablation("the recipe"),
    "other-seed": Ablation("the recipe, another seed: what chance does", {"seed": 1}),
    "image-only": Ablation(
        "the image without landmarks, as the paper has it", {"landmark_input": False, "loss_weights.image_alone": 0.0}
    ),
    "no-image-alone": Ablation("no second estimate from the image alone", {"loss_weights.image_alone": 0.0}),
    "paper-loss": Ablation(
        "the paper's loss: the norm of the coefficients' error",
        {"optimisation.loss": "l2", "loss_weights.coefficients": 1.0, "loss_weights.balanced": 0.0},
    ),
    "unbalanced": Ablation(
        "squared errors, all coefficients alike", {"loss_weights.coefficients": 1.0, "loss_weights.balanced": 0.0}
    ),
    "vertices": Ablation("displacements of the surface in the loss as well", {"loss_weights.vertices": 0.5}),
    "landmarks": Ablation("displacements of the landmarks in the loss as well", {"loss_weights.landmarks": 0.5}),
    "mouth-brows": Ablation(
        "the same, those of mouth and brows counting three times",
        {"loss_weights.landmarks": 0.5, "loss_weights.mouth": 3.0, "loss_weights.brows": 3.0},
    ),
    "pairs": Ablation(
        "differences between two images of a person in the loss as well",
        {"images_per_video": 2, "loss_weights.pairs": 0.5},
    ),
    "no-jitter": Ablation("images aligned exactly as the detector says, and its points as they are", _JITTER),
    "no-average": Ablation("the last weights, not their moving average", {"ema_decay": 0.0}),
    "small-first": Ablation(
        "the first 40 % of the images at 28 pixels", {"resolutions": [{"input_size": 28, "share": 0.4}]}
    ),
    "larger": Ablation("images of 112 pixels, at four times the cost", {"input_size": 112}),
    "taught": Ablation(
        "distilled: half of the loss is the distance from the answers of deepexp3d-small",
        {
            "teacher": "deepexp3d-small",
            "loss_weights.teacher": 0.5,
            "loss_weights.coefficients": 0.25,
            "loss_weights.balanced": 0.25,
        },
    ),
    "longer": Ablation("a quarter more images, gently, after the recipe", _GENTLE, after=BASELINE, share=0.25),
    "fine-tuned": Ablation(
        "the same with scans in the manner of 4DFAB (section III-C) in their place",
        _GENTLE,
        shards="four_dfab_samples",
        after=BASELINE,
        share=0.25,
    ),
}

COLUMNS = {
    "note": "what is different",
    "images_seen": "images seen",
    "mse": "MSE, rendered",
    "fitted_mse": "MSE, fitted",
    "view_invariance_mse_share": "views",
    "identity_leakage": "person recognised",
    "london_spread": "London spread",
    "london_offset": "offset",
    "london_cosine": "cosine",
    "london_accuracy": "accuracy",
    "london_best_accuracy": "best threshold",
}


def recipe(ablation: Ablation, images: int, root: Path | None = None) -> Training:
    """The validated recipe with the changes, for a number of images.

    Raises
    ------
    ParamsError
        A change does not fit the recipe.
    """
    plain = Workspace.open(root).params.shipped_models.networks["small"]
    steps = round(images * ablation.share) // plain.batch_size
    common = {"input_size": INPUT_SIZE, "max_minutes": None, "max_steps": steps}
    overrides = {f"{RECIPE}.{name}": value for name, value in (common | ablation.changes).items()}
    return Workspace.open(root, overrides).params.shipped_models.networks["small"]


def trained(workspace: Workspace, name: str, faces: Path, images: int, folder: Path) -> Path:
    """Folder of the network of an ablation, trained, or as it was."""
    ablation = ABLATIONS[name]
    section = recipe(ablation, images, workspace.root)
    start = None if ablation.after is None else trained(workspace, ablation.after, faces, images, folder)
    train(
        faces if ablation.shards == RENDERS else workspace.data(ablation.shards),
        load_detector_model(workspace),
        section.settings(),
        folder / name,
        seed=section.seed,
        hardware=section.hardware,
        init_from=start,
        teacher=initial_network(workspace, section.teacher),
    )
    return folder / name


def measured(network: Path, sets: TestSets, opset: int, london: Path | None) -> dict[str, float]:
    """Figures of a trained network, as `benchmarks.expression` has them."""
    session = NetworkSession.load(export_onnx(network, network / "exact", opset=opset))
    contract, posing = session.contract, sets.neutral_and_smile()
    moments, filmed, pairs = sets.moments(), sets.filmed(), sets.view_pairs()
    figures = truth_figures(answers(session, moments), moments, contract)
    figures |= fitted_figures(answers(session, filmed), filmed)
    figures |= view_figures(answers(session, pairs), pairs, contract)
    figures |= neutral_figures(answers(session, posing), posing)
    if london:
        figures |= measure_london(session, sets.london(london), posing, london)
    return {RENAMED.get(name, name): round(float(value), 6) for name, value in figures.items()}


def rows_text(rows: dict[str, dict[str, Any]]) -> str:
    """The rows as a table in Markdown."""
    cells = {name: [row.get(key) for key in COLUMNS] for name, row in rows.items()}
    return table("", list(COLUMNS.values()), cells)


def main() -> None:
    """Entry point of `python -m benchmarks.ablations`."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.ablations", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--json", type=Path, required=True, help="file of the figures; rows of other names in it stay")
    parser.add_argument("--docs", type=Path, help="page to write the table into, between its marks")
    parser.add_argument("--only", nargs="+", choices=ABLATIONS, help="these alone; by default all")
    parser.add_argument("--images", type=int, default=IMAGES, help=f"that each training sees; by default {IMAGES:,}")
    parser.add_argument("--subjects", type=int, default=SUBJECTS, help=f"people to learn from; by default {SUBJECTS:,}")
    arguments = parser.parse_args()
    started = time.perf_counter()

    def progress(line: str) -> None:
        print(f"[{time.perf_counter() - started:5.0f} s] {line}", flush=True)

    workspace = Workspace.open()
    folder = workspace.data(".scratch", "ablations")
    faces = folder / f"{RENDERS}-{arguments.subjects}"
    if not (faces / "val").exists():
        render_shards(workspace, _renders(workspace, arguments.subjects), faces)
    sets = TestSets(template(load_detector_model(workspace)), None, False, progress)
    london = os.environ.get("LONDON_FACES")
    rows = json.loads(arguments.json.read_text()) if arguments.json.exists() else {}
    for name in arguments.only or ABLATIONS:
        progress(f"{name}: {ABLATIONS[name].note}")
        network = trained(workspace, name, faces, arguments.images, folder / f"networks-{arguments.images}")
        figures = measured(network, sets, workspace.params.deepexp3d_export.opset, Path(london) if london else None)
        kept = {key: figures[key] for key in COLUMNS if key in figures}
        seen = round(arguments.images * ABLATIONS[name].share)
        rows[name] = {"note": ABLATIONS[name].note, "images_seen": seen, **kept}
        in_order = {known: rows[known] for known in ABLATIONS if known in rows}
        with written_whole(arguments.json) as temporary:
            temporary.write_text(json.dumps(in_order, indent=1, ensure_ascii=False) + "\n")
        progress(f"{name}: {json.dumps(kept)}")
        if arguments.docs:
            write_between(arguments.docs, BEGIN, END, rows_text(in_order))


def _renders(workspace: Workspace, subjects: int) -> RenderedFaces:
    renders = workspace.params.shipped_models.renders
    return renders.model_copy(update={"subjects": subjects, "validation_subjects": VALIDATION_SUBJECTS})


if __name__ == "__main__":
    main()
