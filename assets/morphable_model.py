"""The 3D morphable model of identity and expression (section III-A.1)."""

import dagster as dg

from assets.stage import StageResult, WorkspaceResource, main, materialise
from assets.workspace import Workspace
from models.morphable_model import MorphableModel
from models.storage import written_whole

STAGE = "morphable_model"


def build_morphable_model(workspace: Workspace) -> StageResult:
    """Build the embedded model from its CC0 sources and draw it."""
    from models.morphable_model.embedded import build_embedded_model
    from models.morphable_model.figure import model_figure

    model = build_embedded_model(workspace.params.morphable_model)
    model.save(model_path(workspace))
    picture = workspace.data(STAGE, "model.png")
    with written_whole(picture) as path:
        model_figure(model).savefig(path, dpi=80)
    return StageResult(
        {
            "name": model.name,
            "licence": model.licence,
            "vertices": len(model.mean),
            "triangles": len(model.triangles),
            "identity components": model.identity_size,
            "expression components": model.expression_size,
            "inter-ocular distance, mm": model.interocular_distance,
            "mean, modes at +-3 sigma, landmarks": picture,
        }
    )


def model_path(workspace: Workspace):
    return workspace.data(STAGE, "model.npz")


def load_model(workspace: Workspace) -> MorphableModel:
    """The model that the fits, the network and the reports of this project folder share."""
    return MorphableModel.load(model_path(workspace))


@dg.asset(name=STAGE, group_name="face_model", kinds={"numpy", "dvc"})
def morphable_model(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
    """3D morphable model: 157 identity and 28 expression components over a whole head.

    Everything downstream speaks in this model's coefficients, so a new model makes all fits and networks stale.
    Built once from the hash-checked sources; building again gives the same bytes.
    """
    return materialise(context, workspace, build_morphable_model)


if __name__ == "__main__":
    main(STAGE, build_morphable_model)
