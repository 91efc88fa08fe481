"""Small rendered data sets in exactly the publishers' layouts, with which every reader and protocol can be tried.

People of the posed sets pose clearly, in the even light of a studio and with all cameras at once; those of the web sets
are seen in any light, before anything, and pose as people do. What a name says of gender, age or ethnicity is made up:
it only makes the name one of the publisher's.
"""

import csv
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from models.emotion.datasets.contents import SYNTHETIC
from models.emotion.datasets.facts import DATASETS
from models.emotion.labels import EMOTIONS
from models.errors import DatasetError
from models.expression.alignment import similarity
from models.morphable_model.model import LEFT_EYE, RIGHT_EYE, MorphableModel
from models.processes import shared_out
from models.rendering.settings import SyntheticImageSettings
from models.rendering.synthetic_images import (
    SyntheticImage,
    posing_subject,
    render_emotion_image,
    studio_images,
)
from models.storage import written_whole

STUDIO = SyntheticImageSettings(
    face_size=(0.27, 0.30),
    intensity=(0.8, 1.1),
    blend_share=0.0,
    habit=0.3,
    yaw_spread=1.5,
    largest_blur=0.4,
    largest_noise=2.0,
)

# Written anew rather than taken from the readers, so that a set which is read back shows a mistake in either.
_GAZES = {"frontal": 0.0, "left": 25.0, "right": -25.0}
_KDEF_ANGLES = {-90: "FL", -45: "HL", 0: "S", 45: "HR", 90: "FR"}
_KDEF_CODES = dict(zip(EMOTIONS, ("NE", "AN", "DI", "AF", "HA", "SA", "SU"), strict=True))
_JAFFE_CODES = dict(zip(EMOTIONS, ("NE", "AN", "DI", "FE", "HA", "SA", "SU"), strict=True))
_JAFFE_PEOPLE = ("KA", "KL", "KM", "KR", "MK", "NA", "NM", "TM", "UY", "YM")
_CFEE_CATEGORIES = dict(zip(EMOTIONS, (1, 4, 6, 7, 2, 3, 5), strict=True))
_CKPLUS_NUMBERS = dict(zip(EMOTIONS, (0, 1, 3, 4, 5, 6, 7), strict=True))
_RAFDB_NUMBERS = dict(zip(EMOTIONS, (7, 6, 3, 2, 4, 5, 1), strict=True))
_AFFECTNET_NUMBERS = dict(zip(EMOTIONS, (0, 6, 5, 4, 1, 2, 3), strict=True))
_FER2013_NUMBERS = dict(zip(EMOTIONS, (6, 0, 1, 2, 3, 4, 5), strict=True))
_FER2013_FOLDERS = dict(zip(EMOTIONS, ("neutral", "angry", "disgust", "fear", "happy", "sad", "surprise"), strict=True))
# In the order of the columns of FER+.
_VOTED = ("neutral", "happy", "surprised", "sad", "angry", "disgusted", "fearful")
_RAFD_KINDS = (
    ("Caucasian", "female"),
    ("Caucasian", "male"),
    ("Moroccan", "male"),
    ("Kid", "female"),
    ("Kid", "male"),
)

# The first form of a set is written unless another is asked for.
FORMS: Mapping[str, tuple[str, ...]] = {
    "affectnet": ("folders", "tables"),
    "fer2013": ("table", "votes", "folders"),
}
_MOST_PEOPLE = {"rafd": 99, "kdef": 70, "cfee": 800, "ckplus": 900, "jaffe": len(_JAFFE_PEOPLE)}

# Where RAF-DB's aligned images have eyes and mouth, in shares of their side.
_ALIGNED = np.array([[0.31, 0.40], [0.69, 0.40], [0.50, 0.76]])
_ALIGNED_SIDE, _FER2013_SIDE = 100, 48


@dataclass(frozen=True)
class RenderedLayoutSettings:
    """How a rendered data set is made.

    Attributes
    ----------
    studio : images of RaFD, KDEF, CFEE, CK+ and JAFFE
    wild : images of RAF-DB, AffectNet and FER2013
    views : degrees, out of -90, -45, 0, 45 and 90: the cameras of RaFD and KDEF
    gazes : of RaFD, out of "frontal", "left" and "right"
    sessions : of KDEF, out of "A" and "B"
    frames : of a sequence of CK+, from rest to the peak
    poses : of each emotion, by each woman of JAFFE
    test_share : of the people of a web set, who are all in its test part; at least one is where there are two
    form : one of `FORMS` of the set, None for the first
    """

    studio: SyntheticImageSettings = STUDIO
    wild: SyntheticImageSettings = field(default_factory=SyntheticImageSettings)
    views: tuple[int, ...] = (-45, 0, 45)
    gazes: tuple[str, ...] = ("frontal",)
    sessions: tuple[str, ...] = ("A", "B")
    frames: int = 6
    poses: int = 3
    test_share: float = 0.25
    form: str | None = None


@dataclass(frozen=True)
class _Commission:
    """What it takes to photograph people for one set."""

    name: str
    folder: Path
    model: MorphableModel
    first_of_test: int
    seed: int
    settings: RenderedLayoutSettings


@dataclass(frozen=True)
class _WebImage:
    """One image of a web set: `number` counts within its part; `landmarks` (68, 2) in pixels of `image`."""

    image: np.ndarray
    landmarks: np.ndarray
    label: str
    person: int
    part: str
    number: int


def write_rendered_dataset(
    name: str,
    folder: Path | str,
    model: MorphableModel,
    *,
    people: int,
    seed: int,
    settings: RenderedLayoutSettings | None = None,
    workers: int = 1,
) -> None:
    """Render a small data set in a publisher's layout, which `read_dataset(name, folder)` reads.

    A file `SYNTHETIC.txt` says that it is rendered. An earlier rendered set in the folder is replaced. The same numbers
    give the same set, whatever the number of `workers`.

    Parameters
    ----------
    name : a key of `DATASETS`
    people : of whom each poses every emotion
    workers : processes

    Raises
    ------
    DatasetError
        The folder holds anything but a rendered set.
    ModelMismatchError
        The model cannot be rendered.
    ValueError
        The set has no names for so many people, or there is no such form.
    """
    settings = settings or RenderedLayoutSettings()
    folder = Path(folder)
    if people > _MOST_PEOPLE.get(name, people):
        raise ValueError(f"{DATASETS[name].title} has names for {_MOST_PEOPLE[name]} people, not for {people}.")
    forms = FORMS.get(name, (None,))
    if settings.form is not None and settings.form not in forms:
        raise ValueError(f"{DATASETS[name].title} has no form '{settings.form}'; choose one of {forms}.")
    _empty(folder)
    _announce(folder, name, people, seed)
    # Of two people one is tested, however small the share: a published split has two parts.
    first_of_test = people - max(round(settings.test_share * people), min(1, people - 1))
    commission = _Commission(name, folder, model, first_of_test, seed, settings)
    rows = shared_out(partial(_photograph, commission), people, workers)
    if name in _TABLES:
        _TABLES[name](folder, sorted(row for share in rows for row in share), settings.form or forms[0])


def _empty(folder: Path) -> None:
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not (folder / SYNTHETIC).is_file():
        raise DatasetError(f"{folder}: is not empty and holds no rendered set; choose another folder for one.")
    shutil.rmtree(folder)


def _announce(folder: Path, name: str, people: int, seed: int) -> None:
    with written_whole(folder / SYNTHETIC) as path:
        path.write_text(
            f"These photographs are rendered: {people} synthetic people, seed {seed}, in the layout of "
            f"{DATASETS[name].title}. They show nobody of that set. Gender, age and ethnicity in names and tables are "
            "made up.\n"
        )


def _photograph(commission: _Commission, people: Sequence[int]) -> list[tuple]:
    """Write the images of some people; returns the rows that the set's tables need."""
    return [row for person in people for row in _PHOTOGRAPHERS[commission.name](commission, person)]


def _studio(commission: _Commission, person: int) -> Callable[..., list[list[SyntheticImage]]]:
    """`studio_images` of one person."""
    settings, seed = commission.settings.studio, commission.seed
    someone = posing_subject(commission.model, person, seed, settings)
    return partial(studio_images, commission.model, subject=person, seed=seed, settings=settings, person=someone)


def _rafd(commission: _Commission, person: int) -> list[tuple]:
    studio = _studio(commission, person)
    kind, gender = _RAFD_KINDS[person % len(_RAFD_KINDS)]
    for emotion in EMOTIONS:
        for take, gaze in enumerate(commission.settings.gazes):
            (shots,) = studio(emotion, yaws=commission.settings.views, gaze=_GAZES[gaze], take=take)
            for yaw, shot in zip(commission.settings.views, shots, strict=True):
                name = f"Rafd{90 - yaw:03d}_{person + 1:02d}_{kind}_{gender}_{emotion}_{gaze}.jpg"
                _write(commission.folder / name, shot.image)
    return []


def _kdef(commission: _Commission, person: int) -> list[tuple]:
    studio = _studio(commission, person)
    subject = f"{'FM'[person % 2]}{person // 2 + 1:02d}"
    for take, session in enumerate(commission.settings.sessions):
        for emotion in EMOTIONS:
            (shots,) = studio(emotion, yaws=commission.settings.views, take=take)
            for yaw, shot in zip(commission.settings.views, shots, strict=True):
                stem = f"{session}{subject}"
                name = f"{stem}{_KDEF_CODES[emotion]}{_KDEF_ANGLES[yaw]}.JPG"
                _write(commission.folder / stem / name, shot.image)
    return []


def _cfee(commission: _Commission, person: int) -> list[tuple]:
    studio = _studio(commission, person)
    for emotion, category in _CFEE_CATEGORIES.items():
        group = (category - 1) // 4
        folder = (
            commission.folder / "CFEE_Database_230" / f"{4 * group + 1:02d}-{4 * group + 4:02d}" / f"Images{group + 1}"
        )
        ((shot,),) = studio(emotion)
        photograph = 2500 + person * len(EMOTIONS) + category
        _write(folder / f"{category:02d}_{person + 101}_{photograph}.jpg", shot.image)
    return []


def _ckplus(commission: _Commission, person: int) -> list[tuple]:
    studio = _studio(commission, person)
    subject = f"S{person + 5:03d}"
    settings = commission.settings
    for run, emotion in enumerate((emotion for emotion in EMOTIONS if emotion != "neutral"), 1):
        moments = studio(emotion, intensities=np.linspace(0, 1, settings.frames))
        place = Path(subject, f"{run:03d}")
        for frame, (shot,) in enumerate(moments, 1):
            grey = cv2.cvtColor(shot.image, cv2.COLOR_RGB2GRAY)
            _write(commission.folder / "cohn-kanade-images" / place / f"{subject}_{run:03d}_{frame:08d}.png", grey)
        label = commission.folder / "Emotion" / place / f"{subject}_{run:03d}_{settings.frames:08d}_emotion.txt"
        with written_whole(label) as path:
            path.write_text(f"   {_CKPLUS_NUMBERS[emotion]:.7e}\n")
    return []


def _jaffe(commission: _Commission, person: int) -> list[tuple]:
    studio = _studio(commission, person)
    number = person * len(EMOTIONS) * commission.settings.poses
    for emotion in EMOTIONS:
        for pose in range(1, commission.settings.poses + 1):
            ((shot,),) = studio(emotion, take=pose)
            grey = cv2.cvtColor(cv2.resize(shot.image, (256, 256)), cv2.COLOR_RGB2GRAY)
            number += 1
            _write(commission.folder / f"{_JAFFE_PEOPLE[person]}.{_JAFFE_CODES[emotion]}{pose}.{number}.tiff", grey)
    return []


def _wild(commission: _Commission, person: int) -> Iterator[tuple[str, SyntheticImage]]:
    """Every emotion of one person, in any light and before anything."""
    model, seed, settings = commission.model, commission.seed, commission.settings.wild
    someone = posing_subject(model, person, seed, settings)
    for emotion in EMOTIONS:
        yield emotion, render_emotion_image(model, emotion, person, seed=seed, settings=settings, person=someone)


def _web_images(commission: _Commission, person: int) -> Iterator[_WebImage]:
    """A person's images in the wild, numbered within the part that the person belongs to."""
    in_test = person >= commission.first_of_test
    before = (person - commission.first_of_test * in_test) * len(EMOTIONS)
    for number, (emotion, shot) in enumerate(_wild(commission, person), before + 1):
        yield _WebImage(shot.image, shot.landmarks, emotion, person, "test" if in_test else "train", number)


def _rafdb(commission: _Commission, person: int) -> list[tuple]:
    rows = []
    for web in _web_images(commission, person):
        name = f"{web.part}_{web.number:0{5 if web.part == 'train' else 4}d}"
        images = commission.folder / "basic" / "Image"
        _write(images / "original" / f"{name}.jpg", web.image)
        _write(images / "aligned" / f"{name}_aligned.jpg", _aligned(web, _ALIGNED_SIDE))
        annotation = commission.folder / "basic" / "Annotation" / "manual" / f"{name}_manu_attri.txt"
        points = web.landmarks[[*RIGHT_EYE, *LEFT_EYE]].reshape(2, 6, 2).mean(1)
        lines = [f"{x:.3f}\t{y:.3f}" for x, y in (*points, *web.landmarks[[30, 48, 54]])]
        with written_whole(annotation) as path:
            path.write_text("\n".join([*lines, str(person % 2), str(person % 3), str(person % 5)]) + "\n")
        rows.append((web.part, web.number, f"{name}.jpg {_RAFDB_NUMBERS[web.label]}"))
    return rows


def _rafdb_table(folder: Path, rows: list[tuple], _: str | None) -> None:
    with written_whole(folder / "basic" / "EmoLabel" / "list_patition_label.txt") as path:
        # The publisher's list begins with the training part.
        path.write_text("".join(f"{text}\n" for part in ("train", "test") for own, _, text in rows if own == part))


def _affectnet(commission: _Commission, person: int) -> list[tuple]:
    rows = []
    for web in _web_images(commission, person):
        number = _AFFECTNET_NUMBERS[web.label]
        if commission.settings.form == "tables":
            name = f"{person + 1}/{web.number:056x}.jpg"
            _write(commission.folder / "Manually_Annotated_Images" / name, web.image)
            low, high = web.landmarks.min(0).astype(int), web.landmarks.max(0).astype(int)
            points = ";".join(f"{value:.2f}" for value in web.landmarks.ravel())
            rows.append((web.part, web.number, [name, *low, *(high - low), points, number, 0.0, 0.0]))
        else:
            part = commission.folder / ("train_set" if web.part == "train" else "val_set")
            _write(part / "images" / f"{web.number - 1}.jpg", cv2.resize(web.image, (224, 224)))
            annotations = {"exp": str(number), "val": "0.0", "aro": "0.0", "lnd": web.landmarks.ravel()}
            for key, value in annotations.items():
                with written_whole(part / "annotations" / f"{web.number - 1}_{key}.npy") as path:
                    np.save(path, np.array(value), allow_pickle=False)
    return rows


def _affectnet_tables(folder: Path, rows: list[tuple], form: str | None) -> None:
    if form != "tables":
        return
    columns = "subDirectory_filePath face_x face_y face_width face_height facial_landmarks expression valence arousal"
    for part, name in (("train", "training.csv"), ("test", "validation.csv")):
        with (
            written_whole(folder / "Manually_Annotated_file_lists" / name) as path,
            open(path, "w", newline="") as file,
        ):
            table = csv.writer(file)
            table.writerow(columns.split())
            table.writerows(row for own, _, row in rows if own == part)


def _fer2013(commission: _Commission, person: int) -> list[tuple]:
    rows = []
    for web in _web_images(commission, person):
        grey = cv2.cvtColor(_aligned(web, _FER2013_SIDE), cv2.COLOR_RGB2GRAY)
        if commission.settings.form == "folders":
            origin = "Training" if web.part == "train" else "PublicTest"
            name = f"{web.part}/{_FER2013_FOLDERS[web.label]}/{origin}_{web.number}.jpg"
            _write(commission.folder / name, grey)
        else:
            # The contest's two test parts take turns.
            usage = "Training" if web.part == "train" else ("PublicTest", "PrivateTest")[person % 2]
            order = ("Training", "PublicTest", "PrivateTest").index(usage)
            rows.append((order, web.number, usage, web.label, " ".join(map(str, grey.ravel()))))
    return rows


def _fer2013_tables(folder: Path, rows: list[tuple], form: str | None) -> None:
    if form == "folders":
        return
    with written_whole(folder / "fer2013.csv") as path, open(path, "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["emotion", "pixels", "Usage"])
        table.writerows([_FER2013_NUMBERS[label], pixels, usage] for *_, usage, label, pixels in rows)
    if form == "votes":
        with written_whole(folder / "fer2013new.csv") as path, open(path, "w", newline="") as file:
            table = csv.writer(file)
            names = "neutral happiness surprise sadness anger disgust fear contempt unknown NF"
            table.writerow(["Usage", "Image name", *names.split()])
            for number, (*_, usage, label, _) in enumerate(rows):
                votes = [8 * (label == voted) for voted in _VOTED]
                # Two of ten people are not sure of anything.
                table.writerow([usage, f"fer{number:07d}.png", *votes, 0, 2, 0])


def _aligned(web: _WebImage, side: int) -> np.ndarray:
    """The face (side, side, 3) alone, upright, eyes and mouth where RAF-DB's aligned images have them."""
    eyes = [web.landmarks[eye].mean(0) for eye in (RIGHT_EYE, LEFT_EYE)]
    points = np.array([*eyes, web.landmarks[48:60].mean(0)])
    # Averaged down from an image that is large enough to lose nothing.
    large = 4 * side
    matrix = similarity(points, _ALIGNED * large)
    face = cv2.warpAffine(web.image, matrix, (large, large), borderMode=cv2.BORDER_REPLICATE)
    return cv2.resize(face, (side, side), interpolation=cv2.INTER_AREA)


def _manifest(commission: _Commission, person: int) -> list[tuple]:
    for emotion, shot in _wild(commission, person):
        _write(commission.folder / emotion / f"person{person:03d}__{emotion}.jpg", shot.image)
    return []


def _write(path: Path, image: np.ndarray) -> None:
    """Write an image (H, W, 3) RGB or (H, W) grey in the format of its suffix."""
    with written_whole(path) as temporary:
        parameters = [cv2.IMWRITE_JPEG_QUALITY, 92] if path.suffix.lower() == ".jpg" else []
        cv2.imwrite(str(temporary), image[..., ::-1] if image.ndim == 3 else image, parameters)


_PHOTOGRAPHERS: Mapping[str, Callable[[_Commission, int], list[tuple]]] = {
    "rafd": _rafd,
    "kdef": _kdef,
    "rafdb": _rafdb,
    "cfee": _cfee,
    "ckplus": _ckplus,
    "jaffe": _jaffe,
    "affectnet": _affectnet,
    "fer2013": _fer2013,
    "manifest": _manifest,
}
_TABLES: Mapping[str, Callable[[Path, list[tuple], str | None], None]] = {
    "rafdb": _rafdb_table,
    "affectnet": _affectnet_tables,
    "fer2013": _fer2013_tables,
}
