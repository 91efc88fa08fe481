"""What all pages of a server share: the fitted videos as they are by now, and who films them."""

import logging
import threading

from assets.review_queue import FittedVideo, draw_film, fits_version, fitted_videos
from assets.workspace import Workspace
from models.errors import DeepExp3DError
from orchestration.review_page.films import FilmMaker

log = logging.getLogger(__name__)


class Desk:
    """The fitted videos of a project, which follow the pipeline.

    Parameters
    ----------
    workspace : what is reviewed

    Attributes
    ----------
    videos : by id, the most suspicious first; never changed in place, another dict takes its place
    films : who films them

    Raises
    ------
    DeepExp3DError
        No video is fitted yet.
    """

    def __init__(self, workspace: Workspace):
        self.workspace = workspace
        self.films = FilmMaker(lambda video, progress: draw_film(workspace, video, progress))
        self._reading = threading.Lock()
        self._version = fits_version(workspace)
        self.videos = self._read()

    def follow(self) -> None:
        """Read the fitted videos again if they are others by now; one thread does, and the rest go on meanwhile.

        What cannot be read, for the pipeline is at work on it or it is gone, leaves the videos as they were until the
        next change.
        """
        if not self._reading.acquire(blocking=False):
            return
        try:
            version = fits_version(self.workspace)
            if version == self._version:
                return
            self._version = version
            self.videos = self._read()
        except (DeepExp3DError, OSError) as error:
            log.warning("the review page stays as it was: %s", error)
        finally:
            self._reading.release()

    def _read(self) -> dict[str, FittedVideo]:
        return {video.track_id: video for video in fitted_videos(self.workspace)}
