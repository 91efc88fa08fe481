"""The page itself: a header with the reviewer's name, and three tabs."""

from fastapi import HTTPException
from fastapi.responses import FileResponse
from nicegui import app, run, ui

from assets.review_queue import film_path
from assets.workspace import Workspace
from orchestration.review_page.desk import Desk
from orchestration.review_page.photo import PhotoReader
from orchestration.review_page.photo_tab import PhotoTab
from orchestration.review_page.queue_tab import FILM_ADDRESS, QueueTab
from orchestration.review_page.registry_tab import RegistryTab

VIDEOS, PHOTO, NETWORKS = "Fitted videos", "Try a photo", "Networks"


def build_page(workspace: Workspace, reviewer: str, model: str | None) -> None:
    """Put the page and the films that it shows at their addresses.

    Parameters
    ----------
    reviewer : name that is filled in at first
    model : network for the photo tab

    Raises
    ------
    DeepExp3DError
        No video is fitted yet.
    """
    desk = Desk(workspace)
    reader = PhotoReader(workspace, model)

    @app.get(FILM_ADDRESS + "/{track_id}")
    def film(track_id: str) -> FileResponse:
        video = desk.videos.get(track_id)
        if video is None or not film_path(workspace, video).exists():
            raise HTTPException(404, "no such film")
        return FileResponse(film_path(workspace, video), media_type="video/mp4")

    @ui.page("/")
    async def page() -> None:
        # A tab of the browser keeps its reviewer's name when it is loaded again.
        await ui.context.client.connected()
        await run.io_bound(desk.follow)
        _build(desk, reader, reviewer)


def _build(desk: Desk, reader: PhotoReader, reviewer: str) -> None:
    # Photos are read at once: the uploader's list of files would stay empty.
    ui.add_css(".q-uploader__list, .q-uploader__subtitle { display: none }")
    ui.colors(primary="#3b82c4", positive="#3f8f63", negative="#c25b4e")
    dark = ui.dark_mode(None)
    name = app.storage.tab.setdefault("reviewer", reviewer)
    with ui.header().classes("items-center gap-x-4 gap-y-1 px-4 py-1 bg-primary"):
        ui.label("DeepExp3D").classes("text-base font-medium")
        with ui.tabs().props("dense no-caps").classes("max-md:order-last") as tabs:
            for title in (VIDEOS, PHOTO, NETWORKS):
                ui.tab(title)
        ui.space()
        field = (
            ui.input("Reviewer", value=name).props("dense dark standout").classes("w-36").props("data-testid=reviewer")
        )
        field.bind_value(app.storage.tab, "reviewer")
        switch = ui.button(icon="dark_mode", on_click=lambda: dark.set_value(not dark.value))
        switch.props("flat round dense color=white").tooltip("Light or dark")
    with ui.tab_panels(tabs, value=VIDEOS, animated=False).classes("w-full max-w-7xl mx-auto bg-transparent"):
        with ui.tab_panel(VIDEOS).classes("p-2 md:p-4"):
            QueueTab(desk, lambda: field.value or "", lambda: tabs.value == VIDEOS)
        with ui.tab_panel(PHOTO).classes("p-2 md:p-4"):
            PhotoTab(reader, desk.workspace.params.review.most_upload_mb)
        with ui.tab_panel(NETWORKS).classes("p-2 md:p-4"):
            networks = RegistryTab(desk.workspace, lambda: field.value or "")
    tabs.on_value_change(lambda event: networks.ask_once() if event.value == NETWORKS else None)
