"""The defaults are the paper's training, and settings that make no sense are refused."""

import pytest

from models.rgbd.network_settings import EarlyStopping, RgbdEvaluationSettings, RgbdHardware, RgbdTrainingSettings


def test_the_defaults_are_those_of_section_5():
    training = RgbdEvaluationSettings().training
    assert (training.epochs, training.learning_rate, training.early_stopping) == (1000, 0.003, None)
    assert len(training.fusion_levels) == 2
    assert not training.fine_tune_backbones
    assert RgbdEvaluationSettings().protocol == "paper"


@pytest.mark.parametrize(
    ("kind", "settings", "named"),
    [
        (RgbdTrainingSettings, {"epochs": 0}, "epochs 0"),
        (RgbdTrainingSettings, {"batch_size": 1}, "batch_size 1"),
        (RgbdTrainingSettings, {"learning_rate": 0.0}, "learning rates"),
        (RgbdTrainingSettings, {"fusion_levels": ()}, "fusion_levels"),
        (EarlyStopping, {"patience": 0}, "patience"),
        (EarlyStopping, {"people": -1}, "negative"),
        (RgbdHardware, {"precision": "float16"}, "float16"),
        (RgbdHardware, {"workers": 0}, "workers"),
        (RgbdEvaluationSettings, {"repeats": 0}, "one repeat"),
        (RgbdEvaluationSettings, {"confidence": 1.0}, "confidence"),
    ],
)
def test_settings_that_make_no_sense_are_refused(kind, settings, named):
    with pytest.raises(ValueError, match=named):
        kind(**settings)
