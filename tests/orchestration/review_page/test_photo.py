"""Which network reads photos: the one that is named, else the registry's champion, else the project's own."""

import io

import pytest
from PIL import Image

from assets.model_registry import CHALLENGER, CHAMPION
from assets.registry_review import approve, promote_approved
from models.errors import DeepExp3DError
from orchestration.review_page.photo import PhotoReader, photo_network
from tests.assets.exported_networks import export_network, make_better_challenger

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def project(new_project, tmp_path_factory):
    """A champion, version 1, and a challenger, version 2, which is what the project last exported."""
    workspace = new_project(tmp_path_factory.mktemp("photo") / "project", **{"deepexp3d.init_from": None})
    make_better_challenger(workspace)
    return workspace


@pytest.fixture(scope="module")
def photo(filmed) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(filmed(0)[0]).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch, tmp_path):
    """The project is named by its folder alone."""
    monkeypatch.chdir(tmp_path)
    for name in ("DEEPEXP3D_ROOT", "DEEPEXP3D_MODEL"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("name", [CHAMPION, CHALLENGER])
def test_names_of_the_registry_are_those_of_the_page_s_project(project, photo, name):
    reading = PhotoReader(project, name).read(photo, "face.png")
    assert reading.prediction.expression.shape == (28,)


def test_where_no_network_is_named_the_champion_reads(project):
    assert photo_network(project, None) == project.data("champion")


def test_a_network_that_becomes_champion_reads_the_next_photo(project, photo):
    reader = PhotoReader(project)
    before = reader.read(photo, "face.png").prediction.expression
    assert (reader.read(photo, "face.png").prediction.expression == before).all()
    approve(project, "2", "Ada", "sharper")
    promote_approved(project)
    assert (reader.read(photo, "face.png").prediction.expression != before).any()


def test_without_a_champion_the_project_s_own_network_reads(new_project, tmp_path):
    workspace = new_project(tmp_path / "project")
    assert photo_network(workspace, None) is None
    export_network(workspace, seed=7)
    assert photo_network(workspace, None) == workspace.data("deepexp3d_export")


def test_a_champion_that_is_named_and_is_not_there_is_said(new_project, tmp_path, photo):
    with pytest.raises(DeepExp3DError, match="has no champion"):
        PhotoReader(new_project(tmp_path / "project"), CHAMPION).read(photo, "face.png")
