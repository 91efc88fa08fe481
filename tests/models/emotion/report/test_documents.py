"""The tables as Markdown and LaTeX."""

import re
import shutil
import subprocess

import pytest

from models.emotion.report.latex import escaped, to_latex
from models.emotion.report.markdown import to_markdown
from models.emotion.report.measurements import Measurements
from models.emotion.report.tables import Cell, Kind, Row, Table, all_tables

TABLE = Table(
    name="odd",
    number="Table 0",
    title="Names_with % and | in them",
    columns=("name", "value, %"),
    aligned_right=(False, True),
    rows=(
        Row((Cell("[1] a_b|c"), Cell("3.1 ± 0.2", Kind.MEASURED)), own=True),
        Row((Cell("*star & co"), Cell("4", Kind.SYNTHETIC)), first=True),
        Row((Cell("~home\\path ^ {x} #1 $2 <tag>"), Cell("not run: data absent", Kind.ABSENT))),
    ),
    notes=("Called by tool --json FILE.",),
)
MADE_FROM = [("machine", "x86_64, 100 % of 2 processors"), ("md5 of data/raw_videos", "d41d8")]


def test_markdown_has_a_line_for_each_row_and_marks_each_kind():
    lines = to_markdown([TABLE], MADE_FROM).splitlines()
    assert lines[0] == "# Published and measured"
    assert r"## Table 0: Names\_with % and \| in them" in lines
    assert "|---|---:|" in lines
    assert r"| **\[1] a\_b\|c** | **3.1 ± 0.2** |" in lines
    assert r"| \*star & co | 4 (synthetic) |" in lines
    assert lines[-1] == r"| md5 of data/raw\_videos | d41d8 |"
    bars = [len(re.findall(r"(?<!\\)\|", line)) for line in lines if line.startswith("|")]
    assert set(bars) == {3}


def test_latex_escapes_whatever_it_would_take_for_a_command():
    assert escaped("a_b & 5 % #1 $2 {x}") == r"a\_b \& 5 \% \#1 \$2 \{x\}"
    assert escaped("~\\^<>|") == (
        r"\textasciitilde{}\textbackslash{}\textasciicircum{}\textless{}\textgreater{}\textbar{}"
    )
    assert escaped("[7] * --json") == r"{[}7{]} {*} -{}-json"
    assert escaped("3 ± 1, 2×2, std², 45°, Öhman – Łukasz 漢") == (
        r"3 $\pm$ 1, 2$\times$2, std\textsuperscript{2}, 45\textdegree{}, Öhman \textendash{} ?ukasz ?"
    )


def test_latex_rows_have_as_many_cells_as_there_are_columns():
    document = to_latex([TABLE], MADE_FROM)
    body = document.split(r"\midrule")[1].split(r"\bottomrule")[0]
    rows = [line for line in body.splitlines() if line.endswith(r"\\")]
    assert [len(re.findall(r"(?<!\\)&", row)) for row in rows] == [1, 1, 1]
    assert r"\textbf{{[}1{]} a\_b\textbar{}c} & \textbf{3.1 $\pm$ 0.2} \\" in rows
    assert rows[1] == r"{*}star \& co & 4 (synthetic) \\"
    assert r"\textit{not run: data absent}" in rows[2]
    assert document.count(r"\begin{tabular}") == document.count(r"\end{tabular}") == 2
    assert document.startswith(r"\documentclass")


def test_braces_of_the_whole_document_match():
    document = to_latex(all_tables(Measurements()), MADE_FROM)
    bare = re.sub(r"\\[{}]", "", document)
    depth = 0
    for character in bare:
        depth += {"{": 1, "}": -1}.get(character, 0)
        assert depth >= 0
    assert depth == 0


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_the_document_compiles_and_nothing_sticks_out(tmp_path):
    (tmp_path / "tables.tex").write_text(to_latex([TABLE, *all_tables(Measurements())], MADE_FROM), encoding="utf-8")
    result = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "tables.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        errors="replace",
    )
    assert result.returncode == 0, result.stdout[-1500:]
    assert "Overfull" not in (tmp_path / "tables.log").read_text(errors="replace")
