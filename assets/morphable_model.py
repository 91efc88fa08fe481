"""The 3D morphable model of identity and expression (section III-A.1)."""

from pathlib import Path

import dagster as dg

from assets.stage import StageResult, WorkspaceResource, main, materialise
from assets.workspace import Workspace
from models.errors import ModelMismatchError
from models.morphable_model import MorphableModel
from models.storage import written_whole

STAGE = "morphable_model"


def build_morphable_model(workspace: Workspace) -> StageResult:
    """Take the converted model that the parameters name, or build the embedded one from its CC0 sources; draw it.

    Raises
    ------
    ModelMismatchError
        The model that is named is not there, or is not a converted one.
    """
    from models.morphable_model.embedded import build_embedded_model
    from models.morphable_model.figure import model_figure

    settings = workspace.params.morphable_model
    model = build_embedded_model(settings) if settings.source is None else _converted(workspace.path(settings.source))
    model.save(model_path(workspace))
    picture = workspace.data(STAGE, "model.png")
    with written_whole(picture) as path:
        model_figure(model).savefig(path, dpi=80)
    return StageResult(
        {
            "name": model.name,
            "licence": model.licence,
            "face units": ", ".join(model.extras["unit_names"]) if "unit_names" in model.extras else "none",
            "vertices": len(model.mean),
            "triangles": len(model.triangles),
            "identity components": model.identity_size,
            "expression components": model.expression_size,
            "inter-ocular distance, mm": model.interocular_distance,
            "mean, modes at +-3 sigma, landmarks": picture,
        }
    )


def _converted(path: Path) -> MorphableModel:
    if not path.exists():
        raise ModelMismatchError(
            f"{path}: no face model here; make it with `deepexp3d convert-model`, or set morphable_model.source to "
            f"null for the embedded one."
        )
    return MorphableModel.load(path)


def model_path(workspace: Workspace):
    return workspace.data(STAGE, "model.npz")


def no_synthetic_heads(workspace: Workspace) -> str | None:
    """Why synthetic heads cannot be drawn from this project's face model; None where they can.

    They need face units, eyeballs and skin masks, which of all models only the embedded one has.
    """
    from models.rendering.synthetic_video import require_renderable

    try:
        require_renderable(load_model(workspace))
    except ModelMismatchError as error:
        return f"skipped: {error}"
    return None


def load_model(workspace: Workspace) -> MorphableModel:
    """The model that the fits, the network and the reports of this project folder share."""
    return MorphableModel.load(model_path(workspace))


@dg.asset(name=STAGE, group_name="face_model", kinds={"numpy", "dvc"})
def morphable_model(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
    """3D morphable model: 157 identity and 28 expression components over a whole head.

    Everything downstream speaks in this model's coefficients, so a new model makes all fits and networks stale.
    Built once from the hash-checked sources; building again gives the same bytes. Or a model of another publisher,
    where `morphable_model.source` names one.
    """
    return materialise(context, workspace, build_morphable_model)


if __name__ == "__main__":
    main(STAGE, build_morphable_model)
