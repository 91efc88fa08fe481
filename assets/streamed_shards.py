"""Where a training finds the images of a stage: in the project folder, or in the object store that they were pushed to.

DVC keeps every file of a pushed stage once, under its hash. Chunks are streamed from right there: nothing is stored a
second time, and `dvc.lock` says which version is meant.
"""

from pathlib import Path

from assets import versioning
from assets.workspace import Workspace


def shards_folder(workspace: Workspace, stage: str) -> Path:
    """`data/<stage>` where it is; else, of a profile with an object store, a folder whose chunks are streamed from it.

    Raises
    ------
    StorageUnreachableError
        The store does not answer, or what `dvc.lock` names was not pushed.
    """
    from models.expression.streaming import lay_out_stream

    local, store = workspace.data(stage), workspace.storage.object_store
    version = versioning.path_versions(workspace.root).get(f"data/{stage}")
    if local.exists() or store is None or version is None:
        return local
    versioning.use_remote(workspace.root, store)
    return lay_out_stream(
        versioning.remote_addresses(workspace.root, f"data/{stage}"),
        workspace.scratch("streamed", version) / stage,
        client_options=store.client_options,
        cache_gb=store.streaming_cache_gb,
    )
