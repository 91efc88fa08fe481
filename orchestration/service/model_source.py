"""Which model is served: by its name, by its folder, or the one that the registry points to, as it changes."""

import logging
import threading
from collections.abc import Callable, Sequence

from assets.model_registry import CHALLENGER, CHAMPION, model_of_name
from assets.workspace import Workspace
from models.errors import WeightsMissingError
from models.expression.predictor import Predictor
from models.expression.runtime import NETWORK
from models.expression.shipped import classifier_path, model_folder
from models.packages import sha256_of
from models.serving.prediction_queue import PredictionQueue
from models.serving.served_model import ServedModel

log = logging.getLogger(__name__)

# Names of models that change with the registry.
ALIASES = (CHAMPION, CHALLENGER)
# Of a SHA-256 that tell files apart.
DIGITS = 12


def find_model(model: str | None = None) -> ServedModel:
    """The model that a name or path means, as `deepexp3d predict --model` understands it.

    Raises
    ------
    WeightsMissingError
        There is no such model, or no classifier for it.
    DeepExp3DError
        The registry has no such alias, points to something else, or cannot be asked.
    """
    alias = model if model in ALIASES else None
    folder = model_folder(model_of_name(Workspace.open(), alias) if alias else model)
    network = folder / NETWORK
    if not network.is_file():
        raise WeightsMissingError(f"{network}: there is no such file; name an exported network's folder.")
    version, classifier = (sha256_of(file)[:DIGITS] for file in (network, classifier_path(folder)))
    return ServedModel(alias or folder.resolve().name, version, classifier, folder)


class ModelFollower:
    """Lets a queue answer with whatever model a name means at present.

    A model that cannot be had or does not fit is logged, and the one before goes on answering.

    Parameters
    ----------
    queue : whose predictors are replaced
    find : gives the model that should answer
    load : gives its predictors
    every_s : seconds between two looks
    """

    def __init__(
        self,
        queue: PredictionQueue,
        find: Callable[[], ServedModel],
        load: Callable[[ServedModel], Sequence[Predictor]],
        every_s: float,
    ):
        self._queue = queue
        self._find = find
        self._load = load
        self._every_s = every_s
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="model-follower", daemon=True)

    def __enter__(self) -> "ModelFollower":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()

    def look(self) -> bool:
        """Take another network, or another classifier for it, if there is one; whether there was."""
        before = self._queue.model
        try:
            found = self._find()
            if found == before:
                return False
            self._queue.replace(self._load(found), found)
        except Exception as error:
            # Whatever is wrong with a registry, what answers now is still right.
            log.warning("the model %s stays, for another cannot be had: %s", before.version, error)
            return False
        log.info("the model %s answers from now on in the place of %s", found.version, before.version)
        return True

    def _follow(self) -> None:
        while not self._stopped.wait(self._every_s):
            self.look()
