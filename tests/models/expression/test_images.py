"""Files of every kind are read alike, and what cannot be read says why."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from models.errors import ImageError
from models.expression.images import decode_photograph, read_image, read_photograph


@pytest.fixture
def picture() -> np.ndarray:
    """60x80, smooth, with every channel of its own and no symmetry."""
    y, x = np.mgrid[:60, :80]
    return np.stack([3 * x, 4 * y, 255 - 2 * x], -1).astype(np.uint8)


def difference(found: np.ndarray, expected: np.ndarray) -> float:
    assert found.shape == expected.shape
    assert found.dtype == np.uint8
    return float(np.abs(found.astype(int) - expected).mean())


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif", ".webp"])
def test_formats_give_the_same_picture(picture, tmp_path, suffix):
    Image.fromarray(picture).save(tmp_path / f"a{suffix}", quality=95)
    assert difference(read_image(tmp_path / f"a{suffix}"), picture) < 3


def test_grey_has_three_equal_channels(picture, tmp_path):
    Image.fromarray(picture[..., 0]).save(tmp_path / "grey.png")
    assert difference(read_image(tmp_path / "grey.png"), picture[..., :1].repeat(3, 2)) == 0


@pytest.mark.parametrize(("suffix", "channels"), [(".png", 1), (".png", 3), (".tif", 1), (".tif", 3)])
def test_sixteen_bits_become_eight(picture, tmp_path, suffix, channels):
    deep = picture[..., ::-1].astype(np.uint16) * 257
    cv2.imwrite(str(tmp_path / f"deep{suffix}"), deep if channels == 3 else deep[..., 2])
    expected = picture if channels == 3 else picture[..., :1].repeat(3, 2)
    assert difference(read_image(tmp_path / f"deep{suffix}"), expected) < 1


def test_what_is_transparent_is_grey_and_not_what_lies_hidden_there(picture, tmp_path):
    alpha = np.where(np.arange(80) < 40, 255, 0).astype(np.uint8)
    hidden = np.dstack([picture, np.broadcast_to(alpha, picture.shape[:2])])
    Image.fromarray(hidden, "RGBA").save(tmp_path / "cut.png")
    found = read_image(tmp_path / "cut.png")
    assert difference(found[:, :40], picture[:, :40]) == 0
    assert np.all(found[:, 40:] == 128)


def test_cmyk_is_converted(picture, tmp_path):
    Image.fromarray(picture).convert("CMYK").save(tmp_path / "print.jpg", quality=95)
    assert difference(read_image(tmp_path / "print.jpg"), picture) < 4


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_as_their_exif_data_say(picture, tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(picture).save(tmp_path / "phone.jpg", quality=98, exif=exif)
    upright = {
        1: picture, 2: picture[:, ::-1], 3: picture[::-1, ::-1], 4: picture[::-1],
        5: picture.transpose(1, 0, 2), 6: np.rot90(picture, -1), 7: picture[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(picture),
    }  # fmt: skip
    photograph = read_photograph(tmp_path / "phone.jpg")
    assert difference(photograph.image, upright[orientation]) < 3
    np.testing.assert_allclose(photograph.scale, 1)


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
def test_of_animated_pictures_the_first_frame_is_read_and_said(picture, tmp_path, suffix):
    frames = [Image.fromarray(np.roll(picture, 10 * number, axis=1)) for number in range(3)]
    frames[0].save(tmp_path / f"moves{suffix}", save_all=True, append_images=frames[1:], duration=40, lossless=True)
    photograph = read_photograph(tmp_path / f"moves{suffix}")
    # GIF has a palette of 256 colours.
    assert difference(photograph.image, picture) < (8 if suffix == ".gif" else 1)
    assert photograph.remark == "first of 3 frames"
    assert read_photograph_remark_of_still(picture, tmp_path) == ""


def read_photograph_remark_of_still(picture, folder) -> str:
    Image.fromarray(picture).save(folder / "still.png")
    return read_photograph(folder / "still.png").remark


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_a_hundred_megapixels_are_read_smaller(tmp_path, suffix):
    Image.new("RGB", (12_000, 8_500), (200, 100, 50)).save(tmp_path / f"huge{suffix}")
    photograph = read_photograph(tmp_path / f"huge{suffix}", max_side=2000)
    assert photograph.image.shape[:2] == (1417, 2000)
    np.testing.assert_allclose(photograph.scale, 1 / 6, rtol=1e-3)
    assert np.abs(photograph.image.reshape(-1, 3).mean(axis=0) - [200, 100, 50]).max() < 3


def test_scale_of_a_turned_picture_is_along_its_own_axes(picture, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(picture.repeat(10, 0).repeat(20, 1)).save(tmp_path / "phone.jpg", exif=exif)
    photograph = read_photograph(tmp_path / "phone.jpg", max_side=400)
    assert photograph.image.shape[:2] == (400, 150)
    np.testing.assert_allclose(photograph.scale, 0.25)


def test_one_pixel_is_a_picture(tmp_path):
    Image.new("RGB", (1, 1), (9, 8, 7)).save(tmp_path / "dot.png")
    assert read_image(tmp_path / "dot.png").tolist() == [[[9, 8, 7]]]


@pytest.mark.parametrize(
    ("name", "content", "cause"),
    [
        ("empty.png", b"", "no image"),
        ("text.jpg", b"Dear Sir or Madam", "no image"),
        ("fake.heic", b"not HEIC either", "HEIC|no image"),
    ],
)
def test_what_is_no_image_is_named(tmp_path, name, content, cause):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ImageError, match=f"{name}: .*({cause})"):
        read_image(tmp_path / name)


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_a_file_cut_off_is_called_damaged(picture, tmp_path, suffix):
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / f"whole{suffix}")
    whole = (tmp_path / f"whole{suffix}").read_bytes()
    (tmp_path / f"half{suffix}").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ImageError, match=f"half{suffix}: is damaged"):
        read_image(tmp_path / f"half{suffix}")


def test_missing_files_and_folders_are_named(tmp_path):
    with pytest.raises(ImageError, match=r"none\.jpg: cannot be read .*check the path"):
        read_image(tmp_path / "none.jpg")
    with pytest.raises(ImageError, match="cannot be read"):
        read_image(tmp_path)


def test_more_pixels_than_anybody_has_are_refused_before_they_are_decoded(tmp_path):
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b""))
    with pytest.raises(ImageError, match=r"bomb\.png: is too large"):
        read_image(tmp_path / "bomb.png")


def encoded(image: np.ndarray, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, kind, **options)
    return buffer.getvalue()


def test_what_a_stranger_sends_is_read_as_from_a_file(picture, tmp_path):
    data = encoded(picture, "JPEG", quality=90)
    (tmp_path / "file.jpg").write_bytes(data)
    sent = decode_photograph(data, "sent.jpg", max_side=100, max_pixels=10**6)
    stored = read_photograph(tmp_path / "file.jpg", max_side=100)
    assert (sent.image == stored.image).all()
    assert (sent.scale == stored.scale).all()


def test_a_stranger_may_not_choose_among_all_decoders(picture):
    with pytest.raises(ImageError, match="sent: is no JPEG, PNG, WEBP, BMP, GIF image"):
        decode_photograph(encoded(picture, "TIFF"), "sent", max_pixels=10**6)


def test_pixels_beyond_the_limit_are_refused_by_the_files_head(picture):
    height, width = picture.shape[:2]
    with pytest.raises(ImageError, match=f"sent: {width} x {height} pixels are more than 0.001 million; scale it down"):
        decode_photograph(encoded(picture, "PNG"), "sent", max_pixels=1000)


def test_a_jpeg_that_is_decoded_over_and_over_is_refused(picture):
    progressive = encoded(picture, "JPEG", progressive=True)
    last = progressive.rindex(b"\xff\xc4", 0, progressive.rindex(b"\xff\xda"))
    for between in (b"", b"\xff\x01", b"\xff\xff"):
        endless = progressive[:-2] + 50 * (between + progressive[last:-2]) + progressive[-2:]
        with pytest.raises(ImageError, match="sent: a JPEG of more than 40 scans"):
            decode_photograph(endless, "sent", max_pixels=10**6)
    thumbnails = b"".join(b"\xff\xe1" + (2 + len(progressive)).to_bytes(2, "big") + progressive for _ in range(20))
    ordinary = progressive[:2] + thumbnails + progressive[2:] + 100 * b"\xff\xda what a telephone appends"
    assert decode_photograph(ordinary, "sent", max_pixels=10**6).image.shape == picture.shape


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "GIF"])
def test_damaged_bytes_are_called_damaged_or_read_and_nothing_else(picture, kind):
    whole = encoded(picture[::2, ::2], kind)
    rng = np.random.default_rng(3)
    refused = 0
    for _ in range(60):
        data = bytearray(whole[: rng.integers(1, len(whole) + 1)])
        for place in rng.integers(0, len(data), rng.integers(0, 12)):
            data[place] = rng.integers(256)
        try:
            image = decode_photograph(bytes(data), "sent", max_side=64, max_pixels=10**6).image
            assert image.dtype == np.uint8
            assert max(image.shape[:2]) <= 64
        except ImageError:
            refused += 1
    assert refused > 0
