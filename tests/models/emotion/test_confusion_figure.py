"""The picture of a confusion matrix says what its counts say."""

import numpy as np

from models.emotion.confusion_figure import confusion_figure


def texts(figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def test_cells_are_per_cent_of_the_true_class():
    figure = confusion_figure(np.array([[3, 1], [0, 8]]), ("happy", "sad"), "people")
    assert texts(figure) == ["75", "25", "0", "100"]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["happy", "sad"]


def test_a_class_that_was_never_asked_has_an_empty_row():
    assert texts(confusion_figure(np.array([[0, 0], [1, 1]]), ("happy", "sad"))) == ["50", "50"]
