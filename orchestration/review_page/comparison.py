"""What the page says of a challenger beside the champion, read from the files that its review left."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assets.challenger_review import CARD, COMPARISON, FIGURE

WORDS = {"better": "better", "worse": "worse", "undecided": "no clear difference"}


@dataclass(frozen=True)
class Row:
    """A line of the table: errors on some of the pictures, their change in words, and whether it is flagged."""

    pictures: str
    challenger: str
    champion: str
    change: str
    verdict: str
    flagged: bool


@dataclass(frozen=True)
class Evidence:
    """What a reviewer decides by.

    Attributes
    ----------
    rows : all pictures first, then the subgroups, flagged ones before the others; empty where nothing was compared
    why_not : why nothing was compared; empty where something was
    figure : the comparison as a picture, or None
    card : the model card, Markdown
    """

    rows: tuple[Row, ...]
    why_not: str
    figure: Path | None
    card: str


def read_evidence(folder: Path) -> Evidence:
    """The evidence in a folder of `assets.registry_review.review_files`."""
    facts = json.loads((folder / COMPARISON).read_text())
    figure, card = folder / FIGURE, folder / CARD
    return Evidence(
        rows=comparison_rows(facts),
        why_not="" if "overall" in facts else facts["reason"],
        figure=figure if figure.exists() else None,
        card=card.read_text() if card.exists() else "",
    )


def comparison_rows(facts: Mapping[str, Any]) -> tuple[Row, ...]:
    """The table of a comparison, as `comparison.json` holds it; none where nothing was compared."""
    if "overall" not in facts:
        return ()
    flagged = list(facts["regressions"])
    others = [name for name in facts["subgroups"] if name not in flagged]
    rows = [_row("all pictures", facts["overall"], flagged=False)]
    return (*rows, *(_row(name, facts["subgroups"][name], flagged=name in flagged) for name in flagged + others))


def _row(name: str, found: Mapping[str, Any], flagged: bool) -> Row:
    low, high = 100 * found["low"], 100 * found["high"]
    return Row(
        pictures=name,
        challenger=f"{found['challenger']:.4f}",
        champion=f"{found['champion']:.4f}",
        change=f"{100 * found['change']:+.1f} % ({low:+.1f} to {high:+.1f})",
        verdict="worse than tolerated" if flagged else WORDS[found["verdict"]],
        flagged=flagged,
    )
