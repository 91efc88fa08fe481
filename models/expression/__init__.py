"""Expression from images: alignment, training data, the DeepExp3D network, its training, export and use."""


def __getattr__(name: str):
    # The predictor brings detectors and runtimes along, which users of the other modules need not wait for.
    if name in __all__:
        from models.expression import predictor

        return getattr(predictor, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["Prediction", "Predictor"]
