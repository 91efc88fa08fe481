"""The third tab: a network that wants to be released, beside the one that is."""

from collections.abc import Callable
from dataclasses import asdict, dataclass

from nicegui import run, ui

from assets.model_registry import REFUSED_BY_CHECK, TrailEntry, current_champion, read_trail
from assets.registry_review import PendingReview, approve, pending_reviews, refuse, review_files
from assets.workspace import Workspace
from models.errors import DeepExp3DError
from orchestration.review_page.comparison import Evidence, read_evidence

# Lines of the trail that are shown, the last ones.
TRAIL = 8
COLUMNS = [
    {"name": name, "label": label, "field": name, "align": "left" if name in ("pictures", "verdict") else "right"}
    for name, label in (
        ("pictures", "Pictures"),
        ("challenger", "Challenger"),
        ("champion", "Champion"),
        ("change", "Change (interval)"),
        ("verdict", "Verdict"),
    )
]
_VERDICT_CELL = """
<q-td :props="props">
  <q-badge v-if="props.row.flagged" color="negative" class="q-pa-xs">{{ props.value }}</q-badge>
  <span v-else>{{ props.value }}</span>
</q-td>
"""


@dataclass(frozen=True)
class _State:
    """What the registry says."""

    champion: TrailEntry | None
    pending: list[tuple[PendingReview, Evidence]]
    trail: list[TrailEntry]


class RegistryTab:
    """The tab's elements; the registry is asked when somebody first looks, and again on demand.

    Parameters
    ----------
    workspace : whose registry it is
    reviewer : gives the name under which decisions are written
    """

    def __init__(self, workspace: Workspace, reviewer: Callable[[], str]):
        self._workspace = workspace
        self._reviewer = reviewer
        self._asked = False
        with ui.row().classes("w-full items-center gap-3"):
            self._champion = ui.label("Champion: ...").classes("text-lg font-medium").props("data-testid=champion")
            ui.space()
            ui.button("Ask the registry again", icon="refresh", on_click=self.ask).props("no-caps flat dense")
        self._body = ui.column().classes("w-full gap-4")

    async def ask_once(self) -> None:
        """Ask the registry, unless that was done before."""
        if not self._asked:
            await self.ask()

    async def ask(self) -> None:
        """Ask the registry and show what it says."""
        self._asked = True
        self._body.clear()
        with self._body, ui.row().classes("items-center gap-2"):
            ui.spinner(size="sm")
            ui.label("Asking the registry.").classes("text-sm opacity-70")
        try:
            state = await run.io_bound(_state_of, self._workspace)
        except DeepExp3DError as error:
            self._body.clear()
            with self._body:
                ui.label(str(error)).classes("text-negative")
            return
        self._show(state)

    def _show(self, state: _State) -> None:
        champion = state.champion
        self._champion.set_text(
            "No champion yet"
            if champion is None
            else f"Champion: version {champion.version or 'without number'}, {champion.event} {champion.time[:10]}"
        )
        self._body.clear()
        with self._body:
            if not state.pending:
                ui.label("No challenger waits for a decision. One appears here when a training is finished.").classes(
                    "opacity-70"
                )
            for pending, evidence in state.pending:
                self._show_challenger(pending, evidence)
            if state.trail:
                _show_trail(state.trail)

    def _show_challenger(self, pending: PendingReview, evidence: Evidence) -> None:
        refused = pending.check == REFUSED_BY_CHECK
        with ui.card().classes("w-full gap-3").props("flat bordered"):
            with ui.row().classes("w-full items-center gap-x-3 gap-y-1"):
                ui.label(f"Challenger: version {pending.version}").classes("text-lg font-medium").props(
                    "data-testid=challenger"
                )
                ui.badge(f"check {pending.check}", color="negative" if refused else "positive")
                ui.label(f"{pending.outcome}; compared with {pending.compared_with}").classes("text-sm opacity-70")
                ui.space()
                if pending.link.startswith("http"):
                    ui.link("Its run in MLflow", pending.link, new_tab=True).classes("text-sm")
            _show_evidence(pending, evidence)
            with ui.row().classes("w-full items-center gap-2"):
                reason = ui.input(placeholder="Reason (needed)").props("dense outlined").classes("grow min-w-48")
                reason.props("data-testid=decision-reason")
                yes = ui.button(
                    "Approve", color="positive", on_click=lambda: self._decide(approve, pending, reason.value)
                )
                no = ui.button("Refuse", color="negative", on_click=lambda: self._decide(refuse, pending, reason.value))
                for button in (yes, no):
                    button.props("no-caps unelevated")
                yes.set_enabled(not refused)
            if refused:
                ui.label("The check refused this version: it is worse than the champion beyond doubt.").classes(
                    "text-sm"
                )

    async def _decide(self, decision: Callable, pending: PendingReview, reason: str) -> None:
        try:
            await run.io_bound(decision, self._workspace, pending.version, self._reviewer(), reason or "")
        except DeepExp3DError as error:
            ui.notify(str(error), type="negative", multi_line=True, timeout=10_000)
            return
        said = "approved; the pipeline promotes it" if decision is approve else "refused"
        ui.notify(f"Version {pending.version} is {said}.", type="positive")
        await self.ask()


def _show_evidence(pending: PendingReview, evidence: Evidence) -> None:
    if evidence.why_not:
        ui.label(f"Not compared: {evidence.why_not}.").classes("text-sm")
    if pending.regressions:
        text = f"Worse than tolerated for: {'; '.join(pending.regressions)}."
        ui.label(text).classes("text-sm text-negative font-medium").props("data-testid=regressions")
    if evidence.rows:
        ui.label("Mean squared error of the expression on the frozen test set, squared standard deviations").classes(
            "text-sm opacity-70"
        )
        rows = [asdict(row) for row in evidence.rows]
        table = ui.table(rows=rows, columns=COLUMNS, row_key="pictures").props("dense flat").classes("w-full")
        table.add_slot("body-cell-verdict", _VERDICT_CELL)
    if evidence.figure is not None:
        with ui.expansion("Picture of the comparison", icon="insights").classes("w-full").props("dense"):
            ui.image(evidence.figure).classes("w-full max-w-3xl")
    if evidence.card:
        with ui.expansion("Model card", icon="description").classes("w-full").props("dense"):
            ui.markdown(evidence.card, extras=["tables"]).classes("text-sm max-w-3xl")


def _show_trail(trail: list[TrailEntry]) -> None:
    ui.label("What was decided before").classes("text-sm opacity-70")
    with ui.list().props("dense").classes("w-full"):
        for entry in trail:
            about = (
                f"{entry.time[:10]}  version {entry.version or '?'} {entry.event} by {entry.reviewer}: {entry.reason}"
            )
            ui.item(about).classes("text-sm")


def _state_of(workspace: Workspace) -> _State:
    pending = [(found, read_evidence(review_files(workspace, found.version))) for found in pending_reviews(workspace)]
    return _State(current_champion(workspace), pending, read_trail(workspace)[: -TRAIL - 1 : -1])
