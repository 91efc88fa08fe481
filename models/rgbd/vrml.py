"""Surfaces out of VRML files, 1.0 and 2.0, in which 3D scanners used to write.

What a surface needs is read: points, faces, texture coordinates, the transformations above them, and nodes that are
used again by name. All else in a file is passed over. Long arrays are parsed by numpy, so that a scan of 50,000 points
takes a fraction of a second.
"""

import gzip
import re
import warnings
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from models.errors import ScanError

_GZIP = b"\x1f\x8b"
# What old C runtimes print for numbers that are none; the hash would start a comment.
_NO_NUMBER = re.compile(r"[-+]?\d+\.#\w+|[-+]?nan\(\w*\)", re.IGNORECASE)
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_END_OF_LINE = re.compile(r"[\n\r]|$")
_TOKEN = re.compile(r"[{}\[\]]|[^\s,{}\[\]]+")
_NUMBER = re.compile(r"[-+]?(?:\d|\.\d|nan|inf)", re.IGNORECASE)
_ARRAY_OF_NUMBERS = re.compile(r"\[[\s,]*(?:[-+.\d]|nan|inf|\])", re.IGNORECASE)


@dataclass(frozen=True)
class IndexedFaces:
    """Surfaces of a file, as one.

    Attributes
    ----------
    points : (N, 3) float64, in the file's units and order
    triangles : (T, 3) int64 into `points`, counter-clockwise seen from outside
    texture_points : (M, 2) float64, v upwards; None where the surface has no texture
    texture_triangles : (T, 3) int64 into `texture_points`
    """

    points: np.ndarray
    triangles: np.ndarray
    texture_points: np.ndarray | None
    texture_triangles: np.ndarray | None


@dataclass
class _Node:
    """A node of the scene: its fields hold arrays, nodes, or the words that stand there."""

    kind: str
    fields: dict[str, object] = field(default_factory=dict)
    children: list["_Node"] = field(default_factory=list)

    def numbers(self, name: str, default: tuple[float, ...] = ()) -> np.ndarray:
        """A field's numbers, flat."""
        value = self.fields.get(name)
        if isinstance(value, np.ndarray):
            return value
        try:
            return np.array(value, float) if isinstance(value, list) and value else np.array(default)
        except ValueError:
            return np.array(default)

    def node(self, name: str) -> "_Node | None":
        value = self.fields.get(name)
        return value if isinstance(value, _Node) else None


def read_indexed_faces(path: Path) -> IndexedFaces:
    """All surfaces (`IndexedFaceSet`) of a VRML file, brought into the file's outermost axes.

    Faces of more than three corners are cut into triangles, those of fewer are passed over. Numbers that are not
    finite are handed on.

    Raises
    ------
    ScanError
        The file is no VRML, ends too early, holds no surface, its indices point at nothing, or a transformation has
        too few or too many numbers.
    """
    scene = _Parser(path, _text(path)).scene()
    surfaces = list(_surfaces(path, scene, _State()))
    if not surfaces:
        raise ScanError(f"{path}: holds no surface (no IndexedFaceSet with points); export the scan again.")
    return _joined(surfaces)


def _text(path: Path) -> str:
    """The file's text without comments and what strings say."""
    data = path.read_bytes()
    if data.startswith(_GZIP):
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise ScanError(f"{path}: is compressed and cannot be unpacked ({error}); copy it again.") from error
    text = data.decode("latin-1").removeprefix("\xef\xbb\xbf")
    if not text.startswith("#VRML"):
        begins = repr(text[:20]) if text else "nothing"
        raise ScanError(f"{path}: is no VRML: expected '#VRML' at its beginning, found {begins}; copy it again.")
    if ".#" in text or "nan(" in text:
        text = _NO_NUMBER.sub("nan", text)
    return "".join(_spoken(text))


def _spoken(text: str) -> Iterator[str]:
    """A text's pieces without comments, and with empty strings for strings. Most of a scan is neither."""
    at, comment, string = 0, -1, -1
    while True:
        # Each is looked for once only, lest a comment on every line cost the square of the lines.
        comment = text.find("#", at) if comment < at else comment
        string = text.find('"', at) if string < at else string
        comment, string = (place if place >= 0 else len(text) for place in (comment, string))
        if comment == string:
            yield text[at:]
            return
        if comment < string:
            yield text[at:comment]
            at = _END_OF_LINE.search(text, comment).start()
        else:
            yield text[at:string] + '""'
            match = _STRING.match(text, string)
            at = match.end() if match else len(text)


class _Parser:
    """Reads nodes from a text. Positions only go forward."""

    def __init__(self, path: Path, text: str):
        self._path, self._text, self._at = path, text, 0
        self._named: dict[str, _Node] = {}

    def scene(self) -> _Node:
        """All nodes of the file, below one that stands for the file."""
        scene = _Node("")
        try:
            self._fill(scene, outermost=True)
        except RecursionError:
            raise ScanError(f"{self._path}: its nodes are nested too deeply for a scan; export it again.") from None
        return scene

    def _next(self) -> str | None:
        match = _TOKEN.search(self._text, self._at)
        if match is None:
            return None
        self._at = match.end()
        return match[0]

    def _fill(self, node: _Node, outermost: bool = False) -> None:
        """Read what stands in a node's braces."""
        before, name, defined = "", "", ""
        while (token := self._next()) != "}":
            if token is None:
                if outermost:
                    return
                raise ScanError(f"{self._path}: ends in the middle of a {node.kind}; copy it again.")
            if token == "[":
                self._at -= 1
                if _ARRAY_OF_NUMBERS.match(self._text, self._at):
                    node.fields[name] = self._numbers(node, name)
                else:
                    self._at += 1
            elif token == "{":
                # The word before a brace is no field but the kind of a node, of which a field may be told.
                child, name = _Node(name), before
                self._fill(child)
                self._named[defined] = child
                self._attach(node, name, child)
                defined = ""
            elif token == "DEF":
                defined = self._next() or ""
            elif token == "USE":
                if (again := self._named.get(self._next() or "")) is not None:
                    self._attach(node, name, again)
            elif token != "]":
                if _NUMBER.match(token) or token in ("TRUE", "FALSE"):
                    node.fields.setdefault(name, [])
                    if isinstance(node.fields[name], list):
                        node.fields[name].append(token)
                else:
                    before, name = name, token
        if outermost:
            # A brace too many.
            self._fill(node, outermost=True)

    @staticmethod
    def _attach(node: _Node, name: str, child: _Node) -> None:
        node.fields[name] = child
        node.children.append(child)

    def _numbers(self, node: _Node, name: str) -> np.ndarray:
        """The numbers of an array whose opening bracket is next."""
        end = self._text.find("]", self._at)
        if end < 0:
            raise ScanError(f"{self._path}: ends in the middle of {node.kind}.{name}; copy it again.")
        inside = self._text[self._at + 1 : end].replace(",", " ")
        self._at = end + 1
        if not inside.strip():
            # Of which numpy would make a -1.
            return np.empty(0)
        with warnings.catch_warnings():
            # This is how numpy tells that a text holds anything but numbers.
            warnings.simplefilter("error", DeprecationWarning)
            try:
                return np.fromstring(inside, sep=" ")
            except (DeprecationWarning, ValueError):
                raise ScanError(
                    f"{self._path}: {node.kind}.{name} holds something that is no number; copy the file again."
                ) from None


@dataclass
class _State:
    """What holds for the nodes that follow: in VRML 1.0 points and transformations stand beside the faces."""

    matrix: np.ndarray = field(default_factory=lambda: np.eye(4))
    points: _Node | None = None
    texture: _Node | None = None

    def copy(self) -> "_State":
        return _State(self.matrix, self.points, self.texture)


def _surfaces(path: Path, node: _Node, state: _State) -> Iterator[IndexedFaces]:
    """The surfaces below a node, each in the outermost axes. `state` is changed as the node's kind does it."""
    if node.kind == "IndexedFaceSet":
        surface = _surface(path, node, state)
        if surface is not None:
            yield surface
        return
    if node.kind == "Coordinate3":
        state.points = node
    elif node.kind == "TextureCoordinate2":
        state.texture = node
    elif (matrix := _transformation(path, node)) is not None:
        if not node.children:
            state.matrix = state.matrix @ matrix
            return
        state = state.copy()
        state.matrix = state.matrix @ matrix
    elif node.kind in ("Separator", "TransformSeparator"):
        state = state.copy()
    for child in node.children:
        yield from _surfaces(path, child, state)


def _transformation(path: Path, node: _Node) -> np.ndarray | None:
    """The matrix (4, 4) of a node that moves what it holds, or what follows it; None for other nodes."""
    if node.kind == "MatrixTransform":
        return _vector(path, node, "matrix", np.eye(4).ravel()).reshape(4, 4).T
    if node.kind not in ("Transform", "Translation", "Rotation", "Scale"):
        return None
    from scipy.spatial.transform import Rotation

    rotation = _vector(path, node, "rotation", (0, 0, 1, 0))
    axis = rotation[:3] / (np.linalg.norm(rotation[:3]) or 1)
    turn, scale, back = np.eye(4), np.eye(4), np.eye(4)
    turn[:3, :3] = Rotation.from_rotvec(axis * rotation[3]).as_matrix()
    # VRML 2.0 calls "scale" what is "scaleFactor" in 1.0.
    scale[:3, :3] = np.diag(_vector(path, node, "scale", _vector(path, node, "scaleFactor", (1, 1, 1))))
    centre = _vector(path, node, "center", (0, 0, 0))
    turn[:3, 3] = _vector(path, node, "translation", (0, 0, 0)) + centre
    back[:3, 3] = -centre
    return turn @ scale @ back


def _vector(path: Path, node: _Node, name: str, default: Sequence[float]) -> np.ndarray:
    """A field that has as many numbers as its default."""
    numbers = node.numbers(name, tuple(default))
    if len(numbers) != len(default) or not np.isfinite(numbers).all():
        raise ScanError(
            f"{path}: {node.kind}.{name} should be {len(default)} numbers, found "
            f"{' '.join(f'{number:g}' for number in numbers[: len(default) + 1]) or 'none'}; export the scan again."
        )
    return numbers


def _surface(path: Path, node: _Node, state: _State) -> IndexedFaces | None:
    coordinates = node.node("coord") or state.points
    if coordinates is None or not len(node.numbers("coordIndex")):
        return None
    points = _rows(path, coordinates, 3)
    points = points @ state.matrix[:3, :3].T + state.matrix[:3, 3]
    index = node.numbers("coordIndex")
    if not np.isfinite(index).all():
        raise ScanError(f"{path}: coordIndex holds numbers that are none; copy the file again.")
    triangles = _triangles(index, index)
    texture = node.node("texCoord") or state.texture
    texture_points = texture_triangles = None
    if texture is not None and len(texture.numbers("point")):
        texture_points = _rows(path, texture, 2)
        own = node.numbers("texCoordIndex", tuple(node.numbers("textureCoordIndex")))
        if len(own) not in (0, len(index)):
            raise ScanError(
                f"{path}: has {len(index)} coordIndex and {len(own)} texCoordIndex, which should be as many; "
                "export the scan again."
            )
        texture_triangles = _triangles(index, own) if len(own) else triangles
        _require_within(path, texture_triangles, texture_points, "texture coordinates")
    _require_within(path, triangles, points, "points")
    outward = node.fields.get("ccw") != ["FALSE"]
    order = slice(None) if outward else slice(None, None, -1)
    # A mirroring transformation turns every face over.
    if np.linalg.det(state.matrix[:3, :3]) < 0:
        order = slice(None, None, -1) if outward else slice(None)
    return IndexedFaces(
        points,
        triangles[:, order],
        texture_points,
        None if texture_triangles is None else texture_triangles[:, order],
    )


def _rows(path: Path, node: _Node, columns: int) -> np.ndarray:
    numbers = node.numbers("point")
    if len(numbers) % columns:
        raise ScanError(
            f"{path}: {node.kind} has {len(numbers)} numbers, no multiple of {columns}; the file was cut or damaged, "
            "copy it again."
        )
    return numbers.reshape(-1, columns)


def _triangles(faces: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Triangles (T, 3) int64 of polygons that each end with -1 in `faces`, with `values` at their corners."""
    ends = np.flatnonzero(faces < 0)
    if not len(ends) or ends[-1] != len(faces) - 1:
        # The last face may lack its end.
        ends = np.append(ends, len(faces))
    starts = np.append(0, ends[:-1] + 1)
    corners = ends - starts
    fans = []
    for count in np.unique(corners[corners >= 3]):
        first = starts[corners == count]
        for second in range(1, count - 1):
            fans.append(np.stack([first, first + second, first + second + 1], 1))
    if not fans:
        return np.empty((0, 3), np.int64)
    return values[np.concatenate(fans)].astype(np.int64)


def _require_within(path: Path, triangles: np.ndarray, points: np.ndarray, what: str) -> None:
    wrong = int(((triangles < 0) | (triangles >= len(points))).any(1).sum())
    if wrong:
        raise ScanError(
            f"{path}: {wrong} of {len(triangles)} faces point at {what} that are not there (there are {len(points)}); "
            "the file was cut or damaged, copy it again."
        )


def _joined(surfaces: list[IndexedFaces]) -> IndexedFaces:
    """Surfaces as one. Texture is kept where all of them have it."""
    offsets = np.cumsum([0] + [len(surface.points) for surface in surfaces])
    texture_points = texture_triangles = None
    if all(surface.texture_points is not None for surface in surfaces):
        starts = np.cumsum([0] + [len(surface.texture_points) for surface in surfaces])
        texture_points = np.concatenate([surface.texture_points for surface in surfaces])
        texture_triangles = np.concatenate(
            [surface.texture_triangles + start for surface, start in zip(surfaces, starts, strict=False)]
        )
    return IndexedFaces(
        np.concatenate([surface.points for surface in surfaces]),
        np.concatenate([surface.triangles + start for surface, start in zip(surfaces, offsets, strict=False)]),
        texture_points,
        texture_triangles,
    )
