"""A photograph unwrapped onto the face model's texture, and worn again."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
import pytest

from models.errors import ImageError, ModelMismatchError
from models.landmarks.backend import Face, box_around
from models.rendering.head import HeadPose, draw_head, rotation_from_angles
from models.rendering.noise import smooth_noise
from models.rendering.photographed_skin import PhotographedSkin, unwrap, unwrap_photographs
from models.rendering.shading import Lighting
from models.rendering.skin import landmark_texels, made_up_skin, sample_skin
from models.rendering.subject import Subject, sample_subject

EVEN_LIGHT = Lighting(np.array([[0.0, 0.0, 1.0]]), np.zeros((1, 3)), np.ones(3), 0.0, 10.0, 0.0, 0.0)
SIZE = 384


@dataclass(frozen=True)
class Portrait:
    """A photograph of somebody whose skin, and where the landmarks are, is known."""

    person: Subject
    image: np.ndarray
    landmarks: np.ndarray


def worn(person, skin):
    """The same person without hair in another skin (512, 512, 3)."""
    hairless = np.full_like(person.surface.hair, -1)
    return replace(person, surface=replace(person.surface, hair=hairless, skin=np.ascontiguousarray(skin, np.float32)))


def photographed(model, person, yaw=0.0):
    """A portrait in which every pixel of skin has just the colour of the skin, whatever the light."""
    rotation = rotation_from_angles(yaw, 0, 0)
    scale = SIZE * 0.36 / model.interocular_distance
    middle = rotation @ model.landmark_mean[17:].mean(0)
    pose = HeadPose(scale, rotation, SIZE / 2 - scale * middle[:2] * [1, -1])
    lit = []
    for skin in (person.surface.skin, np.full_like(person.surface.skin, 0.5)):
        image = np.full((SIZE, SIZE, 3), 0.2, np.float32)
        still = np.zeros((len(model.mean), 3), np.float32)
        dressed = replace(person, surface=replace(person.surface, skin=np.ascontiguousarray(skin, np.float32)))
        draw_head(image, dressed, still, EVEN_LIGHT, np.zeros(2), pose)
        lit.append(image)
    colours = 0.5 * lit[0] / np.maximum(lit[1], 0.05)
    image = np.rint(255 * colours.clip(0, 1)).astype(np.uint8)
    return Portrait(person, image, pose.points(model.landmarks(person.identity))[:, :2])


def inside(points, shape):
    """Mask of what lies between brows and chin: the hull of points (P, 2)."""
    mask = np.zeros(shape, np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.rint(points).astype(np.int32)), 1)
    return mask > 0


@pytest.fixture(scope="module")
def face_texels(embedded_model):
    """Texels of the face (512, 512) apart from the eyes' sockets and the mouth's inside, which have no skin."""
    points = landmark_texels(embedded_model)
    mask = inside(points[17:], (512, 512)) & (embedded_model.extras["mask_inside_mouth"] == 0)
    for eye in (points[36:42], points[42:48]):
        column, row = eye.mean(0).astype(int)
        mask[row - 22 : row + 22, column - 36 : column + 36] = False
    return mask


@pytest.fixture(scope="module")
def patterned(embedded_model):
    """Somebody whose skin shows a different pattern in every colour."""
    rng = np.random.default_rng(3)
    pattern = np.stack([0.5 + 0.12 * smooth_noise((512, 512), 25, rng) for _ in range(3)], -1).clip(0.1, 0.9)
    person = worn(sample_subject(embedded_model, rng), pattern)
    return photographed(embedded_model, person)


@pytest.fixture(scope="module")
def unwrapped(embedded_model, patterned):
    return unwrap(patterned.image, patterned.landmarks, embedded_model)


def test_unwrapping_gives_back_the_skin(unwrapped, patterned, face_texels):
    assert unwrapped.shape == (512, 512, 3)
    assert unwrapped.dtype == np.uint8
    found, truth = unwrapped[face_texels] / 255, patterned.person.surface.skin[face_texels]
    assert np.abs(found - truth).mean() < 0.03
    for colour in range(3):
        assert np.corrcoef(found[:, colour], truth[:, colour])[0, 1] > 0.94


def test_a_skin_that_is_worn_again_looks_like_the_photograph(embedded_model, unwrapped, patterned):
    again = photographed(embedded_model, worn(patterned.person, unwrapped / 255))
    face = inside(patterned.landmarks[17:], (SIZE, SIZE))
    difference = np.abs(again.image[face].astype(int) - patterned.image[face]).mean()
    spread = np.abs(patterned.image[face] - patterned.image[face].mean(0)).mean()
    assert spread > 15
    assert difference < 0.25 * spread


def test_what_the_photograph_does_not_show_takes_the_colours_around_it(embedded_model):
    person = sample_subject(embedded_model, np.random.default_rng(0))
    colour = np.array([0.6, 0.4, 0.3])
    portrait = photographed(embedded_model, worn(person, np.ones((512, 512, 3)) * colour))
    texture = unwrap(portrait.image, portrait.landmarks, embedded_model) / 255
    assert np.abs(np.median(texture, axis=(0, 1)) - colour).max() < 0.02
    # Ears, neck and the back of the head, none of which can be seen, are skin too, and not background.
    assert (np.abs(texture - colour).max(-1) < 0.1).mean() > 0.93


def test_hair_is_not_taken_for_skin(embedded_model):
    """Here it is grey, and grows all over the head behind the hairline."""
    person = sample_subject(embedded_model, np.random.default_rng(0))
    behind = np.where(embedded_model.mean[:, 1] > embedded_model.landmark_mean[17:27, 1].mean() + 55, 1, -1)
    hairless = worn(person, np.ones((512, 512, 3)) * [0.6, 0.4, 0.3])
    haired = replace(hairless, surface=replace(hairless.surface, hair=behind.astype(np.float32)))
    portrait = photographed(embedded_model, haired)
    assert (np.abs(portrait.image / 255 - 0.5).max(-1) < 0.02).mean() > 0.02
    texture = unwrap(portrait.image, portrait.landmarks, embedded_model) / 255
    assert (np.abs(texture - [0.6, 0.4, 0.3]).max(-1) < 0.1).mean() > 0.9


def test_a_turned_head_leaves_no_stains_on_the_far_side(embedded_model):
    person = sample_subject(embedded_model, np.random.default_rng(0))
    portrait = photographed(embedded_model, worn(person, np.ones((512, 512, 3)) * [0.6, 0.4, 0.3]), yaw=35.0)
    texture = unwrap(portrait.image, portrait.landmarks, embedded_model) / 255
    assert (np.abs(texture - [0.6, 0.4, 0.3]).max(-1) < 0.15).mean() > 0.9


def test_a_model_without_texture_masks_is_refused(small_model, patterned):
    with pytest.raises(ModelMismatchError, match=r"no texture masks; build the embedded model"):
        unwrap(patterned.image, patterned.landmarks, small_model)


@dataclass(frozen=True)
class Knowing:
    """A detector that knows the portrait, and finds nobody in a picture without light."""

    landmarks: np.ndarray

    def detect(self, image):
        return [Face(self.landmarks, box_around(self.landmarks), 1.0)] if image.any() else []


def written(path, image):
    cv2.imwrite(str(path), image[..., ::-1])
    return path


def test_photographs_without_a_face_are_left_out(embedded_model, patterned, unwrapped, tmp_path):
    photographs = [
        written(tmp_path / "empty.png", np.zeros_like(patterned.image)),
        written(tmp_path / "anna.png", patterned.image),
    ]
    skins = unwrap_photographs(photographs, embedded_model, Knowing(patterned.landmarks))
    assert skins.names == ("anna.png",)
    np.testing.assert_array_equal(skins.textures[0], unwrapped)


def test_a_folder_without_any_face_is_one_error_that_says_so(embedded_model, patterned, tmp_path):
    empty = written(tmp_path / "empty.png", np.zeros_like(patterned.image))
    with pytest.raises(ImageError, match="no face in any of the photographs"):
        unwrap_photographs([empty], embedded_model, Knowing(patterned.landmarks))


def test_a_photograph_that_cannot_be_read_is_named(embedded_model, patterned, tmp_path):
    (tmp_path / "torn.jpg").write_bytes(b"not an image")
    with pytest.raises(ImageError, match=r"torn\.jpg"):
        unwrap_photographs([tmp_path / "torn.jpg"], embedded_model, Knowing(patterned.landmarks))


def test_skins_survive_saving(tmp_path):
    textures = np.random.default_rng(0).integers(0, 255, (2, 8, 8, 3), dtype=np.uint8)
    PhotographedSkin(textures, ("anna.jpg", "åse.jpg")).save(tmp_path / "skins.npz")
    loaded = PhotographedSkin.load(tmp_path / "skins.npz")
    np.testing.assert_array_equal(loaded.textures, textures)
    assert loaded.names == ("anna.jpg", "åse.jpg")
    assert len(loaded) == 2


def test_another_persons_make_up_keeps_the_photographed_face(embedded_model, unwrapped, face_texels):
    """Whatever the tint, the pattern stays, as it was or mirrored."""
    correlations = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        appearance = replace(sample_skin(rng, 0.5, np.full(3, 0.2)), stubble=0.0)
        texture = made_up_skin(embedded_model, unwrapped, appearance, rng)
        assert texture.dtype == np.float32
        assert 0 <= texture.min() < texture.max() <= 1
        correlations.append(np.corrcoef(texture[face_texels].ravel(), unwrapped[face_texels].ravel())[0, 1])
    as_it_was = np.array(correlations) > 0.8
    assert 0 < as_it_was.sum() < 8
    assert np.abs(np.array(correlations)[~as_it_was]).max() < 0.6


def test_a_mirrored_skin_has_its_features_where_the_face_has_them(embedded_model):
    """Dark brows and red lips, painted where the landmarks are, stay there."""
    points = landmark_texels(embedded_model)
    texture = np.full((512, 512, 3), 160, np.uint8)
    for landmarks in (points[17:22], points[22:27], points[48:60]):
        cv2.polylines(texture, [np.rint(landmarks).astype(np.int32)], False, (20, 20, 20), 9)
    marks = inside(points[48:60], (512, 512)) & (texture.max(-1) < 50)
    for seed in range(8):
        rng = np.random.default_rng(seed)
        appearance = replace(sample_skin(rng, 0.5, np.full(3, 0.2)), stubble=0.0)
        dark = made_up_skin(embedded_model, texture, appearance, rng)[marks].mean()
        assert dark < 0.25


def test_beard_shadow_is_added_to_a_photographed_skin(embedded_model):
    plain = np.full((512, 512, 3), 160, np.uint8)
    column, row = landmark_texels(embedded_model)[[8, 57]].mean(0).astype(int)
    chins = []
    for stubble in (0.0, 0.9):
        rng = np.random.default_rng(1)
        appearance = replace(sample_skin(rng, 0.5, np.full(3, 0.2)), stubble=stubble)
        texture = made_up_skin(embedded_model, plain, appearance, rng)
        chins.append(texture[row - 4 : row + 5, column - 9 : column + 10].mean())
    assert chins[1] < 0.85 * chins[0]


def test_a_photographed_skin_changes_nothing_but_the_skin(embedded_model):
    blue = np.tile(np.uint8([30, 60, 200]), (512, 512, 1))
    painted, dressed = (
        sample_subject(embedded_model, np.random.default_rng(5), 1.0, photograph) for photograph in (None, blue)
    )
    np.testing.assert_array_equal(painted.identity, dressed.identity)
    np.testing.assert_array_equal(painted.surface.hair_colour, dressed.surface.hair_colour)
    assert painted.surface.skin[..., 0].mean() > painted.surface.skin[..., 2].mean()
    assert dressed.surface.skin[..., 2].mean() > 3 * dressed.surface.skin[..., 0].mean()
