"""The picture of a model."""

import io

from PIL import Image

from models.morphable_model.figure import model_picture


def test_any_model_can_be_pictured(small_model):
    picture = Image.open(io.BytesIO(model_picture(small_model)))
    assert picture.format == "PNG"
    assert picture.width > 600
    assert len(picture.convert("L").getcolors()) > 50
