"""Errors of the domain. Each says which file, what is wrong with it, and what to do."""


class DeepExp3DError(Exception):
    """Base of every error that a user can mend. The message names the file, the cause and the cure."""


class ParamsError(DeepExp3DError):
    """`params.yaml` holds an unknown key or a value of the wrong type or range."""


class VideoError(DeepExp3DError):
    """A video that cannot be used: unreadable, truncated, empty, or not a video at all."""


class ImageError(DeepExp3DError):
    """An image that cannot be read."""


class DatasetError(DeepExp3DError):
    """A folder that does not hold the data set it should, or a table of labels that cannot be read."""


class ScanError(DeepExp3DError):
    """A 3D scan that cannot be used. `reason` says in a few words why, so that scans can be counted by it."""

    def __init__(self, message: str, reason: str = "broken scan"):
        super().__init__(message)
        self.reason = reason


class NoFaceError(DeepExp3DError):
    """No face was found where one is needed."""


class LostTrackError(DeepExp3DError):
    """The face of the first frame was lost for too long (section III-B)."""


class FittingError(DeepExp3DError):
    """A 3DMM fit that cannot be computed from what it was given."""


class ModelMismatchError(DeepExp3DError):
    """A face model, network or classifier whose dimensions or contract do not fit the others."""


class WeightsMissingError(DeepExp3DError):
    """Weights that are neither cached nor obtainable, or whose hash is wrong."""


class DiskFullError(DeepExp3DError):
    """No space left for a result; nothing half-written stays behind."""


class OutputError(DeepExp3DError):
    """A place where a result cannot be written."""


class ClusterError(DeepExp3DError):
    """A cluster that cannot be reached, has no room for the work, or whose machines see another project."""


class CredentialsMissingError(DeepExp3DError):
    """A server wants a password or a key, and there is none where its clients look for it, or another one's."""


class StorageUnreachableError(DeepExp3DError):
    """A database or an object store that does not answer, or lacks what is asked for."""


class OverloadedError(DeepExp3DError):
    """More is asked than can be done; `retry_after_s` says in how many seconds to ask again."""

    def __init__(self, message: str, retry_after_s: float):
        super().__init__(message)
        self.retry_after_s = retry_after_s
