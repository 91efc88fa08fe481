"""Rendered stand-ins for sets that are not at hand."""

import pytest

from assets.rendered_benchmarks import STAGE, render_benchmarks

SMALL = {
    "rendered_benchmarks.people": {"manifest": 2, "cfee": 2},
    "rendered_benchmarks.wild.size": 96,
    "rendered_benchmarks.studio.size": 96,
    "synthetic_facevid.video.size": 96,
}


@pytest.fixture(scope="module")
def rendered(new_project, tmp_path_factory):
    """Function of a number of processes and a stress set that renders small sets: what is told, and the files."""

    def render(workers, stress):
        folder = tmp_path_factory.mktemp("sets") / "project"
        workspace = new_project(folder, **SMALL, **{"machine.workers": workers, "rendered_benchmarks.stress": stress})
        told = render_benchmarks(workspace).metadata
        root = workspace.data(STAGE)
        return told, {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}

    return render


def test_sets_are_the_same_whatever_the_number_of_processes(rendered):
    told, files = rendered(1, None)
    assert told == {"data": "synthetic", "cfee images": 14, "manifest images": 14}
    assert rendered(2, None) == (told, files)


def test_the_stress_set_is_rendered_beside_the_photographs(rendered):
    told, files = rendered(1, {"people": 4, "frames": 10})
    assert told["srd15 videos"] == sum(path.suffix == ".mp4" for path in files) == 4 * 4 * 2
    assert told["manifest images"] == 14
