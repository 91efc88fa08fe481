"""Training samples that lie in an object store: a chunk comes when it is first read, and makes room for others later.

A streamed folder looks like one that `write_shards` has written, but for its chunks: in their place a file says where
each of them is to be had.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from models.errors import StorageUnreachableError
from models.storage import written_whole

ADDRESSES = "addresses.json"
CHUNK_SUFFIX = ".bin"
# LitData's client would try for hours; a training that starts with a wrong address should say so at once.
ATTEMPTS, SECONDS = 5, 60


def lay_out_stream(
    addresses: Mapping[str, str], folder: Path | str, *, client_options: Mapping[str, str], cache_gb: float
) -> Path:
    """Make `folder` one whose chunks are streamed; returns it.

    Parameters
    ----------
    addresses : where each file of the folder lies, by its path in there (`train/index.json`): `s3://` addresses
    client_options : of the boto3 client, such as its `endpoint_url`; never a key, which comes from the environment
    cache_gb : disk that the chunks of each split may take, in units of 10^9 bytes

    Raises
    ------
    StorageUnreachableError
        The store does not answer, refuses, or lacks a file.
    """
    folder = Path(folder)
    for name, address in addresses.items():
        if not name.endswith(CHUNK_SUFFIX):
            _download(address, folder / name, client_options)
    for split in {Path(name).parent for name in addresses}:
        chunks = {
            Path(name).name: address
            for name, address in addresses.items()
            if Path(name).parent == split and name.endswith(CHUNK_SUFFIX)
        }
        if chunks:
            content = {"chunks": chunks, "client_options": dict(client_options), "cache_bytes": int(cache_gb * 1e9)}
            with written_whole(folder / split / ADDRESSES) as temporary:
                temporary.write_text(json.dumps(content, indent=1, sort_keys=True))
    return folder


class ChunkStream:
    """The chunks of one streamed folder.

    Attributes
    ----------
    cache_bytes : disk that they may take
    """

    def __init__(self, folder: Path):
        content = json.loads((folder / ADDRESSES).read_text())
        self.cache_bytes: int = content["cache_bytes"]
        self._folder = folder
        self._addresses: dict[str, str] = content["chunks"]
        self._client_options: dict[str, str] = content["client_options"]

    def fetch(self, name: str, size: int) -> Path:
        """Path of a chunk of `size` bytes, once it is there.

        Raises
        ------
        StorageUnreachableError
            The store does not answer or refuses, or what it gives is of another size.
        """
        path = self._folder / name
        if not path.exists():
            _download(self._addresses[name], path, self._client_options)
        if (found := path.stat().st_size) != size:
            path.unlink()
            raise StorageUnreachableError(
                f"{self._addresses[name]}: {found} bytes came where the index says {size}; push the shards again."
            )
        return path


def is_streamed(folder: Path) -> bool:
    """Whether chunks of a folder come from an object store."""
    return (folder / ADDRESSES).exists()


def _download(address: str, path: Path, client_options: Mapping[str, str]) -> None:
    """Fetch one file, whole or not at all, unless another process does so meanwhile."""
    from boto3.exceptions import Boto3Error
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError
    from filelock import FileLock
    from litdata.streaming.downloader import get_downloader

    path.parent.mkdir(parents=True, exist_ok=True)
    patience = Config(connect_timeout=SECONDS, read_timeout=SECONDS, retries={"total_max_attempts": ATTEMPTS})
    downloader = get_downloader(address, str(path.parent), [], {**client_options, "config": patience})
    try:
        with FileLock(path.with_name(f".{path.name}.lock")):
            if not path.exists():
                with written_whole(path) as temporary, open(temporary, "wb") as file:
                    # Into an open file: to a path LitData downloads with a client that refuses addresses without TLS.
                    downloader.download_fileobj(address, file)
    except (Boto3Error, BotoCoreError, ClientError) as error:
        raise StorageUnreachableError(
            f"{address}: cannot be fetched ({error}); check the store, the profile's endpoint and the keys "
            "(AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY), and push what is missing."
        ) from None
