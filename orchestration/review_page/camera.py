"""The camera of whoever looks at the page. Browsers give it to scripts alone, so a few lines of one stand here."""

import base64

from nicegui import ui

from models.errors import ImageError

# Seconds that a person may take to allow the camera.
PATIENCE = 60.0
JPEG_PREFIX = "data:image/jpeg;base64,"

_START = """
const video = getHtmlElement(%d);
if (!navigator.mediaDevices) return "Browsers give a page the camera on localhost or over https only.";
try {
    video.srcObject = await navigator.mediaDevices.getUserMedia({video: {facingMode: "user"}});
    await video.play();
    return "";
} catch (error) {
    return `The camera cannot be used (${error.message}).`;
}
"""
_TAKE = """
const video = getHtmlElement(%d), canvas = document.createElement("canvas");
[canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
canvas.getContext("2d").drawImage(video, 0, 0);
return canvas.toDataURL("image/jpeg", 0.92);
"""
_STOP = """
const stream = getHtmlElement(%d).srcObject;
if (stream) stream.getTracks().forEach((track) => track.stop());
"""


class Camera:
    """What the camera sees, shown in the page."""

    def __init__(self):
        self._video = ui.element("video").props("autoplay playsinline muted").classes("w-full rounded")

    async def start(self) -> None:
        """Ask for the camera and show it.

        Raises
        ------
        ImageError
            There is none, or it is not allowed.
        """
        if problem := await ui.run_javascript(_START % self._video.id, timeout=PATIENCE):
            raise ImageError(f"{problem} Choose a photo instead.")

    async def take(self) -> bytes:
        """The frame that is shown at this moment, as JPEG.

        Raises
        ------
        ImageError
            The camera shows nothing.
        """
        picture = await ui.run_javascript(_TAKE % self._video.id, timeout=10.0)
        if not str(picture).startswith(JPEG_PREFIX):
            raise ImageError("The camera shows nothing yet; try again in a moment.")
        return base64.b64decode(picture.removeprefix(JPEG_PREFIX))

    def set_visibility(self, visible: bool) -> None:
        """Show what the camera sees, or hide it."""
        self._video.set_visibility(visible)

    def stop(self) -> None:
        """Switch the camera off."""
        ui.run_javascript(_STOP % self._video.id)
