"""The first tab: one fitted video after the other, kept or pruned by a key."""

import asyncio
from collections.abc import Callable
from urllib.parse import quote

from nicegui import events, run, ui

from assets.manual_review import Verdict, read_history, record_verdict, review_path, standing, take_back
from assets.review_queue import FittedVideo, course_of
from assets.workspace import Workspace
from models.errors import DeepExp3DError
from orchestration.review_page.charts import residual_chart
from orchestration.review_page.desk import Desk
from orchestration.review_page.queue import ReviewQueue

FILM_ADDRESS = "/films"
# Videos that the list shows at once.
ROWS = 14
# Reasons for pruning that come up again and again, by the key that writes them down.
USUAL_REASONS = {
    "1": "mesh beside the face",
    "2": "expression does not follow",
    "3": "another person",
    "4": "hidden face",
}
KEYS = {"k": "keep", "p": "prune", "u": "undo"}
# Seconds between looks at what others, or the pipeline, have done, and at how far the film is.
OTHERS_EVERY, FILM_EVERY = 2.0, 0.4


class QueueTab:
    """The tab's elements, and what they show.

    Parameters
    ----------
    desk : what is reviewed
    reviewer : gives the name under which verdicts are written
    active : tells whether the tab is the one that is shown, so that its keys count
    """

    def __init__(self, desk: Desk, reviewer: Callable[[], str], active: Callable[[], bool]):
        self._desk = desk
        self._reviewer = reviewer
        self._active = active
        # Those that the queue speaks of, also while the desk has others already.
        self._videos = desk.videos
        self._queue = ReviewQueue(tuple(self._videos)).with_verdicts(_holding(desk.workspace)).at_next_open()
        self._seen = _changed_at(desk.workspace)
        self._filmed: str | None = None
        self._video: ui.video | None = None
        # Keys that come faster than the disk are done one after the other, each on the video that is then shown.
        self._turn = asyncio.Lock()
        with ui.row().classes("w-full no-wrap max-md:flex-wrap-reverse gap-4 items-start"):
            with ui.column().classes("w-full md:w-72 shrink-0 gap-2"):
                self._progress_text = ui.label().classes("text-sm").props("data-testid=progress")
                self._progress = ui.linear_progress(show_value=False, size="6px").props("rounded")
                self._list = ui.list().props("dense separator").classes("w-full")
            with ui.column().classes("grow min-w-0 w-full gap-3"):
                self._build_video()
        ui.keyboard(self._on_key, repeating=False, ignore=["input", "textarea", "select"])
        ui.timer(OTHERS_EVERY, self._look_around)
        ui.timer(FILM_EVERY, self._show_film)
        self._show()

    def _build_video(self) -> None:
        with ui.row().classes("w-full items-baseline gap-x-3 gap-y-0"):
            self._title = ui.label().classes("text-lg font-medium break-all").props("data-testid=title")
            self._about = ui.label().classes("text-sm opacity-70")
        self._reasons = ui.column().classes("gap-1")
        with ui.card().classes("w-full p-2 gap-1").props("flat bordered"):
            self._film_place = ui.element().classes("w-full")
            with ui.row().classes("w-full no-wrap items-center gap-3 p-2") as self._waiting:
                ui.spinner(size="sm")
                self._film_text = ui.label().classes("whitespace-nowrap")
                self._film_share = ui.linear_progress(show_value=False, size="6px").props("rounded").classes("grow")
            self._film_error = ui.label().classes("p-2 text-negative")
            self._course = ui.echart({}, on_point_click=self._seek).classes("w-full h-28")
        with ui.row().classes("w-full items-center gap-2"):
            self._keep = _button("Keep", "K", "positive", lambda: self._judge("keep"))
            self._prune = _button("Prune", "P", "negative", lambda: self._judge("prune"))
            self._undo = _button("Undo", "U", "grey-7", self._take_back)
            self._reason = ui.input(placeholder="Reason (optional)").props("dense outlined clearable")
            self._reason.classes("grow min-w-48").props("data-testid=reason")
            for key in ("enter", "escape"):
                # Keys mean verdicts again once the reason is written.
                self._reason.on(f"keydown.{key}", lambda: self._reason.run_method("blur"))
        with ui.row().classes("w-full items-center gap-2"):
            for key, text in USUAL_REASONS.items():
                chip = ui.chip(f"{key}  {text}", on_click=lambda _, text=text: self._reason.set_value(text))
                chip.props("outline dense clickable").classes("text-xs")
        ui.label("K keep · P prune · U undo · ← → other videos · 1 to 4 give a reason").classes(
            "text-xs opacity-70 max-md:hidden"
        )

    async def _on_key(self, event: events.KeyEventArguments) -> None:
        if not event.action.keydown or not self._active() or event.modifiers.ctrl or event.modifiers.meta:
            return
        key = str(event.key.name).lower()
        if key in ("k", "p"):
            await self._judge(KEYS[key])
        elif key == "u":
            await self._take_back()
        elif key in USUAL_REASONS:
            self._reason.set_value(USUAL_REASONS[key])
        elif event.key.arrow_right or event.key.arrow_left:
            self._go(self._queue.stepped(1 if event.key.arrow_right else -1))

    async def _judge(self, verdict: str) -> None:
        async with self._turn:
            video, reason = self._queue.current, self._reason.value or ""
            said = await self._written(
                record_verdict,
                self._desk.workspace,
                video,
                verdict,
                reviewer=self._reviewer(),
                known=self._desk.videos,
                reason=reason,
            )
            if said is not None:
                self._go(self._queue.at_next_open())

    async def _take_back(self) -> None:
        async with self._turn:
            said = await self._written(take_back, self._desk.workspace, reviewer=self._reviewer())
            if said is not None:
                self._go(self._queue.at(said.video_id))
                self._reason.set_value(said.reason)

    async def _written(self, write: Callable[..., Verdict | None], *arguments, **options) -> Verdict | None:
        """Write to the file of verdicts, and read what holds then; None, and a word to the reviewer, if it failed."""
        try:
            said = await run.io_bound(write, *arguments, **options)
            holding = await run.io_bound(_holding, self._desk.workspace)
        except DeepExp3DError as error:
            ui.notify(str(error), type="negative", multi_line=True, timeout=10_000)
            return None
        # The reviewer may have gone to another video while the disk was busy.
        self._queue = self._queue.with_verdicts(holding)
        if said is None:
            ui.notify(f"There is no verdict by {self._reviewer()} to take back.")
        return said

    async def _look_around(self) -> None:
        """Show what has been fitted, and what has been said, since the last look."""
        await run.io_bound(self._desk.follow)
        self._follow_fits()
        await self._look_at_others()

    def _follow_fits(self) -> None:
        """Take the fits that there are by now; the reviewer stays at the same video, with the reason begun."""
        if self._videos is self._desk.videos or self._turn.locked():
            return
        seen = self._videos[self._queue.current]
        self._videos = self._desk.videos
        self._queue = self._queue.with_order(tuple(self._videos))
        video = self._videos[self._queue.current]
        if (video.track_id, video.fingerprint) == (seen.track_id, seen.fingerprint):
            self._show_reasons(video)
            self._show_list()
            self._show_verdict()
            return
        reason = self._reason.value
        self._show()
        if video.track_id == seen.track_id:
            self._reason.set_value(reason)

    async def _look_at_others(self) -> None:
        """Show what other reviewers, or a person with an editor, have written since."""
        changed = _changed_at(self._desk.workspace)
        if changed == self._seen or self._turn.locked():
            return
        self._seen = changed
        try:
            holding = await run.io_bound(_holding, self._desk.workspace)
        except DeepExp3DError as error:
            ui.notify(str(error), type="negative", multi_line=True, timeout=10_000)
            return
        self._queue = self._queue.with_verdicts(holding)
        self._show_list()
        self._show_verdict()

    def _go(self, queue: ReviewQueue) -> None:
        self._queue = queue
        self._show()

    def _show(self) -> None:
        video = self._videos[self._queue.current]
        self._title.set_text(video.track_id)
        self._reason.set_value("")
        self._show_reasons(video)
        self._filmed = None
        self._video = None
        self._film_place.clear()
        self._show_course(video)
        self._show_film()
        self._show_list()
        self._show_verdict()

    def _show_reasons(self, video: FittedVideo) -> None:
        self._reasons.clear()
        with self._reasons:
            self._verdict = ui.label().classes("text-sm font-medium").props("data-testid=verdict")
            for reason in video.suspicion.reasons or ("nothing stands out",):
                ui.label(reason[0].upper() + reason[1:]).classes("text-sm").props("data-testid=suspicion")
        about = [video.subject, f"{video.frames} frames", f"suspicion {video.suspicion.score:.1f}"]
        self._about.set_text(" · ".join(text for text in about if text))

    def _show_course(self, video: FittedVideo) -> None:
        try:
            course = course_of(self._desk.workspace, video)
        except DeepExp3DError:
            self._course.set_visibility(False)  # The film's place says what is wrong.
            return
        self._course.options.clear()
        self._course.options.update(residual_chart(course.times, course.residual))
        self._course.set_visibility(True)
        self._course.update()

    def _show_film(self) -> None:
        """Show the current film, or how far it is; ask for the next one, so that it is there in time."""
        if self._filmed == self._queue.current:
            return
        ahead = self._queue.stepped(1).at_next_open().current
        self._desk.films.film(self._videos[ahead])
        film = self._desk.films.film(self._videos[self._queue.current])
        self._film_text.set_text(f"The film is being drawn: {film.share:.0%}")
        self._waiting.set_visibility(film.path is None and not film.error)
        self._film_share.set_value(film.share)
        self._film_error.set_text(film.error)
        self._film_error.set_visibility(bool(film.error))
        if film.path is not None:
            address = f"{FILM_ADDRESS}/{quote(self._queue.current)}?{film.path.name}"
            with self._film_place:
                self._video = ui.video(address, muted=True, autoplay=True).props("loop playsinline").classes("w-full")
        if film.path is not None or film.error:
            self._filmed = self._queue.current

    def _seek(self, event: events.EChartPointClickEventArguments) -> None:
        """Show the moment of a point of the curve."""
        if self._video is not None:
            self._video.seek(event.data[0])

    def _show_verdict(self) -> None:
        said = self._queue.verdicts.get(self._queue.current)
        self._verdict.set_visibility(said is not None)
        if said is not None:
            because = f": {said.reason}" if said.reason else ""
            self._verdict.set_text(f"{_PAST[said.verdict]} by {said.reviewer}, {said.date[:10]}{because}")

    def _show_list(self) -> None:
        queue = self._queue
        self._progress_text.set_text(f"{queue.done} of {len(queue.order)} judged, {queue.left} left")
        self._progress.set_value(queue.done / len(queue.order))
        self._list.clear()
        with self._list:
            for place in queue.around(ROWS):
                self._show_row(place)

    def _show_row(self, place: int) -> None:
        name = self._queue.order[place]
        said = self._queue.verdicts.get(name)
        with ui.item(on_click=lambda: self._go(self._queue.at(name))) as item:
            item.classes("rounded bg-sky-500/15" if place == self._queue.place else "rounded")
            with ui.item_section().props("avatar").classes("min-w-0 pr-2"):
                _icon(said.verdict if said else "")
            with ui.item_section().classes("min-w-0"):
                ui.item_label(name).props("lines=1").classes("text-sm")
            with ui.item_section().props("side").classes("pl-2"):
                ui.label(f"{self._videos[name].suspicion.score:.1f}").classes("text-xs tabular-nums")


_PAST = {"keep": "Kept", "prune": "Pruned"}
_ICONS = {
    "": ("radio_button_unchecked", "sm", "grey"),
    "keep": ("check_circle", "sm", "positive"),
    "prune": ("cancel", "sm", "negative"),
}


def _icon(verdict: str) -> ui.icon:
    name, size, colour = _ICONS[verdict]
    return ui.icon(name, size=size, color=colour)


def _button(text: str, key: str, colour: str, on_click: Callable) -> ui.button:
    button = ui.button(color=colour, on_click=on_click).props("no-caps unelevated")
    with button:
        ui.label(text)
        ui.badge(key, color="white", text_color="black").classes("ml-2")
    return button


def _holding(workspace: Workspace) -> dict[str, Verdict]:
    """The verdict that holds on each video."""
    return {said.video_id: said for said in standing(read_history(workspace))}


def _changed_at(workspace: Workspace) -> int:
    """When the file of verdicts was last changed; 0 where there is none."""
    path = review_path(workspace)
    return path.stat().st_mtime_ns if path.exists() else 0
