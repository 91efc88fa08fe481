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
    resting_spread : how much faces at rest differ within the expression span, which truth leaves out; 1 is as much as
        the heads do that the model was made from
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
    resting_spread: float = 0.0
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
    largest_blur, largest_noise, oversampling, identity_spread, resting_spread : as in `SyntheticVideoSettings`
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
    resting_spread: float = 0.0


@dataclass(frozen=True)
class TrainingFaceSettings:
    """How the faces that a network learns from are made. Shares are probabilities per image unless said otherwise.

    Attributes
    ----------
    size : side of the rendered square, pixels
    images_per_subject : images of one identity, one after the other
    oversampling, identity_spread, resting_spread : as in `SyntheticVideoSettings`
    face_size : smallest and largest inter-ocular distance, share of the width
    rest, single, sparse, posed : shares of faces at rest, with one unit group, with a random mixture of groups and with
        an emotion's prototype; the others come from sequences of natural expression
    intensity : weakest and strongest posing of an emotion
    blend_share, extra_share : of posed emotions, with traces of another, and with a random mixture of groups as well
    exaggeration_share, largest_exaggeration : expressions beyond what the units' full activation gives, and by how much
    largest_yaw, turned_share : degrees; share of heads that are turned anywhere up to it, the others being near frontal
    photographed_share : of subjects who wear a photographed skin, where there are any
    blended_share : of those, whose skin is a mixture of two
    glasses_share, fringe_share, occluder_share : with glasses, with hair over the forehead, with things in front
    tight_share : cut close around the face, partly through it
    small_share, smallest_face : of images shrunk until the face is small; inter-ocular distance in pixels at least
    compressed_share, lowest_quality : of images that went through JPEG; worst quality
    grey_share : without colour
    exposure : darkest and brightest exposure
    largest_blur, largest_noise : as in `SyntheticVideoSettings`
    nearest_camera : mm; lenses are this far away or farther
    """

    size: int = 256
    images_per_subject: int = 8
    oversampling: float = 1.25
    identity_spread: float = 1.0
    resting_spread: float = 1.0
    face_size: tuple[float, float] = (0.32, 0.44)
    rest: float = 0.10
    single: float = 0.15
    sparse: float = 0.22
    posed: float = 0.42
    intensity: tuple[float, float] = (0.3, 1.3)
    blend_share: float = 0.2
    extra_share: float = 0.4
    exaggeration_share: float = 0.3
    largest_exaggeration: float = 1.4
    largest_yaw: float = 60.0
    turned_share: float = 0.3
    photographed_share: float = 0.85
    blended_share: float = 0.4
    glasses_share: float = 0.1
    fringe_share: float = 0.12
    occluder_share: float = 0.1
    tight_share: float = 0.25
    small_share: float = 0.15
    smallest_face: float = 18.0
    compressed_share: float = 0.5
    lowest_quality: int = 35
    grey_share: float = 0.25
    exposure: tuple[float, float] = (0.8, 1.35)
    largest_blur: float = 0.9
    largest_noise: float = 4.0
    nearest_camera: float = 450.0
