"""Where the work by video is done, as `execution` in `params.yaml` says."""

from assets.pool import Executor, ProcessPool
from assets.workspace import Workspace


def executor_of(workspace: Workspace, stage: str) -> Executor:
    """Processes of this machine, or workers of a Ray cluster with the share of a GPU that the stage is given."""
    execution = workspace.params.execution
    if execution.backend == "processes":
        return ProcessPool(workspace.workers)
    from assets.ray_pool import RayPool

    return RayPool(
        root=workspace.root,
        settings=execution.ray,
        gpus_per_worker=execution.ray.gpus_per_worker.get(stage, 0.0),
        local_cpus=workspace.workers,
    )
