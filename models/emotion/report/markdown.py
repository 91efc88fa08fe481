"""Tables as Markdown."""

from collections.abc import Sequence

from models.emotion.report.tables import Cell, Kind, Row, Table


def to_markdown(tables: Sequence[Table], provenance: Sequence[tuple[str, str]]) -> str:
    """A document with all tables, and at its end what they were made from (name, value)."""
    parts = ["# Published and measured", *map(_section, tables), "## How it was measured"]
    parts.append(
        "\n".join(["| | |", "|---|---|", *(f"| {_escaped(name)} | {_escaped(value)} |" for name, value in provenance)])
    )
    return "\n\n".join(parts) + "\n"


def _section(table: Table) -> str:
    head = [
        "| " + " | ".join(map(_escaped, table.columns)) + " |",
        "|" + "|".join("---:" if right else "---" for right in table.aligned_right) + "|",
    ]
    body = [*head, *map(_line, table.rows)]
    notes = [_escaped(note) for note in table.notes]
    return "\n\n".join([f"## {_escaped(table.number)}: {_escaped(table.title)}", "\n".join(body), *notes])


def _line(row: Row) -> str:
    return "| " + " | ".join(_cell(cell, row.own) for cell in row.cells) + " |"


def _cell(cell: Cell, own: bool) -> str:
    text = _escaped(cell.text)
    if not text:
        return ""
    if cell.kind is Kind.ABSENT:
        return f"*{text}*"
    if cell.kind is Kind.SYNTHETIC and "synthetic" not in text:
        text += " (synthetic)"
    return f"**{text}**" if own else text


def _escaped(text: str) -> str:
    for character in "\\`*_|<[":
        text = text.replace(character, "\\" + character)
    return " ".join(text.split())
