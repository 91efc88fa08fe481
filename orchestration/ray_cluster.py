"""The Ray cluster as a resource of Dagster: connected for as long as a run works on videos."""

import os
from typing import Any

import dagster as dg

from assets.params import Params
from assets.ray_pool import connect, not_installed


def ray_cluster(params: Params) -> Any:
    """What the stages by video find connected: the cluster of `execution`, or nothing where it names processes.

    Where a run itself is to have a cluster of its own, as on Kubernetes, dagster-ray's `KubeRayCluster` can take this
    resource's place: the stages use whatever this process is connected to.

    Raises
    ------
    ClusterError
        dagster-ray is not installed.
    """
    execution = params.execution
    if execution.backend == "processes":
        return dg.ResourceDefinition.none_resource("work by video is done in processes of this machine")
    try:
        from dagster_ray import LocalRay
    except ModuleNotFoundError:
        raise not_installed("dagster-ray") from None

    class ProjectRay(LocalRay):
        """The cluster at `address`, else one that is started here; left or ended after the run."""

        address: str | None = None
        cpus: int = 1

        def connect(self, context: dg.InitResourceContext) -> Any:
            self._context = connect(self.address, self.cpus)
            return self._context

    return ProjectRay(address=execution.ray.address, cpus=params.machine.workers or os.cpu_count() or 1)
