"""The project folder as a stage sees it: where data lie, which parameters hold, what a result was made from."""

import hashlib
import json
import os
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import getitem
from pathlib import Path
from typing import Any

import yaml

from assets.params import Params, load_params
from assets.storage import Storage, load_storage
from models.errors import ParamsError
from models.packages import sha256_of


@dataclass(frozen=True)
class Workspace:
    """A project folder with its parameters.

    Attributes
    ----------
    root : folder that holds `params.yaml`, `dvc.yaml` and `data/`
    params : the validated parameters
    overrides : dotted names and values that this run sets differently from `params.yaml`
    """

    root: Path
    params: Params
    overrides: tuple[tuple[str, Any], ...] = ()

    @classmethod
    def open(cls, root: Path | str | None = None, overrides: dict[str, Any] | None = None) -> "Workspace":
        """Open `root`, else the folder in `DEEPEXP3D_ROOT`, else the nearest one upwards with a `params.yaml`."""
        folder = Path(root or os.environ.get("DEEPEXP3D_ROOT") or _nearest_project(Path.cwd())).resolve()
        return cls(folder, load_params(folder / "params.yaml", overrides), tuple(sorted((overrides or {}).items())))

    def path(self, *parts: str) -> Path:
        """A path inside the project folder."""
        return self.root.joinpath(*parts)

    def data(self, *parts: str) -> Path:
        """A path inside `data/`: the first part is the asset's name."""
        return self.root.joinpath("data", *parts)

    def scratch(self, stage: str, fingerprint: str) -> Path:
        """Folder for what an interrupted run of a stage may resume from; another fingerprint starts anew."""
        return self.root.joinpath("data", ".scratch", stage, fingerprint[:16])

    @property
    def workers(self) -> int:
        """Processes for work that is independent from video to video."""
        return self.params.machine.workers or os.cpu_count() or 1

    @cached_property
    def storage(self) -> Storage:
        """Where runs, models and data are kept: the profile in `DEEPEXP3D_PROFILE`, else the project folder."""
        return load_storage(self.root)

    @cached_property
    def pipeline(self) -> dict[str, dict]:
        """The stages of `dvc.yaml`, by name; a `foreach` stage is its `do` block."""
        return {name: stage.get("do", stage) for name, stage in self._declared.items()}

    @property
    def partitions(self) -> dict[str, tuple[str, ...]]:
        """The keys of each `foreach` stage; of others, one empty key."""
        return {name: tuple(stage.get("foreach", ("",))) for name, stage in self._declared.items()}

    def inputs(self, stage: str) -> list[str]:
        """Paths below `data/` that a stage, or `stage@key`, depends on."""
        name, _, key = stage.partition("@")
        paths = [path.replace("${item}", key).replace("${key}", key) for path in self.pipeline[name]["deps"]]
        return [path for path in paths if path.startswith("data/")]

    @cached_property
    def _declared(self) -> dict[str, dict]:
        return yaml.safe_load(self.path("dvc.yaml").read_text())["stages"]

    def fingerprint(self, stage: str, *inputs: str, apart_from: Collection[str] = ()) -> str:
        """Hash of what decides a stage's results: its parameters, its code (as `dvc.yaml` names them) and `inputs`.

        `apart_from` names those sections and paths of `dvc.yaml` that do not count for a part of the results.
        """
        declared = self.pipeline[stage]
        sections = [name for name in declared.get("params", []) if name not in apart_from]
        tree = self.params.model_dump(mode="json")
        parameters = {name: reduce(getitem, name.split("."), tree) for name in sections}
        code = [path for path in declared["deps"] if Path(path).parts[0] in ("models", "assets")]
        code = [path for path in code if path not in apart_from]
        sources = {path: [sha256_of(file) for file in _python_files(self.path(path))] for path in code}
        text = json.dumps([parameters, sources, inputs], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def _nearest_project(start: Path) -> Path:
    for folder in (start, *start.parents):
        if (folder / "params.yaml").exists():
            return folder
    raise ParamsError(f"{start}: no params.yaml here or above; run from the project's folder, or set DEEPEXP3D_ROOT.")


def _python_files(path: Path) -> list[Path]:
    return sorted(path.rglob("*.py")) if path.is_dir() else [path]
