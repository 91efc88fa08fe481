"""Fitting a morphable model to landmarks: cameras, single images, whole videos, baselines, and their measurement."""

import importlib

_HOMES = {
    "Clip": "clips",
    "FitSettings": "settings",
    "Reconstruction": "reconstruction",
    "fit_clips": "whole_video",
    "fit_image": "single_image",
    "fit_per_frame": "per_frame",
    "fit_photographs": "whole_video",
    "fit_video": "whole_video",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str):
    """Import the solvers (SciPy, Numba) only when one is asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
