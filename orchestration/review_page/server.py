"""The page's server: where it listens, and what it needs before it does."""

import getpass
import socket

from assets.workspace import Workspace
from models.errors import DeepExp3DError

LOOPBACK = ("127.0.0.1", "::1", "localhost")
INSTALL = "pip install 'deepexp3d[review]'"


def serve_review_page(
    workspace: Workspace,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    reviewer: str | None = None,
    model: str | None = None,
) -> None:
    """Serve the page until it is interrupted.

    Parameters
    ----------
    host, port : where; by default on loopback, at the port of `params.yaml`
    reviewer : name that is filled in at first; by default the user's
    model : network for the photo tab, as for `deepexp3d predict`

    Raises
    ------
    DeepExp3DError
        NiceGUI is not installed, the port is taken, or no video is fitted yet.
    """
    try:
        from nicegui import ui
    except ImportError as error:
        raise DeepExp3DError(f"the review page needs NiceGUI ({error}); install it: {INSTALL}") from None
    port = workspace.params.review.port if port is None else port
    _check_free(host, port)
    from orchestration.review_page.page import build_page

    build_page(workspace, getpass.getuser() if reviewer is None else reviewer, model)
    print(f"Review page  http://{host}:{port}\nCtrl-C stops it.", flush=True)
    if host not in LOOPBACK:
        print("Whoever reaches this address can judge videos under any name.", flush=True)
    ui.run(
        host=host,
        port=port,
        title="DeepExp3D review",
        favicon="🙂",
        dark=None,
        reload=False,
        show=False,
        # A machine that is busy with a training may answer late; the page must not start over for that.
        reconnect_timeout=30.0,
        show_welcome_message=False,
    )


def _check_free(host: str, port: int) -> None:
    """Refuse an address that cannot be listened at, before anything is prepared for it."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family, socket.SOCK_STREAM) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, port))
    except OSError as error:
        raise DeepExp3DError(
            f"{host}:{port}: cannot be listened at ({error}); choose another --port or --host."
        ) from None
