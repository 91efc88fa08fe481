"""Videos: decoding, encoding, the manifest of a collection, and real sample clips."""

from models.video.decoding import Frame, VideoInfo, probe, read_frames
from models.video.encoding import write_video
from models.video.manifest import describe_video, find_videos, manifest_of
from models.video.samples import SampleVideo, sample_videos

__all__ = [
    "Frame",
    "SampleVideo",
    "VideoInfo",
    "describe_video",
    "find_videos",
    "manifest_of",
    "probe",
    "read_frames",
    "sample_videos",
    "write_video",
]
