"""How synthetic people are made. Light to import: no rendering code."""

from dataclasses import dataclass, field

from models.morphable_model.expressions import ExpressionSettings


@dataclass(frozen=True)
class SyntheticVideoSettings:
    """How synthetic videos are made. Shares are probabilities per video.

    Attributes
    ----------
    frames, size, frames_per_second : length, side of the square image in pixels, rate
    face_size : smallest and largest inter-ocular distance, share of the image's width
    largest_yaw, largest_pitch, largest_roll : degrees
    still_share : heads that hardly turn, as of somebody who talks to the camera
    glasses_share, occluder_share : with glasses; with things that pass in front of the face
    interruption_share : with a cut to an empty scene for a moment, in which the face is lost
    largest_blur, largest_noise : pixels, and grey levels of 255
    oversampling : heads are drawn this much larger and averaged, which smooths their outline
    identity_spread : identities are this many of the model's deviations wide
    expression : how much and how often the face moves
    """

    frames: int = 150
    size: int = 256
    frames_per_second: float = 30.0
    face_size: tuple[float, float] = (0.24, 0.40)
    largest_yaw: float = 45.0
    largest_pitch: float = 20.0
    largest_roll: float = 15.0
    still_share: float = 0.2
    glasses_share: float = 0.15
    occluder_share: float = 0.25
    interruption_share: float = 0.05
    largest_blur: float = 1.2
    largest_noise: float = 6.0
    oversampling: float = 1.5
    identity_spread: float = 1.0
    expression: ExpressionSettings = field(default_factory=ExpressionSettings)


@dataclass(frozen=True)
class SyntheticImageSettings:
    """How posed images are made.

    Attributes
    ----------
    size : side of the square image, pixels
    face_size : smallest and largest inter-ocular distance, share of the width
    intensity : weakest and strongest posing of an emotion
    blend_share, blend_intensity : how often, and at most how strongly, another emotion shows as well
    habit : strength of the face that a subject makes at rest
    yaw_spread : degrees about the asked-for view
    largest_blur, largest_noise, oversampling, identity_spread : as in `SyntheticVideoSettings`
    """

    size: int = 256
    face_size: tuple[float, float] = (0.28, 0.38)
    intensity: tuple[float, float] = (0.5, 1.1)
    blend_share: float = 0.25
    blend_intensity: float = 0.4
    habit: float = 0.5
    yaw_spread: float = 5.0
    largest_blur: float = 0.8
    largest_noise: float = 4.0
    oversampling: float = 1.5
    identity_spread: float = 1.0
