"""What can be set about scans, range images and their registration, without the libraries that they take."""

from dataclasses import dataclass


@dataclass(frozen=True)
class RangeImageSettings:
    """How a scan becomes a range image.

    Attributes
    ----------
    size : side of the square image, pixels (section 4.3.1: 512)
    margin : share of the side that stays empty on each side of the scan
    largest_hole : holes up to this area, in square mm, are filled; larger ones stay, as an open mouth does
    spike_height : a vertex that stands out of its neighbours by more than this, in mm, is no part of the face
    smallest_piece : pieces of a scan smaller than this share of its largest one are dropped
    """

    size: int = 512
    margin: float = 0.1
    largest_hole: float = 150.0
    spike_height: float = 5.0
    smallest_piece: float = 0.05


@dataclass(frozen=True)
class RegistrationSettings:
    """How a range image is registered to a photograph by maximisation of mutual information (section 4.2).

    Attributes
    ----------
    transform : "similarity" (turn, shift and scale) or "rigid" (turn and shift; the scale is that of the start)
    picture : what is compared: "relief", the fine structure of the surface as a lamp at the camera would show it with
        the fine structure of the photograph, or "depth", depth with grey levels, as the paper has it
    bins : of the joint histogram
    shrink : resolutions of the optimiser, one after the other, for coarse structure and again for fine. On a level of 2
        every second column and row of the range image's pixels is compared, after it and the photograph were blurred
        by half a pixel (a quarter of the level); the photograph keeps its pixels. The last level is the finest that is
        looked at: with (2,) or (4, 2) half of the resolution, with (2, 1) all of it
    iterations : of the optimiser on each level, at most
    relit : how often the surface is lit as the photograph turns out to be, and registered again
    starts : places about the start from which the registration is tried, beside the start itself where one is given
    largest_shift, largest_turn, largest_scale : how far from the start they may be: share of the photograph's side,
        degrees, and factor
    smallest_face, largest_face : width of the scan that is searched for where nothing tells the start, share of the
        photograph's side
    worst_information : mutual information, in nats, below which scan and photograph do not belong together
    largest_disagreement : nor do they where the registration moves eyes, nose and lips farther than this from where
        landmarks put them, share of the distance of the outer eye corners
    """

    transform: str = "similarity"
    picture: str = "relief"
    bins: int = 20
    shrink: tuple[int, ...] = (2,)
    iterations: int = 60
    relit: int = 2
    starts: int = 4
    largest_shift: float = 0.05
    largest_turn: float = 12.0
    largest_scale: float = 1.08
    smallest_face: float = 0.3
    largest_face: float = 0.85
    worst_information: float = 0.095
    largest_disagreement: float = 0.06


@dataclass(frozen=True)
class CroppingSettings:
    """How the face is cut out (section 4.2).

    Attributes
    ----------
    depth : how much of the face counts, mm behind its nearest point
    margin : of the square around it, share of its side
    """

    depth: float = 80.0
    margin: float = 0.02


@dataclass(frozen=True)
class PreparationSettings:
    """How a scan and its photograph become a pair of registered images.

    Attributes
    ----------
    range_image, registration, cropping : of the steps
    turned : what is done with a scan that is upside down or seen from behind: "turn_back" or "leave_out"
    """

    range_image: RangeImageSettings = RangeImageSettings()
    registration: RegistrationSettings = RegistrationSettings()
    cropping: CroppingSettings = CroppingSettings()
    turned: str = "turn_back"


@dataclass(frozen=True)
class RenderedScanSettings:
    """How rendered scans are made.

    Attributes
    ----------
    intensities : how far the four levels of an expression go, of the strength that the emotion's peak has
    levels : which of the four are scanned, beside neutral; a set without all of them is one that lacks scans
    peak : weakest and strongest peak of a person's expression
    size : side of the photograph, pixels
    spacing : distance of the scan's points, mm
    noise : deviation of its depth, mm
    holes : small holes in each scan, on average
    largest_turn : degrees between scan and photograph, either way
    light : "studio", the same even light for everybody, or "changed", another lamp in every photograph
    """

    intensities: tuple[float, float, float, float] = (0.35, 0.55, 0.75, 1.0)
    levels: tuple[int, ...] = (1, 2, 3, 4)
    peak: tuple[float, float] = (0.8, 1.1)
    size: int = 512
    spacing: float = 1.8
    noise: float = 0.15
    holes: float = 3.0
    largest_turn: float = 4.0
    light: str = "studio"
