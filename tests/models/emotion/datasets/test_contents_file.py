"""Contents of a data set on disk."""

from pathlib import Path

import pytest

from models.emotion.datasets.contents import DatasetContents, Photograph
from models.emotion.datasets.contents_file import load_contents, save_contents
from models.errors import DatasetError


def test_contents_come_back_as_they_were_wherever_the_set_lies_now(tmp_path):
    photographs = (
        Photograph(Path("/old/a/one.jpg"), "happy", "anna", 45.0, "m1", "A", "train", {"gender": "female"}),
        Photograph(Path("/old/two.jpg"), "sad", None),
    )
    contents = DatasetContents("kdef", Path("/old"), photographs, {"profile view": 3}, ("1 is missing.",))
    save_contents(contents, tmp_path / "set.json")
    loaded = load_contents(tmp_path / "set.json", Path("/new"))
    assert (loaded.name, loaded.root, loaded.left_out) == ("kdef", Path("/new"), {"profile view": 3})
    assert loaded.problems == contents.problems
    assert [photograph.path for photograph in loaded.photographs] == [Path("/new/a/one.jpg"), Path("/new/two.jpg")]
    assert loaded.photographs[0].attributes == {"gender": "female"}
    assert loaded.photographs[1].subject is None


def test_photographs_beside_the_root_are_found_where_both_lie_now(tmp_path):
    contents = DatasetContents(
        "manifest", Path("/old/set"), (Photograph(Path("/old/more/a.jpg"), "sad", None),), {}, ()
    )
    save_contents(contents, tmp_path / "set.json")
    (photograph,) = load_contents(tmp_path / "set.json", Path("/new/set")).photographs
    assert photograph.path == Path("/new/more/a.jpg")


@pytest.mark.parametrize("text", ["", "{}", '{"name": "kdef", "photographs": [{"colour": 1}]}'])
def test_a_file_that_holds_something_else_is_named(tmp_path, text):
    path = tmp_path / "set.json"
    path.write_text(text)
    with pytest.raises(DatasetError, match=r"set\.json.*gather them again"):
        load_contents(path, tmp_path)
