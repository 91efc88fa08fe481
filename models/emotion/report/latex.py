"""Tables as a LaTeX document that needs `booktabs` and nothing unusual beside it."""

import re
import unicodedata
from collections.abc import Sequence

from models.emotion.report.tables import Cell, Kind, Row, Table

_PREAMBLE = r"""\documentclass[a4paper,landscape]{article}
\usepackage[utf8]{inputenc}
\usepackage[T1]{fontenc}
\usepackage{textcomp}
\usepackage[margin=18mm]{geometry}
\usepackage{array}
\usepackage{booktabs}
\setlength{\parindent}{0pt}
\begin{document}
\footnotesize
"""
_ESCAPES = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "`": r"\textasciigrave{}",
    # At the beginning of a row these would be taken for an argument of the row break before it.
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
    "±": r"$\pm$",
    "×": r"$\times$",
    "²": r"\textsuperscript{2}",
    "°": r"\textdegree{}",
    "–": r"\textendash{}",
    "—": r"\textemdash{}",
    "−": "$-$",
    "’": "'",
    "‘": "`",
    "“": "``",
    "”": "''",
    "…": r"\dots{}",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
}
# Columns of a table whose headings fit on a line each, and characters that such a heading, or text, may have.
_FEW = 6
_WIDE = 26


def to_latex(tables: Sequence[Table], provenance: Sequence[tuple[str, str]]) -> str:
    """A whole document: each table as a `tabular` that can be taken out of it, and what they were made from."""
    rows = "\n".join(f"{escaped(name)} & {escaped(value)} \\\\" for name, value in provenance)
    made_from = (
        "\\subsection*{How it was measured}\n"
        f"\\begin{{tabular}}{{lp{{0.7\\linewidth}}}}\n\\toprule\n{rows}\n\\bottomrule\n\\end{{tabular}}"
    )
    return "\n\n".join([_PREAMBLE, *map(_section, tables), made_from, "\\end{document}"]) + "\n"


def escaped(text: str) -> str:
    """Text that LaTeX prints as it is; what the usual fonts lack comes without its accents, or as a question mark."""
    plain = "".join(_ESCAPES.get(character) or _printable(character) for character in " ".join(text.split()))
    # Two hyphens, as in a command's options, would become a dash.
    return plain.replace("--", "-{}-")


def _section(table: Table) -> str:
    columns = "".join(_column(table, place) for place in range(len(table.columns)))
    lines = [" & ".join(f"\\textbf{{{escaped(name)}}}" for name in table.columns) + " \\\\", "\\midrule"]
    for place, row in enumerate(table.rows):
        if row.first and place:
            lines.append("\\addlinespace")
        lines.append(_line(row))
    notes = "".join(f"\n\n\\smallskip{{\\scriptsize {escaped(note)}\\par}}" for note in table.notes)
    body = "\n".join(lines)
    return (
        f"\\subsection*{{{escaped(table.number)}: {escaped(table.title)}}}\n"
        f"\\begin{{tabular}}{{{columns}}}\n\\toprule\n{body}\n\\bottomrule\n\\end{{tabular}}{notes}"
    )


def _column(table: Table, place: int) -> str:
    if table.aligned_right[place]:
        fits = len(table.columns[place]) <= (_WIDE if len(table.columns) <= _FEW else _WIDE // 2)
        return "r" if fits else r">{\raggedleft\arraybackslash}p{24mm}"
    widest = max((len(row.cells[place].text) for row in table.rows), default=0)
    if widest <= 2 * _WIDE:
        return "l"
    return r">{\raggedright\arraybackslash}p{0.6\linewidth}"


def _line(row: Row) -> str:
    return " & ".join(_cell(cell, row.own) for cell in row.cells) + " \\\\"


def _cell(cell: Cell, own: bool) -> str:
    text = escaped(cell.text)
    if not text:
        return ""
    if cell.kind is Kind.ABSENT:
        return f"\\textit{{{text}}}"
    if cell.kind is Kind.SYNTHETIC and "synthetic" not in text:
        text += " (synthetic)"
    return f"\\textbf{{{text}}}" if own else text


def _printable(character: str) -> str:
    if ord(character) < 128 or re.match(r"[À-ÿ]", character):
        return character
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return "".join(_ESCAPES.get(one, one) for one in plain) or "?"
