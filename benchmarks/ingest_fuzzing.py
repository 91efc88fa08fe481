"""What becomes of broken files: `python -m benchmarks.ingest_fuzzing --files 1000 --json FILE`.

Small sound clips in the containers and codecs that users bring are cut off, overwritten, shortened, lengthened, mixed
with each other and given impossible numbers in their headers; beside them are files that only pretend to be videos.
All go through the stage that takes videos in. Every one must come out with a row in the manifest, used or refused with
a reason; the stage must end, and nothing half-written may be left. What is to be used is then read to its end, as the
next stage does, which may refuse a file whose headers are sound and whose pictures are not.
"""

import argparse
import json
import os
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import pandas as pd

from assets.raw_videos import read_manifest
from assets.workspace import Workspace
from benchmarks.pipeline_overhead.project import make_project
from models.errors import VideoError
from models.video.decoding import read_frames
from models.video.manifest import find_videos

# Suffix, codec, pixel format, options of the container.
KINDS = (
    (".mp4", "libx264", "yuv420p", {}),
    (".mp4", "libx264", "yuv420p", {"movflags": "faststart"}),
    (".mp4", "libx264", "yuv420p", {"movflags": "frag_keyframe+empty_moov"}),
    (".mov", "mjpeg", "yuvj420p", {}),
    (".avi", "mpeg4", "yuv420p", {}),
    (".mkv", "ffv1", "yuv420p", {}),
    (".webm", "libvpx-vp9", "yuv420p", {}),
)
# Places in the headers of MP4 and MOV after which numbers decide how much is read, and such as no file should hold.
BOXES = (b"mvhd", b"tkhd", b"mdhd", b"elst", b"stsd", b"stts", b"ctts", b"stsc", b"stsz", b"stco", b"stss", b"trun")
EXTREMES = (0, 1, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
PRETENDERS = (
    b"",
    b"these are notes\n" * 40,
    b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
    b"ffconcat version 1.0\nfile /etc/passwd\nduration 1\n",
    b"\x00\x00\x00\x18ftypmp42" + b"\x00" * 200,
    b"\x1aE\xdf\xa3" + b"\xff" * 200,
    b"RIFF\xff\xff\xff\xffAVI LIST" + b"\x00" * 200,
)


@dataclass(frozen=True)
class Outcome:
    """What the stage made of broken files.

    Attributes
    ----------
    files, used, refused : how many there were, and with which status they are in the manifest
    missing : files without a row of their own
    without_reason : refused ones that do not say why
    temporary : files that something half-written left behind
    refused_when_read : files that are to be used, and of which not a frame can be decoded
    returncode : of the stage; None where it was still running after its time
    seconds : that it took
    """

    files: int
    used: int
    refused: int
    missing: int
    without_reason: int
    temporary: int
    refused_when_read: int
    returncode: int | None
    seconds: float

    @property
    def faultless(self) -> bool:
        """Whether the stage came to its end with a row for every file, and left nothing else."""
        faults = self.missing, self.without_reason, self.temporary, self.used + self.refused - self.files
        return self.returncode == 0 and not any(faults)


def sound_clips(folder: Path) -> list[Path]:
    """A clip of twelve frames of each kind."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 255, (48, 64, 3), np.uint8)
    clips = []
    for number, (suffix, codec, pixel_format, options) in enumerate(KINDS):
        path = folder / f"{number}{suffix}"
        with av.open(str(path), "w", options=dict(options)) as container:
            stream = container.add_stream(codec, rate=25)
            stream.width, stream.height, stream.pix_fmt = 64, 48, pixel_format
            for shift in range(12):
                frame = av.VideoFrame.from_ndarray(np.roll(picture, shift, 1), format="rgb24")
                container.mux(stream.encode(frame.reformat(format=pixel_format)))
            container.mux(stream.encode())
        clips.append(path)
    return clips


def cut_off(content: bytes, rng: np.random.Generator) -> bytes:
    """The first part of a file, as an interrupted copy leaves it."""
    return content[: rng.integers(1, len(content))]


def overwrite_bytes(content: bytes, rng: np.random.Generator) -> bytes:
    """Up to sixty-four bytes anywhere are others."""
    changed = bytearray(content)
    for place in rng.integers(0, len(content), rng.integers(1, 65)):
        changed[place] = rng.integers(256)
    return bytes(changed)


def overwrite_block(content: bytes, rng: np.random.Generator) -> bytes:
    """A block is zeros or noise, as on a bad disk."""
    start, end = _block(content, rng)
    return content[:start] + (bytes(end - start) if rng.random() < 0.5 else rng.bytes(end - start)) + content[end:]


def remove_block(content: bytes, rng: np.random.Generator) -> bytes:
    """A block is gone, and all that follows lies elsewhere."""
    start, end = _block(content, rng)
    return content[:start] + content[end:]


def repeat_block(content: bytes, rng: np.random.Generator) -> bytes:
    """A block is there twice."""
    start, end = _block(content, rng)
    return content[:end] + content[start:]


def spoil_header(content: bytes, rng: np.random.Generator) -> bytes:
    """Impossible numbers where a header says how much there is to read; elsewhere, where there is no such header."""
    changed = bytearray(content)
    places = [content.find(box) + 4 for box in BOXES if box in content] or [int(rng.integers(0, 64))]
    for _ in range(rng.integers(1, 5)):
        place = int(rng.choice(places)) + 4 * int(rng.integers(0, 12))
        number = struct.pack(">I", EXTREMES[rng.integers(len(EXTREMES))])
        changed[place : place + 4] = number[: max(0, len(content) - place)]
    return bytes(changed)


SPOILERS: tuple[Callable[[bytes, np.random.Generator], bytes], ...] = (
    cut_off,
    overwrite_bytes,
    overwrite_block,
    remove_block,
    repeat_block,
    spoil_header,
)


def broken_file(number: int, clips: list[Path], rng: np.random.Generator) -> tuple[str, bytes]:
    """Name and content of a file that is broken in some way, or only pretends to be a video."""
    clip, other = (clips[choice] for choice in rng.integers(len(clips), size=2))
    kind = rng.random()
    suffix = clip.suffix if rng.random() < 0.9 else other.suffix
    if kind < 0.05:
        content = PRETENDERS[rng.integers(len(PRETENDERS))]
    elif kind < 0.10:
        content = rng.bytes(int(rng.integers(1, 5000)))
    elif kind < 0.15:
        first, second = clip.read_bytes(), other.read_bytes()
        content = first[: rng.integers(len(first))] + second[rng.integers(len(second)) :]
    else:
        content = clip.read_bytes()
        for spoil in rng.choice(len(SPOILERS), size=rng.integers(1, 3)):
            content = SPOILERS[spoil](content, rng) or b"\x00"
    # Files of one content would be refused as copies; the same damage at another place is another test.
    return f"broken{number:04d}{suffix}", content + struct.pack(">I", number) if content else content


def write_broken_files(folder: Path, number: int, seed: int, clips: list[Path]) -> None:
    """So many broken files; the same seed gives the same ones."""
    folder.mkdir(parents=True, exist_ok=True)
    for count in range(number):
        name, content = broken_file(count, clips, np.random.default_rng([seed, count]))
        (folder / name).write_bytes(content)


def ingest(workspace: Workspace, limit_s: float) -> Outcome:
    """Run the stage as a process of its own, for as long at most, and see what it made of `data/incoming`."""
    environment = {name: value for name, value in os.environ.items() if name != "DEEPEXP3D_ROOT"}
    begin = time.monotonic()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "assets.raw_videos"],
            cwd=workspace.root,
            env=environment,
            capture_output=True,
            text=True,
            timeout=limit_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        returncode = None
    else:
        returncode = done.returncode
    seconds = time.monotonic() - begin
    if returncode:
        print(done.stderr[-3000:], file=sys.stderr)
    rows = read_manifest(workspace) if returncode == 0 else pd.DataFrame(columns=["path", "status", "reason"])
    refused, used = rows[rows.status == "refused"], rows[rows.status == "ok"]
    names = [file.name for file in find_videos([workspace.data("incoming")])]
    found = Counter(Path(path).name for path in rows.path)
    return Outcome(
        files=len(names),
        used=len(used),
        refused=len(refused),
        missing=sum(found[name] != 1 for name in names),
        without_reason=int((refused.reason.str.len() == 0).sum()),
        temporary=sum(path.is_file() for path in workspace.data("raw_videos").rglob(".*")),
        refused_when_read=sum(not _readable(workspace.path(path)) for path in used.path),
        returncode=returncode,
        seconds=seconds,
    )


def _block(content: bytes, rng: np.random.Generator) -> tuple[int, int]:
    start = int(rng.integers(len(content)))
    return start, min(len(content), start + int(rng.integers(1, 1 + len(content) // 4)))


def _readable(path: Path) -> bool:
    try:
        return sum(1 for _ in read_frames(path, max_side=64)) > 0
    except VideoError:
        return False


def main() -> None:
    """Break, take in, print, and end with a failure where something went wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.ingest_fuzzing",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=float, default=3600, help="seconds after which the stage counts as hanging")
    parser.add_argument("--json", type=Path, help="write the figures as one flat JSON object")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        project = make_project(Path(folder) / "project", {})
        clips = sound_clips(Path(folder) / "sound")
        write_broken_files(project.data("incoming"), options.files, options.seed, clips)
        outcome = ingest(project, options.limit)
    figures = {f"fuzz_{name}": value for name, value in vars(outcome).items()} | {"fuzz_faultless": outcome.faultless}
    for name, value in figures.items():
        print(f"{name:24} {value}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")
    sys.exit(not outcome.faultless)


if __name__ == "__main__":
    main()
