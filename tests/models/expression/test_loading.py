"""A loader goes on where another one stopped, and has its batches ready."""

import json

import numpy as np
import pytest

from models.errors import ModelMismatchError
from models.expression.loading import shard_loader
from models.expression.shards import write_shards

OPTIONS = {"batch_size": 8, "workers": 0, "shuffle": True, "seed": 5, "input_size": 56}


@pytest.fixture(scope="module")
def folder(patterned_samples, tmp_path_factory):
    """64 samples of eight videos."""
    folder = tmp_path_factory.mktemp("loading") / "out"
    write_shards(patterned_samples(64, seed=2), folder, chunk_mb=0.02, jpeg_quality=90)
    return folder


def names(batch):
    return list(zip(batch["video_id"], batch["frame"].tolist(), strict=True))


def test_batches_hold_what_the_samples_say(folder, patterned_samples):
    (batch,) = shard_loader(folder, **OPTIONS | {"batch_size": 64, "shuffle": False})
    samples = patterned_samples(64, seed=2)
    assert names(batch) == [(sample.video_id, sample.frame) for sample in samples]
    assert batch["image"].shape == (64, 56, 56, 3)
    np.testing.assert_array_equal(batch["expression"], [sample.expression for sample in samples])
    np.testing.assert_allclose(batch["landmarks"], [sample.landmarks for sample in samples], rtol=1e-6)
    assert [len(set(batch["video"][start : start + 8].tolist())) for start in range(0, 64, 8)] == [1] * 8
    assert len(set(batch["video"].tolist())) == 8


@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize("stop", [0, 3, 7, 8])
def test_a_loader_goes_on_in_the_middle_of_an_epoch(folder, workers, stop):
    """What was decoded ahead and never asked for comes again."""
    options = OPTIONS | {"workers": workers}
    whole, loader = [], shard_loader(folder, **options)
    for _ in range(2):
        whole += [names(batch) for batch in loader]
    assert len({name for batch in whole[:8] for name in batch}) == 64
    stopped = shard_loader(folder, **options)
    for _, batch in zip(range(stop), stopped, strict=False):
        assert names(batch) in whole
    state = json.loads(json.dumps(stopped.state_dict()))
    resumed = shard_loader(folder, **options)
    resumed.load_state_dict(state)
    rest = [names(batch) for batch in resumed]
    if stop < 8:
        rest += [names(batch) for batch in resumed]
    assert rest == whole[stop:]


def test_threads_change_nothing(folder):
    batches = [[names(batch) for batch in shard_loader(folder, **OPTIONS | {"workers": n})] for n in (0, 2)]
    assert batches[0] == batches[1]


def test_another_seed_gives_another_order(folder):
    orders = [names(next(iter(shard_loader(folder, **OPTIONS | {"seed": seed})))) for seed in (1, 2)]
    assert orders[0] != orders[1]


def test_the_size_of_the_images_may_change_from_batch_to_batch(folder):
    loader = shard_loader(folder, **OPTIONS | {"input_size": lambda number: 28 if number < 11 else 56})
    sizes = [batch["image"].shape[1] for _ in range(2) for batch in loader]
    assert sizes == [28] * 11 + [56] * 5


def test_folders_are_mixed_as_asked(folder, patterned_samples, tmp_path):
    write_shards(patterned_samples(16, seed=3), tmp_path / "few", chunk_mb=0.02, jpeg_quality=90)
    loader = shard_loader([folder, tmp_path / "few"], **OPTIONS | {"batch_size": 40}, shares=[0.25, 0.75])
    known = {sample.expression.tobytes() for sample in patterned_samples(16, seed=3)}
    few = [[row.numpy().tobytes() in known for row in batch["expression"]] for batch in loader]
    assert len(few) == 2
    assert sum(map(sum, few)) == 60
    assert all(20 < sum(batch) < 40 for batch in few)


def test_a_folder_without_shards_is_named(tmp_path):
    with pytest.raises(ModelMismatchError, match="nothing-here"):
        shard_loader(tmp_path / "nothing-here", **OPTIONS)


def test_processes_of_one_training_share_an_epoch(folder, monkeypatch):
    """Each sample goes to one of them."""
    alone = [names(batch) for batch in shard_loader(folder, **OPTIONS)]
    shared = []
    for rank in range(2):
        monkeypatch.setattr("models.expression.loading._rank_and_processes", lambda rank=rank: (rank, 2))
        loader = shard_loader(folder, **OPTIONS)
        assert len(loader) == 4
        shared.append([names(batch) for batch in loader])
    assert [batch for pair in zip(*shared, strict=True) for batch in pair] == alone


def test_no_process_goes_without_a_batch_where_the_last_ones_do_not_suffice(folder, monkeypatch):
    seen = set()
    for rank in range(2):
        monkeypatch.setattr("models.expression.loading._rank_and_processes", lambda rank=rank: (rank, 2))
        batches = [names(batch) for batch in shard_loader(folder, **OPTIONS | {"batch_size": 24, "shuffle": False})]
        assert [len(batch) for batch in batches] == [24, 16 if rank == 0 else 24]
        seen |= {name for batch in batches for name in batch}
    assert len(seen) == 64
