"""The third tab: a network that wants to be released, beside the one that is."""

from collections.abc import Callable

from nicegui import ui

from assets.workspace import Workspace


class RegistryTab:
    def __init__(self, workspace: Workspace, reviewer: Callable[[], str]):
        ui.label("No challenger.")
