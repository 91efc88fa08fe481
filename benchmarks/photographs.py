"""How well photographs of one person are fitted together: `python -m benchmarks.photographs --json FILE`.

Rendered emotions, whose truth is known, through the real detector (keys `rendered_*`): unexplained share of the
expression's variance, mean correlation of its coefficients, and the accuracy of an RBF SVM on the seven emotions, ten
folds by person. Where the variable LONDON_FACES names the folder of the Face Research Lab London Set, also its people,
one neutral and one smiling photograph each (keys `london_*`, coefficients in mm): the spread of the neutral faces about
their mean and the distance of that mean from rest, both over the mean distance from neutral to smile; the mean cosine
of the angle between two people's smiles; and the accuracy of the best threshold on the mean smile. Keys end in
`_plain` for the model's own landmarks, and in `_detector` for a model that knows how the detector errs.
"""

import argparse
import json
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from assets.landmark_correspondence import load_detector_model
from assets.workspace import Workspace
from models.expression.images import read_image
from models.expression.neutral_smile import measure_pairs, paired_photographs
from models.fitting import fit_photographs
from models.landmarks import LandmarkBackend, load_backend
from models.morphable_model import MorphableModel
from models.morphable_model.expressions import EMOTION_PROTOTYPES

SEED = 20_002
FOLDS = 10


def fitted(model: MorphableModel, people: Iterable[np.ndarray]) -> list[np.ndarray]:
    """Expressions (M, n_e) of the landmarks (M, 68, 2) of every person."""
    return [fit_photographs(landmarks, model).expression for landmarks in people]


def rendered(model: MorphableModel, backend: LandmarkBackend, people: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Detected landmarks (7, 68, 2), NaN where there was no face, and true expressions (7, n_e) of every person."""
    from models.rendering.synthetic_images import render_emotion_image

    landmarks, truth = [], []
    for person in range(people):
        pictures = [render_emotion_image(model, emotion, person, seed=SEED) for emotion in EMOTION_PROTOTYPES]
        faces = [backend.detect(picture.image) for picture in pictures]
        landmarks.append(np.stack([found[0].points if found else np.full((68, 2), np.nan) for found in faces]))
        truth.append(np.stack([picture.expression for picture in pictures]))
    return landmarks, truth


def measure_rendered(expressions: list[np.ndarray], truth: list[np.ndarray]) -> dict[str, float]:
    from sklearn.model_selection import GroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    found, true = np.concatenate(expressions), np.concatenate(truth)
    person = np.repeat(np.arange(len(truth)), len(EMOTION_PROTOTYPES))
    emotion = np.tile(np.arange(len(EMOTION_PROTOTYPES)), len(truth))
    classifier = make_pipeline(StandardScaler(), SVC(C=5.0, gamma="scale"))
    predicted = cross_val_predict(classifier, found, emotion, groups=person, cv=GroupKFold(FOLDS))
    return {
        "unexplained": float(np.sum((found - true) ** 2) / np.sum((true - true.mean(0)) ** 2)),
        "correlation": float(np.mean([np.corrcoef(*pair)[0, 1] for pair in zip(found.T, true.T, strict=True)])),
        "accuracy": float(np.mean(predicted == emotion)),
    }


def london(backend: LandmarkBackend, folder: Path) -> list[np.ndarray]:
    """Landmarks (2, 68, 2), neutral and smiling, of everybody of whom both photographs show a face."""
    points: dict[str, dict[str, np.ndarray]] = {}
    for photograph in paired_photographs(folder):
        faces = backend.detect(read_image(photograph.path))
        if faces:
            points.setdefault(photograph.subject, {})[photograph.expression] = faces[0].points
    return [np.stack([p["neutral"], p["happy"]]) for p in points.values() if len(p) == 2]


def measure_london(expressions: list[np.ndarray]) -> dict[str, float]:
    measured = measure_pairs(*np.stack(expressions, 1))
    return {"accuracy" if name == "best_accuracy" else name: value for name, value in measured.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the figures here as one flat object")
    parser.add_argument("--project", type=Path, default=Path(), help="a project whose landmark_correspondence is made")
    parser.add_argument("--people", type=int, default=60, help="rendered people")
    arguments = parser.parse_args()
    detector = load_detector_model(Workspace.open(arguments.project))
    plain = MorphableModel.load(arguments.project / "data/morphable_model/model.npz")
    backend = load_backend("mediapipe")
    landmarks, truth = rendered(plain, backend, arguments.people)
    folder = os.environ.get("LONDON_FACES")
    faces = london(backend, Path(folder)) if folder else []
    figures: dict[str, float] = {}
    for name, model in (("plain", plain), ("detector", detector)):
        found = {"rendered": measure_rendered(fitted(model, landmarks), truth)}
        if faces:
            found["london"] = measure_london(fitted(model, faces))
        figures |= {f"{kind}_{key}_{name}": value for kind, part in found.items() for key, value in part.items()}
    for name, value in figures.items():
        print(f"{name:40s} {value:.3f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
