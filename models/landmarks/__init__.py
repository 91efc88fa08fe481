"""Landmarks of faces in images and videos: backends, tracking, temporal smoothing."""

from models.landmarks.backend import BACKENDS, Face, LandmarkBackend, load_backend
from models.landmarks.smoothing import SmoothedLandmarks, smooth
from models.landmarks.tracking import LostTrack, Track, Tracking, track_first_frame_faces
from models.landmarks.video import Detections, landmark_video

__all__ = [
    "BACKENDS",
    "Detections",
    "Face",
    "LandmarkBackend",
    "LostTrack",
    "SmoothedLandmarks",
    "Track",
    "Tracking",
    "landmark_video",
    "load_backend",
    "smooth",
    "track_first_frame_faces",
]
