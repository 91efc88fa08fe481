"""Pictures to judge figures by: expressions side by side (the paper's Fig. 4), and errors against severity."""

from pathlib import Path

import numpy as np

from benchmarks.expression.faces import TestSets
from models.expression.comparison_sheet import comparison_sheet, telling_faces
from models.expression.observed_faces import network_expressions
from models.expression.robustness import RobustnessCurve, robustness_figure
from models.expression.runtime import NetworkSession
from models.expression.unseen_people import moments
from models.storage import written_whole

COLUMNS = 9
SHEET, CURVES = "expressions.png", "robustness.png"


def draw_pictures(session: NetworkSession, sets: TestSets, curves: list[RobustnessCurve], folder: Path) -> None:
    """Write `expressions.png` and `robustness.png` into a folder."""
    import cv2

    faces = sets.moments()
    # The pictures themselves are not kept: the people are rendered again.
    pictures = list(moments(sets.model, sets.unseen))
    found = np.flatnonzero(faces.faces.found)
    chosen = found[telling_faces([pictures[place] for place in found], sets.model, COLUMNS)]
    estimates = {
        "DeepExp3D": network_expressions(session, faces.faces),
        "truth": faces.truth,
        "fit of\none image": faces.single_image,
        "per-frame\nfit [31]": faces.per_frame,
    }
    rows = {name: values[chosen] for name, values in estimates.items()}
    sheet = comparison_sheet([pictures[place] for place in chosen], rows, sets.model)
    with written_whole(folder / SHEET) as temporary:
        cv2.imwrite(str(temporary), sheet[..., ::-1])
    labels = {"network": "DeepExp3D", "single_image": "fit of one image"}
    degraded = sets.degraded()
    rest = float(np.mean(degraded.truth[degraded.condition == "plain"] ** 2))
    with written_whole(folder / CURVES) as temporary:
        robustness_figure(curves, labels, rest).savefig(temporary, dpi=110)
