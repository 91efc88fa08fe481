"""Scan and photograph become a pair that shows the same, pixel by pixel; what cannot be used says why."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from models.errors import ScanError
from models.landmarks.backend import load_backend
from models.rgbd.contents import Scan
from models.rgbd.datasets import read_scans
from models.rgbd.meshes import read_landmarks, read_mesh
from models.rgbd.preparation import fitted, overlay, prepare_pair
from models.rgbd.registration import mean_distance
from models.rgbd.rendered_scans import write_scan
from models.rgbd.settings import PreparationSettings, RegistrationSettings
from tests.models.rgbd.test_registration import truth


@pytest.fixture(scope="module")
def scan(scans, tmp_path_factory) -> Scan:
    """A rendered scan as files."""
    folder = tmp_path_factory.mktemp("bu3dfe")
    write_scan(scans[1], folder / "F0001_AN01WH")
    return read_scans("bu3dfe", folder).scans[0]


@pytest.fixture(scope="module")
def pair(scan):
    return prepare_pair(scan)


def test_depth_lies_where_the_photograph_shows_it(scan, pair, scans):
    mesh = read_mesh(scan.scan)
    height, width = pair.colour.shape[:2]
    landmarks = read_landmarks(scan.landmarks)[:68]
    place = landmarks[:, :2] @ scans[1].to_photograph[:, :2].T + scans[1].to_photograph[:, 2]
    column, row = np.rint(place).astype(int).T
    seen = pair.depth[row, column]
    there = np.isfinite(seen)
    assert there.mean() > 0.9
    assert np.median(np.abs(seen[there] - landmarks[there, 2])) < 1.0
    assert (height, width) == (512, 512)
    assert len(mesh.vertices) > 1000
    np.testing.assert_array_equal(pair.valid, np.isfinite(pair.depth))
    left, top, right, bottom = pair.box
    assert ((place > [left, top]) & (place < [right, bottom])).all()


def test_the_picture_shows_before_and_after_and_the_registered_depth(pair):
    picture = overlay(pair)
    assert picture.shape == (512, 1536, 3)
    assert picture.dtype == np.uint8
    assert (picture[:, :512] != picture[:, 512:1024]).any()


def test_a_turned_scan_is_turned_back_or_left_out(scan, pair, tmp_path):
    rows = scan.scan.read_text().split("\n")
    start, end = rows.index("   point ["), rows.index("   ]")
    turned = [" ".join(f"{s * float(v):.4f}" for s, v in zip((-1, -1, 1), row.strip(",").split(), strict=True)) + ","
              for row in rows[start + 1 : end]]  # fmt: skip
    path = tmp_path / "turned.wrl"
    path.write_text("\n".join(rows[: start + 1] + turned + rows[end:]))
    again = prepare_pair(replace(scan, scan=path))
    assert again.remarks == ("upside down: turned back",)
    assert pair.remarks == ()
    np.testing.assert_allclose(again.depth, pair.depth, atol=1e-3)
    with pytest.raises(ScanError, match="upside down") as caught:
        prepare_pair(replace(scan, scan=path), PreparationSettings(turned="leave_out"))
    assert caught.value.reason == "turned scan"


def test_a_scan_without_texture_coordinates_is_used_and_remarked(scan, pair, tmp_path):
    text = scan.scan.read_text()
    path = tmp_path / "bare.wrl"
    path.write_text(text[: text.index("  texCoord ")] + " }\n}\n")
    bare = prepare_pair(replace(scan, scan=path))
    assert bare.remarks == ("without texture coordinates: used with the photograph alone",)
    np.testing.assert_array_equal(bare.depth, pair.depth)


def test_what_cannot_be_used_says_which_file_and_why(scan, tmp_path):
    wall = tmp_path / "wall.png"
    cv2.imwrite(str(wall), np.random.default_rng(0).integers(0, 255, (300, 200, 3)).astype(np.uint8))
    broken = tmp_path / "broken.wrl"
    broken.write_text("#VRML V2.0 utf8\nShape {")
    for wrong, reason, name in (
        ({"image": tmp_path / "none.bmp"}, "unreadable photograph", "none.bmp"),
        ({"image": wall}, "mismatch", "wall.png"),
        ({"scan": broken}, "broken scan", "broken.wrl"),
    ):
        with pytest.raises(ScanError, match=name) as caught:
            prepare_pair(replace(scan, **wrong))
        assert caught.value.reason == reason


@pytest.fixture(scope="module")
def detector():
    return load_backend("mediapipe")


QUICK = RegistrationSettings(starts=1, relit=1)


def test_a_scan_without_landmarks_is_registered_from_what_a_detector_sees_in_it(scan, scans, detector):
    settings = PreparationSettings(registration=QUICK)
    pair = prepare_pair(replace(scan, landmarks=None), settings, detector)
    true = truth(scans[1], pair.scan)
    assert mean_distance(pair.registration.matrix, true, pair.scan.valid) < 3
    assert mean_distance(pair.registration.start, true, pair.scan.valid) < 10


def test_another_persons_photograph_of_the_same_expression_is_a_mismatch(scan, scans, detector, tmp_path):
    """Its own photograph shares more with a scan than anybody's else does; a bound in between tells them apart."""
    open_to_all = replace(QUICK, worst_information=0.0, largest_disagreement=10.0)

    def shared(image, settings=open_to_all):
        return prepare_pair(
            replace(scan, image=image), PreparationSettings(registration=settings), detector
        ).registration.metric_after

    others = []
    for number, other in enumerate(scans[3::2], start=2):
        write_scan(other, tmp_path / f"F000{number}_AN01WH")
        others.append(tmp_path / f"F000{number}_AN01WH_F2D.bmp")
    own, most = shared(scan.image), max(map(shared, others))
    assert most < 0.9 * own
    between = replace(open_to_all, worst_information=(own + most) / 2)
    assert shared(scan.image, between) == own
    for image in others:
        with pytest.raises(ScanError, match="do not belong together") as caught:
            shared(image, between)
        assert caught.value.reason == "mismatch"


def test_a_registration_that_leaves_the_landmarks_is_a_mismatch(scan, detector):
    settings = PreparationSettings(registration=replace(QUICK, largest_disagreement=1e-4))
    with pytest.raises(ScanError, match=r"eyes, nose and lips .* beside where landmarks show them") as caught:
        prepare_pair(scan, settings, detector)
    assert caught.value.reason == "mismatch"
    assert scan.scan.name in str(caught.value)


def test_photographs_of_any_shape_fit_into_the_square():
    square = fitted(np.full((100, 50, 3), 7, np.uint8), 64)
    assert square.shape == (64, 64, 3)
    assert (square[:, 16:48] == 7).all()
    assert not square[:, :16].any()
    assert not square[:, 48:].any()
