"""The arithmetic of scale: recomputed by hand, and the page that shows it."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import scale
from benchmarks.scale import BEGIN, END, KEPT, STAGES, Assumptions, core_hours, gigabytes, tables

ROOT = Path(__file__).resolve().parents[2]
FIGURES = dict.fromkeys(STAGES.values(), 3.6) | dict.fromkeys(KEPT.values(), 1000.0)
FIGURES |= {"load_ms": 2.0, "cores": 2, "processor": "x", "load_before": 0.0}


def test_hours_and_gigabytes_follow_from_milliseconds_and_bytes():
    assumed = Assumptions(videos=500, frames_per_video=2000)
    assert core_hours(FIGURES, assumed) == dict.fromkeys(STAGES, pytest.approx(1.0))
    assert gigabytes(FIGURES, assumed) == dict.fromkeys(KEPT, pytest.approx(1.0))


def test_machines_are_as_many_as_the_days_ask_for():
    # 48 core hours a stage, four stages; 4 cores used for half: 96 hours of a machine.
    assumed = Assumptions(videos=24_000, frames_per_video=2000, cores=4, core_share=0.5, days=2)
    assert "Done in 2 days by 2 such machines." in tables(FIGURES, assumed)
    assert "Done in 4 days by 1 such machine." in tables(FIGURES, replace(assumed, days=4))
    assert "| work by video | 192.00 |" in tables(FIGURES, replace(assumed, machine_price=2.0))


def test_a_gpu_is_fed_by_as_many_cores_as_it_is_fast():
    assumed = Assumptions(videos=1800, frames_per_video=2000, epochs=10, gpu_images_per_second=1000, gpu_price=3)
    text = tables(FIGURES, assumed)
    assert "| cores that keep that GPU fed | 2.0 |" in text
    assert "| training | 30.00 |" in text


def test_the_page_shows_what_its_figures_give():
    page = (ROOT / "docs" / "scale.md").read_text()
    figures = json.loads((ROOT / "docs" / "scale.json").read_text())
    assert page.split(BEGIN)[1].split(END)[0].strip() == tables(figures, Assumptions()).strip()


def test_kept_figures_and_other_prices_are_taken_from_the_command_line(tmp_path, monkeypatch, capsys):
    (tmp_path / "figures.json").write_text(json.dumps(FIGURES))
    monkeypatch.setattr(
        sys, "argv", ["scale", "--measured", str(tmp_path / "figures.json"), "--gpu-price", "7.5", "--cores", "32"]
    )
    scale.main()
    printed = capsys.readouterr().out
    assert "| `--gpu-price` | 7.5 |" in printed
    assert "machine of 32 cores" in printed
