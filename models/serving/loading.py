"""Predictors that share a network: one for each thread of a service."""

import os
from pathlib import Path

from models.expression.predictor import Predictor
from models.expression.runtime import NETWORK, NetworkSession
from models.expression.shipped import classifier_path
from models.landmarks.backend import load_backend
from models.serving.settings import ServingSettings


def load_predictors(folder: Path | str, settings: ServingSettings, *, runtime: str = "auto") -> list[Predictor]:
    """As many predictors as the service has workers, each with its own detector of faces.

    The network has one stream for each worker, so that no worker waits for another's call.

    Parameters
    ----------
    folder : of an exported network, with its classifier
    settings : `threads`, and what faces are looked for
    runtime : as `NetworkSession.load` takes it

    Raises
    ------
    WeightsMissingError
        There is no network, no classifier, or no weights of the detector.
    ModelMismatchError
        Network and classifier do not fit each other or this version.
    """
    from models.emotion.decision import load_decision

    threads = settings.threads or len(os.sched_getaffinity(0))
    session = NetworkSession.load(Path(folder) / NETWORK, runtime=runtime, threads=threads, streams=threads)
    classifier = load_decision(classifier_path(Path(folder)), features=session.expression_size)
    return [
        Predictor(
            session,
            load_backend(
                "mediapipe",
                reduced_precision=True,
                smallest_face=settings.smallest_face,
                sparing=settings.sparing_detection,
            ),
            classifier,
        )
        for _ in range(threads)
    ]
