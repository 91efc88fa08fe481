"""Training images out of an object store: the same samples, in bounded disk."""

import numpy as np
import pytest

from models.errors import StorageUnreachableError
from models.expression.loading import shard_loader
from models.expression.shards import ShardReader, write_shards
from models.expression.streaming import lay_out_stream
from tests.servers import KEY, free_port, new_bucket, s3_client, without_credentials

SPLIT = "train"


@pytest.fixture
def keys(monkeypatch, tmp_path):
    """Keys in the environment, as a user sets them."""
    without_credentials(monkeypatch, tmp_path)
    for name, value in KEY.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def uploaded(patterned_samples, tmp_path, object_store, keys):
    """Shards of several chunks, and the address of each of their files in an object store."""
    folder = tmp_path / "shards" / SPLIT
    write_shards(patterned_samples(30, seed=2), folder, chunk_mb=0.02, jpeg_quality=90)
    assert len(list(folder.glob("*.bin"))) >= 3
    bucket = new_bucket(object_store)
    for file in folder.iterdir():
        s3_client(object_store).upload_file(str(file), bucket, f"here/{file.name}")
    return folder, {f"{SPLIT}/{file.name}": f"s3://{bucket}/here/{file.name}" for file in folder.iterdir()}


def streamed(addresses, folder, endpoint, cache_gb=1.0):
    options = {"endpoint_url": endpoint, "region_name": "us-east-1"}
    return lay_out_stream(addresses, folder, client_options=options, cache_gb=cache_gb) / SPLIT


def batches(folder, workers=0):
    loader = shard_loader(folder, batch_size=4, workers=workers, shuffle=True, seed=3, input_size=112, together=2)
    return [*loader, *loader]


def assert_equal_batches(ours, theirs):
    assert len(ours) == len(theirs) > 2
    for one, other in zip(ours, theirs, strict=True):
        assert one["video_id"] == other["video_id"]
        for name in ("image", "landmarks", "expression", "uncertainty", "weight", "frame", "video"):
            np.testing.assert_array_equal(one[name], other[name])


@pytest.mark.parametrize("workers", [0, 3])
def test_streamed_batches_are_those_of_the_local_folder(uploaded, tmp_path, object_store, workers):
    local, addresses = uploaded
    folder = streamed(addresses, tmp_path / "streamed", object_store)
    assert list(folder.glob("*.bin")) == []
    assert_equal_batches(batches(folder, workers), batches(local))
    assert {path.read_bytes() for path in folder.glob("*.bin")} == {path.read_bytes() for path in local.glob("*.bin")}


def test_the_endpoint_may_come_from_the_environment(uploaded, tmp_path, object_store, monkeypatch):
    local, addresses = uploaded
    monkeypatch.setenv("AWS_ENDPOINT_URL", object_store)
    folder = lay_out_stream(addresses, tmp_path / "streamed", client_options={}, cache_gb=1) / SPLIT
    assert len(ShardReader(folder)) == len(ShardReader(local))
    np.testing.assert_array_equal(ShardReader(folder)[0].jpeg, ShardReader(local)[0].jpeg)


def test_chunks_make_room_for_others(uploaded, tmp_path, object_store):
    local, addresses = uploaded
    sizes = [path.stat().st_size for path in local.glob("*.bin")]
    allowed = 2 * max(sizes)
    assert sum(sizes) > allowed
    folder = streamed(addresses, tmp_path / "streamed", object_store, cache_gb=allowed / 1e9)
    reader, reference = ShardReader(folder), ShardReader(local)
    for index in [*range(len(reference)), *range(len(reference))]:
        np.testing.assert_array_equal(reader[index].jpeg, reference[index].jpeg)
        assert sum(path.stat().st_size for path in folder.glob("*.bin")) <= allowed


def test_what_an_earlier_run_left_counts_and_goes_first(uploaded, tmp_path, object_store):
    local, addresses = uploaded
    folder = streamed(addresses, tmp_path / "streamed", object_store)
    ShardReader(folder).videos()
    taken = sum(path.stat().st_size for path in folder.glob("*.bin"))
    largest = max(path.stat().st_size for path in folder.glob("*.bin"))
    streamed(addresses, tmp_path / "streamed", object_store, cache_gb=largest / 1e9)
    reader = ShardReader(folder)
    np.testing.assert_array_equal(reader[0].jpeg, ShardReader(local)[0].jpeg)
    assert sum(path.stat().st_size for path in folder.glob("*.bin")) <= largest < taken


def test_a_chunk_that_was_not_pushed_is_named(uploaded, tmp_path, object_store):
    _, addresses = uploaded
    folder = streamed(addresses, tmp_path / "streamed", object_store)
    bucket = next(iter(addresses.values())).split("/")[2]
    s3_client(object_store).delete_object(Bucket=bucket, Key="here/chunk-0-1.bin")
    reader = ShardReader(folder)
    with pytest.raises(StorageUnreachableError, match=r"chunk-0-1\.bin: cannot be fetched.*push what is missing"):
        reader.videos()
    assert list(folder.glob("*chunk-0-1*.bin")) == []


def test_a_chunk_of_another_size_is_refused(uploaded, tmp_path, object_store):
    _, addresses = uploaded
    folder = streamed(addresses, tmp_path / "streamed", object_store)
    bucket = next(iter(addresses.values())).split("/")[2]
    s3_client(object_store).put_object(Bucket=bucket, Key="here/chunk-0-0.bin", Body=b"short")
    with pytest.raises(StorageUnreachableError, match=r"chunk-0-0\.bin: 5 bytes came where the index says"):
        ShardReader(folder)[0]
    assert not (folder / "chunk-0-0.bin").exists()


def test_a_store_that_is_down_is_named(uploaded, tmp_path, monkeypatch):
    _, addresses = uploaded
    monkeypatch.setattr("models.expression.streaming.ATTEMPTS", 1)
    with pytest.raises(StorageUnreachableError, match=r"index\.json: cannot be fetched"):
        streamed(addresses, tmp_path / "streamed", f"http://127.0.0.1:{free_port()}")


def test_missing_keys_are_named(uploaded, tmp_path, object_store, monkeypatch):
    _, addresses = uploaded
    without_credentials(monkeypatch, tmp_path)
    with pytest.raises(StorageUnreachableError, match=r"AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY"):
        streamed(addresses, tmp_path / "streamed", object_store)


def test_litdata_streams_the_same_samples_from_the_store(uploaded, tmp_path, object_store):
    from litdata import StreamingDataset

    local, addresses = uploaded
    prefix = next(iter(addresses.values())).rsplit("/", 1)[0]
    options = {"endpoint_url": object_store, "region_name": "us-east-1"}
    dataset = StreamingDataset(prefix, cache_dir=str(tmp_path / "cache"), storage_options=options, shuffle=False)
    reference = ShardReader(local)
    assert len(dataset) == len(reference)
    for index in range(len(reference)):
        record = reference[index]
        assert dataset[index]["image"] == record.jpeg.tobytes()
        np.testing.assert_array_equal(dataset[index]["expression"], record.expression)
        assert dataset[index]["video_id"] == record.video_id.encode()
