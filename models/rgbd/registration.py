"""Registration of a range image to its photograph by maximisation of mutual information (section 4.2).

Mattes' form of mutual information, by SimpleITK, first of coarse structure and then of fine. What is compared are
always the same pixels of the face in the range image, on an even grid, so that nothing is drawn at random and the
metric's values can be compared between transformations.
"""

from dataclasses import dataclass, replace

import numba
import numpy as np

from models.errors import ScanError
from models.rgbd.range_image import RangeImage
from models.rgbd.settings import RegistrationSettings

# Light adds up to what it multiplies: logarithms make shading independent of the skin's colour. Grey levels.
_DARK = 20.0
# The searches look at this many points of the face and sort what they see into this many levels: with fewer points or
# more levels chance makes more information than there is.
_POINTS, _LEVELS = 2500, 8
# The search of a whole photograph: its side in pixels.
_SMALL = 160
# In logarithms of grey levels: beyond the first contrast outlines count no more, of less than the second is a wall.
_STRONG, _FAINT = 0.08, 0.04
# A face's middle is where it is looked for first, with this deviation from the photograph's, share of its side.
_CENTRED = 0.35
# How many places the search leaves open, of which one is the face's nearly always.
_ROUGH = 3
# The steps of both searches: turns in degrees, shifts in mm on the face, and factors of scale.
_TURNS, _SCALE_STEP = (-10.0, -5.0, 0.0, 5.0, 10.0), 1.06
_NEAR_SHIFT, _NEAR_TURN, _NEAR_SCALE = 2.0, 3.0, 1.04
# Places closer to one another than this, mm on the face, lead to the same registration.
_APART = 5.0


# A score, where in the photograph the face's middle is (2,), and the linear map (2, 2).
_Candidate = tuple[float, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class _Detail:
    """Which structure is compared, mm on the face.

    A scanner's noise is finer than what is compared; light, and the roundness of the face, which fits any dark outline
    before a bright wall, are coarser.

    Attributes
    ----------
    narrow, wide : deviations of the blurs between which the structure lies
    rim : nearer to the scan's rim than this nothing is compared: it would be drawn to the outline of the head
    contrast : of logarithms of grey levels; beyond it brows, eyes and lips, which have a colour of their own, count no
        more
    """

    narrow: float
    wide: float
    rim: float
    contrast: float


# Brows and eyes are what a face is found by, and lead astray where it is measured.
_COARSE, _FINE = _Detail(1.5, 6.0, 12.0, 1.0), _Detail(0.7, 3.0, 6.0, 0.03)


@dataclass(frozen=True)
class Registration:
    """How a range image lies on a photograph.

    Attributes
    ----------
    matrix : (2, 3) takes columns and rows of the range image to those of the photograph
    start : (2, 3) the same before the registration: the start that was given, or one image laid upon the other
    metric_before, metric_after : mutual information in nats of `start` and of `matrix`, larger is better; of the
        photograph's fine structure and that of the surface in the light that fits best
    """

    matrix: np.ndarray
    start: np.ndarray
    metric_before: float
    metric_after: float

    @property
    def turn(self) -> float:
        """Degrees by which the range image is turned, clockwise as seen."""
        return float(np.degrees(np.arctan2(self.matrix[1, 0], self.matrix[0, 0])))

    @property
    def scale(self) -> float:
        """Pixels of the photograph per pixel of the range image."""
        return float(np.hypot(self.matrix[0, 0], self.matrix[1, 0]))


def register(
    scan: RangeImage,
    photograph: np.ndarray,
    settings: RegistrationSettings | None = None,
    start: np.ndarray | None = None,
) -> Registration:
    """Find where a range image lies on its photograph (H, W, 3) uint8.

    Parameters
    ----------
    start : (2, 3) where it lies roughly; None to search the whole photograph for it

    Returns
    -------
    Registration
        The same for the same input: one thread computes it, always from the same pixels.

    Raises
    ------
    ScanError
        Mutual information stays below `settings.worst_information`: scan and photograph do not belong together.
    ValueError
        There is no such transform or picture.
    """
    import cv2

    settings = settings or RegistrationSettings()
    if settings.transform not in ("similarity", "rigid") or settings.picture not in ("relief", "depth"):
        raise ValueError(
            f"registration by '{settings.transform}' of '{settings.picture}': the transform is 'similarity' or "
            "'rigid', the picture 'relief' or 'depth'."
        )
    grey = cv2.cvtColor(photograph, cv2.COLOR_RGB2GRAY).astype(np.float32)
    coarse, fine = (_scene(scan, grey, settings.picture, detail) for detail in (_COARSE, _FINE))
    rough = [np.asarray(start, float)] if start is not None else _whole_search(coarse, settings)
    if not rough:
        raise ScanError("The photograph is too small for a face; check that it is the scan's.", "mismatch")
    # Of the places that coarse structure leaves open fine structure, lit as it is there, tells the right one.
    near = [candidate for place in rough for candidate in _near_search(coarse, place, settings)]
    places = [_maximised(coarse, place, settings) for place in _best(coarse, near, settings.starts)]
    if start is not None:
        # Coarse structure may lead away from a start that is good.
        places.append(rough[0])
    matrix = max((_refined(fine, place, settings) for place in places), key=lambda m: _lit(fine, m, settings))
    for _ in range(settings.relit):
        matrix = _refined(fine, matrix, settings)
    before = laid_upon(scan.depth.shape, grey.shape) if start is None else rough[0]
    found = Registration(matrix, before, _lit(fine, before, settings), _lit(fine, matrix, settings))
    if found.metric_after < settings.worst_information:
        raise ScanError(
            f"Scan and photograph do not belong together: their mutual information is {found.metric_after:.3f}, "
            f"{settings.worst_information:.3f} is the least; check that both are of one person and moment.",
            "mismatch",
        )
    return found


def _refined(scene: "_Scene", matrix: np.ndarray, settings: RegistrationSettings) -> np.ndarray:
    """A transformation (2, 3) of more information, once the surface is lit as the photograph is."""
    return _maximised(_relit(scene, matrix), matrix, settings)


def _lit(scene: "_Scene", matrix: np.ndarray, settings: RegistrationSettings) -> float:
    """Mutual information in nats of a photograph and the surface lit as well as can be."""
    return _information(_relit(scene, matrix), matrix, settings.bins)


def laid_upon(size: tuple[int, int], other: tuple[int, int]) -> np.ndarray:
    """The transformation (2, 3) that fits an image of `size` (height, width) into the middle of another."""
    scale = min(other[0] / size[0], other[1] / size[1])
    return np.column_stack([np.eye(2) * scale, (np.array(other[::-1]) - 1 - scale * (np.array(size[::-1]) - 1)) / 2])


def warped(depth: np.ndarray, matrix: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Depth (H, W), NaN where there is nothing, as it lies on an image of `size` (height, width) after (2, 3) `matrix`.

    Depth is interpolated between pixels that both have it; what the scan does not cover stays NaN.
    """
    import cv2

    there = np.isfinite(depth).astype(np.float32)
    weight = cv2.warpAffine(there, matrix, size[::-1], flags=cv2.INTER_LINEAR)
    value = cv2.warpAffine(np.nan_to_num(depth), matrix, size[::-1], flags=cv2.INTER_LINEAR)
    return np.where(weight > 0.5, value / np.maximum(weight, 0.5), np.float32(np.nan)).astype(np.float32)


def mean_distance(first: np.ndarray, second: np.ndarray, valid: np.ndarray) -> float:
    """Mean distance between where two transformations (2, 3) take the pixels `valid` (H, W), in pixels."""
    rows, columns = np.nonzero(valid)
    points = np.stack([columns, rows, np.ones_like(rows)])
    return float(np.linalg.norm((first - second) @ points, axis=0).mean())


def slopes(scan: RangeImage, blur: float) -> np.ndarray:
    """Unit normals (3, H, W) float32: to the right, up, and towards the viewer."""
    import cv2

    smooth = _blurred(np.nan_to_num(scan.depth), blur / scan.mm_per_pixel, scan.valid)
    across, along = (cv2.Sobel(smooth, cv2.CV_32F, dx, 1 - dx, scale=1 / (8 * scan.mm_per_pixel)) for dx in (1, 0))
    facing = 1 / np.sqrt(1 + across**2 + along**2)
    return np.stack([-across * facing, along * facing, facing])


@dataclass(frozen=True)
class _Scene:
    """What is compared.

    Attributes
    ----------
    picture : (H, W) float32 of the range image, compared where `mask` (H, W) is True
    middle : (2,) column and row of the face's middle in it
    grey : (H', W') float32 photograph
    mm_per_pixel : of the range image
    detail : which structure is compared; None for grey levels and depth themselves
    shading : (K, H, W) float32, what the picture may be a sum of: fine structure of the surface's slopes and hollows
    """

    picture: np.ndarray
    mask: np.ndarray
    middle: np.ndarray
    grey: np.ndarray
    mm_per_pixel: float
    detail: _Detail | None
    shading: np.ndarray

    def photograph(self, scale: float) -> np.ndarray:
        """What is compared of the photograph (H', W'), of which `scale` pixels make one of the range image's."""
        if self.detail is None:
            return self.grey
        pixels_per_mm = scale / self.mm_per_pixel
        light = np.log(self.grey + _DARK)
        narrow, wide = self.detail.narrow * pixels_per_mm, self.detail.wide * pixels_per_mm
        return np.tanh((_blurred(light, narrow) - _blurred(light, wide)) / self.detail.contrast)


def _scene(scan: RangeImage, grey: np.ndarray, kind: str, detail: _Detail) -> _Scene:
    import cv2

    valid = scan.valid
    rim = max(1, round(detail.rim / scan.mm_per_pixel))
    # What lies beyond the image is as empty as what surrounds the scan.
    mask = cv2.erode(
        valid.astype(np.uint8), np.ones((2 * rim + 1, 2 * rim + 1)), borderType=cv2.BORDER_CONSTANT, borderValue=0
    )
    middle = np.argwhere(mask > 0).mean(0)[::-1]
    if kind == "depth":
        picture = np.where(valid, scan.depth, np.nanmin(scan.depth)).astype(np.float32)
        return _Scene(picture, mask > 0, middle, grey, scan.mm_per_pixel, None, picture[None])
    depth = np.where(valid, scan.depth - np.nanmean(scan.depth), 0)
    surfaces = [*slopes(scan, detail.narrow), _blurred(depth, detail.narrow / scan.mm_per_pixel, valid)]
    shading = np.stack([surface - _blurred(surface, detail.wide / scan.mm_per_pixel, valid) for surface in surfaces])
    # At first a lamp at the camera.
    return _Scene(shading[2], mask > 0, middle, grey, scan.mm_per_pixel, detail, shading)


def _relit(scene: _Scene, matrix: np.ndarray) -> _Scene:
    """The scene whose picture is lit as the photograph is, as far as slopes and hollows tell, by least squares.

    A lamp above the camera moves the dark of a fold off its bottom, and with it the maximum of the information.
    """
    if scene.detail is None:
        return scene
    rows, columns = np.nonzero(scene.mask)
    there = np.stack([columns, rows], 1) @ matrix[:, :2].T + matrix[:, 2]
    column, row = np.rint(there).astype(int).T
    photograph = scene.photograph(_scale(matrix))
    inside = (column >= 0) & (row >= 0) & (column < photograph.shape[1]) & (row < photograph.shape[0])
    if not inside.any():
        return scene
    seen = photograph[row[inside], column[inside]]
    known = scene.shading[:, rows[inside], columns[inside]]
    light, *_ = np.linalg.lstsq(known.T, seen, rcond=None)
    return replace(scene, picture=np.tensordot(light.astype(np.float32), scene.shading, 1))


def _blurred(image: np.ndarray, sigma: float, valid: np.ndarray | None = None) -> np.ndarray:
    """An image (H, W) blurred; where `valid` is given, out of what is valid alone."""
    import cv2

    image = np.asarray(image, np.float32)
    if valid is None:
        return cv2.GaussianBlur(image, (0, 0), max(sigma, 0.3))
    weight = cv2.GaussianBlur(valid.astype(np.float32), (0, 0), max(sigma, 0.3))
    return cv2.GaussianBlur(np.where(valid, image, 0).astype(np.float32), (0, 0), max(sigma, 0.3)) / np.maximum(
        weight, 1e-3
    )


def _maximised(scene: _Scene, start: np.ndarray, settings: RegistrationSettings) -> np.ndarray:
    """The transformation (2, 3) of most mutual information that a start leads to."""
    import SimpleITK as sitk

    photograph = scene.photograph(_scale(start))
    method = sitk.ImageRegistrationMethod()
    # One thread adds numbers up in the same order every time.
    method.SetNumberOfThreads(1)
    method.SetNumberOfWorkUnits(1)
    method.SetMetricAsMattesMutualInformation(settings.bins)
    method.SetMetricSamplingStrategy(method.NONE)
    method.SetMetricFixedMask(sitk.GetImageFromArray(scene.mask.astype(np.uint8)))
    method.SetInterpolator(sitk.sitkLinear)
    transform = _similarity(start, scene.middle)
    method.SetInitialTransform(transform, inPlace=True)
    method.SetShrinkFactorsPerLevel(list(settings.shrink))
    method.SetSmoothingSigmasPerLevel([shrink / 4 for shrink in settings.shrink])
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=1.0,
        minStep=0.01,
        numberOfIterations=settings.iterations,
        relaxationFactor=0.6,
        gradientMagnitudeTolerance=1e-6,
    )
    method.SetOptimizerScalesFromPhysicalShift()
    if settings.transform == "rigid":
        # Scale, turn and the two shifts: the scale stays as it is.
        method.SetOptimizerWeights([0, 1, 1, 1])
    try:
        method.Execute(sitk.GetImageFromArray(scene.picture), sitk.GetImageFromArray(photograph))
    except RuntimeError:
        # A step led off the photograph, where nothing can be compared.
        return start
    return _matrix(transform)


def _similarity(matrix: np.ndarray, middle: np.ndarray):
    """A transformation (2, 3) without shear as SimpleITK's, about the middle of the face."""
    import SimpleITK as sitk

    similarity = sitk.Similarity2DTransform()
    similarity.SetCenter(middle.tolist())
    similarity.SetTranslation((matrix[:, :2] @ middle + matrix[:, 2] - middle).tolist())
    similarity.SetAngle(float(np.arctan2(matrix[1, 0], matrix[0, 0])))
    similarity.SetScale(_scale(matrix))
    return similarity


def _matrix(similarity) -> np.ndarray:
    """SimpleITK's transformation as (2, 3)."""
    linear = np.array(similarity.GetMatrix()).reshape(2, 2)
    centre = np.array(similarity.GetCenter())
    return np.column_stack([linear, np.array(similarity.GetTranslation()) + centre - linear @ centre])


def _scale(matrix: np.ndarray) -> float:
    return float(np.hypot(matrix[0, 0], matrix[1, 0]))


def _information(scene: _Scene, matrix: np.ndarray, bins: int) -> float:
    """Mutual information in nats at half the resolution."""
    photograph = scene.photograph(_scale(matrix))
    rows, columns = np.nonzero(scene.mask[::2, ::2])
    points = np.stack([2 * columns, 2 * rows], 1) - scene.middle
    fixed = _levels(scene.picture[::2, ::2][rows, columns], bins)
    offsets = points @ matrix[:, :2].T
    place = matrix[:, :2] @ scene.middle + matrix[:, 2]
    return float(_scores(offsets, fixed, _levels(photograph, bins), place[:1], place[1:], bins)[0, 0])


def _levels(values: np.ndarray, count: int) -> np.ndarray:
    """Values as levels 0 to count - 1, evenly between their 1st and 99th percentile."""
    low, high = np.percentile(values, [1, 99])
    return ((values - low) / max(high - low, 1e-9) * count).astype(np.int64).clip(0, count - 1)


def _whole_search(scene: _Scene, settings: RegistrationSettings) -> list[np.ndarray]:
    """Transformations (2, 3), the most promising first, among all shifts, turns and scales on a coarse grid.

    What counts here is correlation: folds and hollows are dark in photographs. It takes fewer pixels than mutual
    information to tell a face from chance.
    """
    import cv2

    shrink = max(scene.grey.shape) / _SMALL
    size = tuple(max(1, round(side / shrink)) for side in scene.grey.shape[::-1])
    small = replace(scene, grey=cv2.resize(scene.grey, size, interpolation=cv2.INTER_AREA))
    columns = np.flatnonzero(scene.mask.any(0))
    width = columns[-1] - columns[0] + 1
    found = []
    share = settings.smallest_face
    while share <= settings.largest_face:
        # Chin and forehead may be cut off a little.
        scale = share * _SMALL / width
        border = round(0.1 * share * _SMALL)
        seen = _STRONG * np.tanh(small.photograph(scale) / _STRONG)
        photograph = cv2.copyMakeBorder(seen, *[border] * 4, cv2.BORDER_CONSTANT, value=0.0)
        for turn in _TURNS:
            linear = _rotation(turn) * scale
            template, mask, middle = _template(scene, linear)
            if any(inner > outer for inner, outer in zip(mask.shape, photograph.shape, strict=True)):
                continue
            alike = cv2.matchTemplate(photograph, template * mask, cv2.TM_CCORR)
            energy = cv2.matchTemplate(photograph**2, mask, cv2.TM_CCORR).clip(0) + mask.sum() * _FAINT**2
            scores = alike / np.sqrt(energy * (template**2 * mask).sum())
            rows, columns = np.ogrid[: scores.shape[0], : scores.shape[1]]
            right, down = middle - (np.array(photograph.shape[::-1]) - 1) / 2
            scores *= np.exp(-((columns + right) ** 2 + (rows + down) ** 2) / (2 * (_CENTRED * _SMALL) ** 2))
            for _ in range(settings.starts):
                row, column = np.unravel_index(scores.argmax(), scores.shape)
                # Pixels of the small photograph are areas of the large one: their middles count.
                place = shrink * (np.array([column, row]) + middle - border + 0.5) - 0.5
                found.append((float(scores[row, column]), place, shrink * linear))
                reach = max(1, border)
                scores[max(row - reach, 0) : row + reach, max(column - reach, 0) : column + reach] = -1
        share *= _SCALE_STEP
    return _best(scene, found, _ROUGH)


def _template(scene: _Scene, linear: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The picture after a linear map (2, 2), its mask (h, w), both float32, and where in it the face's middle is."""
    import cv2

    rows, columns = np.nonzero(scene.mask)
    corners = (np.stack([columns, rows], 1) - scene.middle) @ linear.T
    low, high = np.floor(corners.min(0)), np.ceil(corners.max(0))
    size = tuple((high - low + 1).astype(int).tolist())
    matrix = np.column_stack([linear, -low - linear @ scene.middle])
    # Averaged before it is made smaller.
    sigma = 0.4 / np.sqrt(abs(np.linalg.det(linear)))
    mask = cv2.warpAffine(scene.mask.astype(np.float32), matrix, size)
    picture = cv2.warpAffine(_blurred(scene.picture, sigma, scene.mask), matrix, size)
    return picture, (mask > 0.5).astype(np.float32), -low


def _near_search(scene: _Scene, start: np.ndarray, settings: RegistrationSettings) -> list[_Candidate]:
    """The best place at each turn and scale not far from `start`, by mutual information."""
    photograph = _levels(scene.photograph(_scale(start)), _LEVELS)
    points, levels = _sampled(scene, _LEVELS)
    middle = start[:, :2] @ scene.middle + start[:, 2]
    reach = settings.largest_shift * max(scene.grey.shape)
    step = _NEAR_SHIFT * _scale(start) / scene.mm_per_pixel
    shifts = np.arange(-np.ceil(reach / step), np.ceil(reach / step) + 1) * step
    turns = _steps(settings.largest_turn, _NEAR_TURN)
    scales = np.exp(_steps(np.log(settings.largest_scale), np.log(_NEAR_SCALE)))
    found = []
    for scale in scales if settings.transform == "similarity" else [1.0]:
        for turn in turns:
            linear = scale * _rotation(turn) @ start[:, :2]
            scores = _scores(points @ linear.T, levels, photograph, middle[0] + shifts, middle[1] + shifts, _LEVELS)
            row, column = np.unravel_index(scores.argmax(), scores.shape)
            found.append((scores[row, column], middle + [shifts[column], shifts[row]], linear))
    return found


def _steps(reach: float, step: float) -> np.ndarray:
    """Even steps about zero as far as `reach`."""
    count = round(reach / step)
    return np.arange(-count, count + 1) * step


def _rotation(turn: float) -> np.ndarray:
    angle = np.radians(turn)
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def _sampled(scene: _Scene, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Points (P, 2) of the face from its middle, evenly spread, and their levels (P,)."""
    step = max(1, int(np.sqrt(scene.mask.sum() / _POINTS)))
    rows, columns = np.nonzero(scene.mask[::step, ::step])
    points = np.stack([step * columns, step * rows], 1) - scene.middle
    return points, _levels(scene.picture[::step, ::step][rows, columns], count)


def _best(scene: _Scene, found: list[_Candidate], count: int) -> list[np.ndarray]:
    """The best `count` of scores with the place of the face's middle and a matrix (2, 2), far enough apart."""
    chosen: list[tuple[np.ndarray, np.ndarray]] = []
    for _, place, linear in sorted(found, key=lambda candidate: -candidate[0]):
        apart = _APART * np.sqrt(abs(np.linalg.det(linear))) / scene.mm_per_pixel
        if all(np.linalg.norm(place - other) > apart for other, _ in chosen):
            chosen.append((place, linear))
        if len(chosen) == count:
            break
    return [np.column_stack([linear, place - linear @ scene.middle]) for place, linear in chosen]


@numba.njit(cache=True, nogil=True)
def _scores(offsets, levels, moving, xs, ys, count):
    """Mutual information (Y, X) of points' `levels` (P,) with `moving` (H, W) where `offsets` (P, 2) put them."""
    scores = np.zeros((len(ys), len(xs)))
    joint = np.zeros((count, count))
    for i in range(len(ys)):
        for j in range(len(xs)):
            joint[:] = 0
            for p in range(len(offsets)):
                column, row = int(offsets[p, 0] + xs[j] + 0.5), int(offsets[p, 1] + ys[i] + 0.5)
                column, row = min(max(column, 0), moving.shape[1] - 1), min(max(row, 0), moving.shape[0] - 1)
                joint[levels[p], moving[row, column]] += 1
            total = len(offsets)
            own, other = joint.sum(1), joint.sum(0)
            for a in range(count):
                for b in range(count):
                    if joint[a, b] > 0:
                        scores[i, j] += joint[a, b] / total * np.log(joint[a, b] * total / (own[a] * other[b]))
    return scores
