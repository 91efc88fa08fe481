"""Shards give back what went in, are the same bytes every time, and are whole or absent."""

import hashlib
import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

from models.errors import ImageError, ModelMismatchError
from models.expression.alignment import IMAGE_SIZE
from models.expression.shards import Sample, ShardReader, decoded, number_of_samples, read_samples, write_shards


def unsure(sample, uncertainty):
    return replace(sample, uncertainty=np.full(28, uncertainty, np.float32))


def digest(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def test_samples_come_back_as_they_were_written(patterned_samples, tmp_path):
    rng = np.random.default_rng(0)
    samples = [
        replace(sample, weight=0.5 + index, uncertainty=rng.random(28, np.float32))
        for index, sample in enumerate(patterned_samples(40, seed=2))
    ]
    assert write_shards(samples, tmp_path / "out", chunk_mb=0.02, jpeg_quality=95) == 40
    assert len(list((tmp_path / "out").glob("*.bin"))) > 3
    assert number_of_samples(tmp_path / "out") == 40
    for written, read in zip(samples, read_samples(tmp_path / "out"), strict=True):
        assert (read.video_id, read.frame, read.weight) == (written.video_id, written.frame, written.weight)
        np.testing.assert_array_equal(read.expression, written.expression)
        np.testing.assert_array_equal(read.landmarks, written.landmarks.astype(np.float32))
        np.testing.assert_allclose(read.uncertainty, written.uncertainty, rtol=1e-3)
        assert np.abs(read.image.astype(int) - written.image).mean() < 3


def test_colours_keep_their_order(tmp_path):
    image = np.zeros((224, 224, 3), np.uint8)
    image[..., 0] = 200
    write_shards(
        [Sample(image, np.zeros(28), np.zeros((68, 2)), "red", 0)], tmp_path / "out", chunk_mb=1, jpeg_quality=95
    )
    (read,) = read_samples(tmp_path / "out")
    assert read.image[..., 0].mean() > 190
    assert read.image[..., 2].mean() < 10


def as_jpeg(image, suffix=".jpg"):
    return cv2.imencode(suffix, image[..., ::-1])[1].tobytes()


def test_an_image_that_is_jpeg_already_is_kept_as_it_is(patterned_samples, tmp_path):
    sample = patterned_samples(1, seed=0)[0]
    jpeg = as_jpeg(sample.image)
    write_shards([replace(sample, image=jpeg)], tmp_path / "out", chunk_mb=1, jpeg_quality=20)
    assert ShardReader(tmp_path / "out")[0].jpeg.tobytes() == jpeg
    (read,) = read_samples(tmp_path / "out")
    assert np.abs(read.image.astype(int) - sample.image).mean() < 3


@pytest.mark.parametrize(
    "image",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"not an image", id="no image"),
        pytest.param(as_jpeg(np.zeros((100, 100, 3), np.uint8)), id="of another size"),
        pytest.param(as_jpeg(np.zeros((224, 224, 3), np.uint8), ".png"), id="png"),
    ],
)
def test_bytes_that_are_no_aligned_jpeg_are_named(patterned_samples, tmp_path, image):
    sample = replace(patterned_samples(1, seed=0)[0], video_id="culprit", image=image)
    with pytest.raises(ImageError, match=r"culprit.*as JPEG.*bytes"):
        write_shards([sample], tmp_path / "out", chunk_mb=1, jpeg_quality=90)


def test_a_jpeg_with_a_broken_expression_is_named(patterned_samples, tmp_path):
    sample = patterned_samples(1, seed=0)[0]
    broken = replace(sample, video_id="culprit", image=as_jpeg(sample.image), expression=np.full(28, np.nan))
    with pytest.raises(ImageError, match=r"culprit.*finite expression"):
        write_shards([broken], tmp_path / "out", chunk_mb=1, jpeg_quality=90)


def test_one_sample_can_be_read_alone(patterned_samples, tmp_path):
    write_shards(patterned_samples(20, seed=2), tmp_path / "out", chunk_mb=0.02, jpeg_quality=90)
    alone, among_others = ShardReader(tmp_path / "out").sample(13), list(read_samples(tmp_path / "out"))[13]
    assert (alone.video_id, alone.frame) == (among_others.video_id, among_others.frame) == ("video-1", 5)
    np.testing.assert_array_equal(alone.image, among_others.image)


def test_the_same_samples_give_the_same_bytes(patterned_samples, tmp_path):
    for name in ("first", "second"):
        write_shards(patterned_samples(20, seed=2), tmp_path / name, chunk_mb=0.02, jpeg_quality=90)
    assert digest(tmp_path / "first") == digest(tmp_path / "second")


def test_reading_leaves_the_folder_as_it_is(patterned_samples, tmp_path):
    write_shards(patterned_samples(20, seed=2), tmp_path / "out", chunk_mb=0.02, jpeg_quality=90)
    before = digest(tmp_path / "out")
    assert len(list(read_samples(tmp_path / "out"))) == 20
    assert digest(tmp_path / "out") == before


def test_a_video_named_like_a_file_keeps_its_name(patterned_samples, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clip.mp4").write_bytes(b"not a name")
    sample = replace(patterned_samples(1, seed=0)[0], video_id="clip.mp4")
    write_shards([sample], tmp_path / "out", chunk_mb=1, jpeg_quality=90)
    assert next(read_samples(tmp_path / "out")).video_id == "clip.mp4"


def test_a_failed_write_leaves_the_old_shards_and_nothing_else(patterned_samples, tmp_path):
    write_shards(patterned_samples(10, seed=2), tmp_path / "out", chunk_mb=0.02, jpeg_quality=90)
    before = digest(tmp_path / "out")

    def dying():
        yield from patterned_samples(5, seed=3)
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        write_shards(dying(), tmp_path / "out", chunk_mb=0.02, jpeg_quality=90)
    assert digest(tmp_path / "out") == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("old_is_there", [True, False])
def test_what_a_killed_run_left_behind_is_cleared_away(patterned_samples, tmp_path, old_is_there):
    """A run may die while building, or between moving the old folder away and the new one in."""
    write_shards(patterned_samples(10, seed=2), tmp_path / "out", chunk_mb=0.02, jpeg_quality=90)
    (tmp_path / ".out-abc").mkdir()
    (tmp_path / ".out-abc" / "chunk-0-0.bin").write_bytes(b"half")
    if not old_is_there:
        (tmp_path / "out").rename(tmp_path / ".out-xyz-old")
    write_shards(patterned_samples(5, seed=3), tmp_path / "out", chunk_mb=0.02, jpeg_quality=90)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert number_of_samples(tmp_path / "out") == 5


@pytest.mark.parametrize(
    "change",
    [
        {"image": np.zeros((100, 100, 3), np.uint8)},
        {"image": np.zeros((224, 224, 3), np.float32)},
        {"expression": np.full(28, np.nan)},
        {"landmarks": np.full((68, 2), np.nan)},
        {"landmarks": np.zeros((51, 2))},
    ],
)
def test_a_sample_that_breaks_the_contract_is_named(patterned_samples, tmp_path, change):
    sample = replace(patterned_samples(1, seed=0)[0], video_id="culprit", **change)
    with pytest.raises(ImageError, match="culprit"):
        write_shards([sample], tmp_path / "out", chunk_mb=1, jpeg_quality=90)


def test_no_samples_at_all_are_an_error_that_says_so(tmp_path):
    with pytest.raises(ImageError, match="no sample"):
        write_shards([], tmp_path / "out", chunk_mb=1, jpeg_quality=90)


def test_chunks_that_would_be_unpickled_are_refused(patterned_samples, tmp_path):
    write_shards(patterned_samples(3, seed=0), tmp_path / "out", chunk_mb=1, jpeg_quality=90)
    index = json.loads((tmp_path / "out" / "index.json").read_text())
    index["config"]["data_format"][0] = "pickle"
    (tmp_path / "out" / "index.json").write_text(json.dumps(index))
    with pytest.raises(ModelMismatchError, match="pickle"):
        next(read_samples(tmp_path / "out"))


def test_an_expression_is_exact_unless_it_says_otherwise(patterned_samples, tmp_path):
    exact, vague = patterned_samples(2, seed=0)
    write_shards([exact, unsure(vague, 0.5)], tmp_path / "out", chunk_mb=1, jpeg_quality=90)
    found = [sample.uncertainty for sample in read_samples(tmp_path / "out")]
    np.testing.assert_array_equal(found, np.repeat([[0.0], [0.5]], 28, axis=1))


def test_any_sample_can_be_read_as_litdata_reads_it(patterned_samples, tmp_path):
    from litdata import StreamingDataset

    samples = [unsure(sample, 0.25) for sample in patterned_samples(30, seed=2)]
    write_shards(samples, tmp_path / "out", chunk_mb=0.02, jpeg_quality=90)
    reader, theirs = ShardReader(tmp_path / "out"), StreamingDataset(str(tmp_path / "out"), shuffle=False)
    assert len(reader.chunk_sizes) > 3
    for index in np.random.default_rng(0).permutation(30):
        record, item = reader[index], theirs[int(index)]
        assert (record.video_id.encode(), record.frame) == (bytes(item["video_id"]), item["frame"])
        assert record.weight == item["weight"]
        assert record.jpeg.tobytes() == bytes(item["image"])
        for name in ("expression", "landmarks", "uncertainty"):
            np.testing.assert_array_equal(getattr(record, name).reshape(-1), item[name])


def test_samples_of_a_video_share_a_number(patterned_samples, tmp_path):
    write_shards(patterned_samples(30, seed=2), tmp_path / "out", chunk_mb=0.02, jpeg_quality=90)
    np.testing.assert_array_equal(ShardReader(tmp_path / "out").videos(), np.arange(30) // 8)


@pytest.mark.parametrize("damage", ["missing", "short"])
def test_a_damaged_chunk_is_named(patterned_samples, tmp_path, damage):
    write_shards(patterned_samples(30, seed=2), tmp_path / "out", chunk_mb=0.02, jpeg_quality=90)
    chunk = sorted((tmp_path / "out").glob("*.bin"))[1]
    chunk.unlink() if damage == "missing" else chunk.write_bytes(chunk.read_bytes()[:-10])
    with pytest.raises(ModelMismatchError, match=rf"{chunk.name}.*write the shards again"):
        ShardReader(tmp_path / "out")


@pytest.mark.parametrize("size", [28, 56, 64, 100, 112, 224])
def test_a_small_image_is_the_large_one_averaged_over_areas(patterned_samples, tmp_path, size):
    """The decoder's own shrinking must neither shift the image nor swap its colours."""
    image = cv2.resize(np.random.default_rng(0).integers(0, 255, (14, 14, 3), np.uint8), (IMAGE_SIZE, IMAGE_SIZE))
    sample = replace(patterned_samples(1, seed=0)[0], image=image)
    write_shards([sample], tmp_path / "out", chunk_mb=1, jpeg_quality=95)
    expected = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA).astype(int)
    found = decoded(ShardReader(tmp_path / "out")[0].jpeg, size)
    assert np.abs(found - expected).mean() < 2.5


@pytest.mark.parametrize("uncertainty", [np.full(28, np.nan), np.full(28, -0.1), np.zeros(27)])
def test_uncertainties_that_say_nothing_are_refused(patterned_samples, tmp_path, uncertainty):
    sample = replace(patterned_samples(1, seed=0)[0], video_id="culprit", uncertainty=uncertainty)
    with pytest.raises(ImageError, match=r"culprit.*uncertainties"):
        write_shards([sample], tmp_path / "out", chunk_mb=1, jpeg_quality=90)


def test_chunks_of_an_older_release_are_refused_with_the_cure(patterned_samples, tmp_path):
    """They held no landmarks."""
    write_shards(patterned_samples(3, seed=0), tmp_path / "out", chunk_mb=1, jpeg_quality=90)
    index = json.loads((tmp_path / "out" / "index.json").read_text())
    del index["config"]["data_format"][2]
    (tmp_path / "out" / "index.json").write_text(json.dumps(index))
    for read in (number_of_samples, lambda folder: next(read_samples(folder))):
        with pytest.raises(ModelMismatchError, match=r"older release.*landmarks.*write the shards again"):
            read(tmp_path / "out")
