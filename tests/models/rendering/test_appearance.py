"""Skin, noise, light and the sensor."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from models.rendering.noise import smooth_noise, smooth_path
from models.rendering.sensor import Sensor, compressed, expose, shrunk
from models.rendering.skin import landmark_texels, paint_skin, sample_skin
from models.rendering.subject import sample_subject

CLEAN = Sensor(blur=0, noise=0, gain=np.ones(1), cast=np.ones(3), gamma=1.0, grey=False)


def test_lips_are_redder_than_the_cheek_and_brows_darker(embedded_model):
    rng = np.random.default_rng(0)
    skin = replace(sample_skin(rng, 0.8, np.array([0.1, 0.08, 0.07])), stubble=0.0, freckles=0, moles=0)
    texture = paint_skin(embedded_model, replace(skin, brow_density=1.0, brow_lift=0.0), rng)
    assert texture.shape == (512, 512, 3)
    assert texture.min() >= 0
    assert texture.max() <= 1

    def colour(points):
        column, row = np.mean(points, axis=0).astype(int)
        return texture[row - 2 : row + 3, column - 2 : column + 3].mean((0, 1))

    points = landmark_texels(embedded_model)
    lip, cheek, brow = colour(points[[57, 66]]), colour(points[[2, 31]]), colour(points[[18, 19]])
    assert lip[0] / lip[1] > 1.1 * cheek[0] / cheek[1]
    assert brow.mean() < 0.85 * cheek.mean()


def test_hair_does_not_move_landmarks(embedded_model):
    person = sample_subject(embedded_model, np.random.default_rng(1))
    drawn = embedded_model.landmarks_of(person.vertices.astype(float))
    np.testing.assert_allclose(drawn, embedded_model.landmarks(person.identity), atol=1e-2)


def test_noise_of_a_longer_wavelength_is_smoother():
    fields = [smooth_noise((64, 80), wavelength, np.random.default_rng(0)) for wavelength in (1.5, 8, 30)]
    roughness = [np.abs(np.diff(field, axis=1)).mean() for field in fields]
    assert roughness[0] > roughness[1] > roughness[2]
    for field in fields:
        assert field.shape == (64, 80)
        assert np.isclose(field.std(), 1, atol=1e-3)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 100), st.floats(0.1, 5))
def test_paths_have_the_length_asked_for(frames, seconds):
    assert smooth_path(frames, 2, seconds, np.random.default_rng(0), 30.0).shape == (frames, 2)


@settings(max_examples=20, deadline=None)
@given(st.floats(0, 0.79))
def test_a_clean_sensor_shows_light_as_it_is(level):
    image = expose(np.full((4, 4, 3), level, np.float32), CLEAN, 0, np.random.default_rng(0))
    assert abs(int(image[0, 0, 0]) - 255 * level) < 1.6


def test_more_light_is_never_darker_even_beyond_white():
    ramp = np.tile(np.linspace(0, 3, 200, dtype=np.float32)[None, :, None], (1, 1, 3))
    image = expose(ramp, CLEAN, 0, np.random.default_rng(0))[0, :, 0].astype(int)
    assert (np.diff(image) >= 0).all()
    assert image[-1] >= 254


def test_a_grey_camera_has_no_colour():
    light = np.random.default_rng(0).random((8, 8, 3), dtype=np.float32)
    tinted = replace(CLEAN, grey=True, cast=np.array([1.1, 1.0, 0.9]))
    image = expose(light, tinted, 0, np.random.default_rng(0))
    np.testing.assert_array_equal(image[..., 0], image[..., 2])


def test_a_shrunk_image_says_exactly_by_how_much():
    image = np.random.default_rng(0).integers(0, 255, (90, 131, 3), dtype=np.uint8)
    for wanted in (1.0, 0.5, 0.333, 0.01):
        result, factor = shrunk(image, wanted)
        np.testing.assert_array_equal(factor, np.array(result.shape[1::-1]) / [131, 90])
        # Never so small that nothing is left.
        np.testing.assert_allclose(factor, np.maximum(wanted, 8 / np.array([131, 90])), atol=0.5 / 90)
        assert abs(result.mean() - image.mean()) < 2


def test_a_shrunk_image_that_keeps_its_size_is_the_same():
    image = np.random.default_rng(0).integers(0, 255, (20, 30, 3), dtype=np.uint8)
    np.testing.assert_array_equal(shrunk(image, 1.0)[0], image)


def test_compression_loses_more_at_lower_quality_and_keeps_the_order_of_colours():
    rng = np.random.default_rng(0)
    image = np.uint8(255 * (0.5 + 0.1 * smooth_noise((64, 64), 6, rng)[..., None] * [1, 1, 1]).clip(0, 1))
    image[..., 0] = 255 - image[..., 0] // 4
    losses = [np.abs(compressed(image, quality).astype(int) - image).mean() for quality in (95, 50, 10)]
    assert losses[0] < losses[1] < losses[2]
    assert losses[0] < 4
