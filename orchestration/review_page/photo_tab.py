"""The second tab: what the network reads from a photo or a camera frame."""

import math

from nicegui import events, run, ui

from models.errors import DeepExp3DError
from orchestration.review_page.camera import Camera
from orchestration.review_page.charts import expression_chart, probability_chart
from orchestration.review_page.face_mesh import data_url, face_glb
from orchestration.review_page.photo import PhotoReader, Reading, jpeg_url

# Behind the face, light page or dark.
BACKGROUND = "#59616e"
# From where the face is looked at, in units of 100 mm: from the front.
DISTANCE, FIELD_OF_VIEW = 5.2, 28
# Where the light stands that gives the face its relief: from the upper left, in front.
LIGHT, BRIGHTNESS = (-3.0, -4.0, 3.0), 20.0


class PhotoTab:
    """The tab's elements, and what they show.

    Parameters
    ----------
    reader : what reads photos
    most_upload_mb : a photo of more bytes is refused
    """

    def __init__(self, reader: PhotoReader, most_upload_mb: float):
        self._reader = reader
        with ui.row().classes("w-full no-wrap max-md:flex-wrap gap-4 items-start"):
            with ui.column().classes("w-full md:w-80 shrink-0 gap-3"):
                self._build_sources(most_upload_mb)
            self._hint = ui.label("Choose a photo, or use the camera: what the network reads from it appears here.")
            self._hint.classes("opacity-70 p-4")
            # Charts and the 3D scene take their size from the page when they are made: not before there is something
            # to show.
            self._results = ui.column().classes("grow min-w-0 w-full gap-3")

    def _build_sources(self, most_upload_mb: float) -> None:
        upload = ui.upload(
            label="Drop a photo here, or choose one with +",
            auto_upload=True,
            max_file_size=int(most_upload_mb * 1e6),
            on_upload=self._on_upload,
            on_rejected=lambda: ui.notify(f"That is no picture of at most {most_upload_mb:g} MB.", type="negative"),
        )
        self._upload = upload.props('accept="image/*" flat bordered').classes("w-full")
        with ui.row().classes("w-full items-center gap-2"):
            self._start = ui.button("Use the camera", icon="videocam", on_click=self._start_camera)
            self._take = ui.button("Take the picture", icon="photo_camera", on_click=self._take_picture)
            for button in (self._start, self._take):
                button.props("no-caps outline")
        self._take.set_visibility(False)
        self._camera = Camera()
        self._camera_shown(False)
        with ui.row().classes("items-center gap-2") as self._busy:
            ui.spinner(size="sm")
            ui.label("Reading the face; the first time takes some seconds.").classes("text-sm opacity-70")
        self._busy.set_visibility(False)
        self._problem = ui.label().classes("text-negative text-sm").props("data-testid=photo-problem")
        self._picture = ui.image().classes("w-full rounded")
        self._picture.set_visibility(False)

    def _build_results(self) -> None:
        with ui.row().classes("w-full items-baseline gap-3"):
            self._emotion = ui.label().classes("text-2xl font-medium").props("data-testid=emotion")
            self._about = ui.label().classes("text-sm opacity-70")
        with ui.row().classes("w-full no-wrap max-md:flex-wrap gap-4"):
            with ui.column().classes("w-full md:w-1/2 min-w-0 gap-1") as self._probability_part:
                ui.label("Emotion").classes("text-sm opacity-70")
                self._probabilities = ui.echart({}).classes("w-full h-72").props("data-testid=probabilities")
            with ui.column().classes("w-full md:w-1/2 min-w-0 gap-1"):
                ui.label("Expression without the person; drag to turn").classes("text-sm opacity-70")
                camera = ui.scene.perspective_camera(fov=FIELD_OF_VIEW)
                self._scene = ui.scene(480, 288, grid=False, camera=camera, background_color=BACKGROUND)
                self._scene.classes("w-full h-72 rounded overflow-hidden").props("data-testid=face")
                self._scene.move_camera(0, -DISTANCE, 0, 0, 0, 0, duration=0)
                self._no_face_model = ui.label().classes("text-sm opacity-70")
        ui.label("Expression coefficients, standard deviations").classes("text-sm opacity-70")
        self._expression = ui.echart({}).classes("w-full h-48").props("data-testid=expression")

    async def _on_upload(self, event: events.UploadEventArguments) -> None:
        self._upload.reset()
        await self._read(await event.file.read(), event.file.name)

    async def _start_camera(self) -> None:
        self._camera_shown(True)
        try:
            await self._camera.start()
        except (DeepExp3DError, TimeoutError) as error:
            self._camera_shown(False)
            self._problem.set_text(str(error) or "The camera did not answer. Choose a photo instead.")

    async def _take_picture(self) -> None:
        try:
            data = await self._camera.take()
        except (DeepExp3DError, TimeoutError) as error:
            self._problem.set_text(str(error) or "The camera did not answer; try again.")
            return
        self._camera.stop()
        self._camera_shown(False)
        await self._read(data, "camera.jpg")

    def _camera_shown(self, shown: bool) -> None:
        self._camera.set_visibility(shown)
        self._take.set_visibility(shown)
        self._start.set_visibility(not shown)

    async def _read(self, data: bytes, name: str) -> None:
        self._problem.set_text("")
        self._busy.set_visibility(True)
        try:
            reading = await run.io_bound(self._reader.read, data, name)
            try:
                face, no_face = await run.io_bound(self._face_of, reading), ""
            except DeepExp3DError as error:
                face, no_face = None, f"No 3D face: {error}"
            self._show(reading)
            self._show_face(face, no_face)
        except DeepExp3DError as error:
            self._problem.set_text(str(error))
        finally:
            self._busy.set_visibility(False)

    def _show(self, reading: Reading) -> None:
        face = reading.prediction
        if self._hint.visible:
            self._hint.set_visibility(False)
            with self._results:
                self._build_results()
        self._picture.set_source(jpeg_url(reading.picture))
        self._picture.set_visibility(True)
        self._emotion.set_text((face.emotion or "no emotion classifier").capitalize())
        others = "" if reading.faces == 1 else f"the largest of {reading.faces} faces · "
        self._about.set_text(f"{others}yaw {face.yaw:.0f}°, pitch {face.pitch:.0f}°, roll {face.roll:.0f}°")
        self._probability_part.set_visibility(face.probabilities is not None)
        if face.probabilities is not None:
            _redraw(self._probabilities, probability_chart(face.probabilities))
        _redraw(self._expression, expression_chart(face.expression_whitened))

    def _face_of(self, reading: Reading) -> str:
        return data_url(face_glb(self._reader.face_model(), reading.prediction.expression))

    def _show_face(self, face: str | None, no_face: str) -> None:
        self._no_face_model.set_text(no_face)
        self._scene.clear()
        self._scene.set_visibility(face is not None)
        if face is not None:
            with self._scene:
                light = self._scene.spot_light("#ffffff", BRIGHTNESS, angle=0.6, penumbra=0.5)
                light.move(*LIGHT).rotate(0.0, *_angles_towards_the_origin(*LIGHT))
                self._scene.gltf(face)


def _angles_towards_the_origin(x: float, y: float, z: float) -> tuple[float, float]:
    """Rotations about the second and the third axis that turn the first one from a place towards the origin."""
    return math.atan2(z, math.hypot(x, y)), math.atan2(-y, -x)


def _redraw(chart: ui.echart, options: dict) -> None:
    chart.options.clear()
    chart.options.update(options)
    chart.update()
