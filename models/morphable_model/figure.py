"""A picture of a face model: its mean, first modes and landmarks."""

from typing import TYPE_CHECKING

import numpy as np

from models.morphable_model.model import MorphableModel

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def model_figure(model: MorphableModel, modes: int = 4, deviations: float = 3.0) -> "Figure":
    """Figure of the mean with numbered landmarks, and of +-3 sigma of the first identity and expression modes."""
    from matplotlib.figure import Figure

    from models.rendering.mesh import frontal_camera, render_face
    from models.rendering.rasteriser import camera_points

    modes = min(modes, model.identity_size, model.expression_size)
    figure = Figure(figsize=(4.6 + 1.7 * modes, 7.2), dpi=110, layout="constrained")
    mean_panel, mode_panels = figure.subfigures(1, 2, width_ratios=[4.6, 1.7 * modes])
    size = (720, 520)
    axes = mean_panel.subplots()
    axes.imshow(render_face(model, size=size))
    scale, translation = frontal_camera(model, size)
    points = camera_points(model.landmark_mean, scale, np.eye(3), translation)
    axes.scatter(points[:, 0], points[:, 1], s=6, c="tab:red")
    for number, (x, y, _) in enumerate(points):
        axes.annotate(str(number), (x, y), (2, 2), textcoords="offset points", fontsize=5.5, color="tab:blue")
    axes.set_title(f"mean of '{model.name}' and its 68 landmarks", fontsize=9)
    axes.axis("off")

    panels = mode_panels.subplots(4, modes, squeeze=False)
    for mode in range(modes):
        identity, expression = np.zeros(model.identity_size), np.zeros(model.expression_size)
        identity[mode], expression[mode] = (
            deviations * model.identity_std[mode],
            deviations * model.expression_std[mode],
        )
        shapes = [(identity, None), (-identity, None), (None, expression), (None, -expression)]
        for row, (name, sign) in enumerate((name, sign) for name in ("identity", "expression") for sign in "+−"):
            axes = panels[row, mode]
            axes.imshow(render_face(model, *shapes[row], size=(190, 150)))
            axes.set_title(f"{name} {mode + 1}, {sign}{deviations:g}σ", fontsize=7)
            axes.axis("off")
    return figure


def model_picture(model: MorphableModel) -> bytes:
    """The figure as PNG."""
    import io

    buffer = io.BytesIO()
    model_figure(model).savefig(buffer, format="png")
    return buffer.getvalue()
