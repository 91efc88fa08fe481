"""How much a network is judged by, without the libraries that it takes."""

from dataclasses import dataclass, field

from models.rendering.settings import SyntheticVideoSettings


@dataclass(frozen=True)
class UnseenSettings:
    """How many rendered people and pictures estimates are judged by.

    Attributes
    ----------
    people, moments : people, and pictures of each with independent expressions, views and lights
    largest_yaw : degrees, of those pictures
    pair_people, pairs : people, and moments of each that are seen from the front and in semi-profile at once
    posing_people : people of whom one neutral and one smiling picture is taken
    picture : light, camera, glasses and occluders
    """

    people: int = 60
    moments: int = 12
    largest_yaw: float = 45.0
    pair_people: int = 60
    pairs: int = 2
    posing_people: int = 120
    picture: SyntheticVideoSettings = field(default_factory=lambda: SyntheticVideoSettings(resting_spread=1.0))


@dataclass(frozen=True)
class RobustnessSettings:
    """Severities of each kind, mildest first, in the units of `models.expression.robustness.UNITS`.

    Attributes
    ----------
    people : on whom they are tried, one strong expression each
    picture : camera of the pictures that are made worse
    """

    people: int = 32
    occlusion: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5)
    blur: tuple[float, ...] = (2.0, 4.0, 6.0, 9.0, 13.0)
    resolution: tuple[float, ...] = (96, 64, 48, 32, 24)
    darkness: tuple[float, ...] = (1.0, 2.0, 3.0, 4.0)
    light: tuple[float, ...] = (30.0, 60.0, 80.0, 100.0)
    yaw: tuple[float, ...] = (15.0, 30.0, 45.0, 60.0, 70.0)
    picture: SyntheticVideoSettings = field(default_factory=lambda: SyntheticVideoSettings(resting_spread=1.0))
