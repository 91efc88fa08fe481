"""What the review page needs before it is served, said in one line where it is missing."""

import socket
import sys

import pytest

from models.errors import DeepExp3DError
from orchestration.review_page.server import serve_review_page


def test_without_the_page_library_the_error_says_what_to_install(prepared_project, monkeypatch):
    monkeypatch.setitem(sys.modules, "nicegui", None)
    with pytest.raises(DeepExp3DError, match=r"pip install 'deepexp3d\[review\]'"):
        serve_review_page(prepared_project)


def test_a_port_that_is_taken_is_named_with_the_cure(prepared_project):
    pytest.importorskip("nicegui", reason="NiceGUI is not installed: pip install 'deepexp3d[review]'")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(DeepExp3DError, match=rf"127\.0\.0\.1:{port}: .*choose another --port"):
            serve_review_page(prepared_project, port=port)
