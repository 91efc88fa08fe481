"""LSFM (Booth et al. 2016) with FaceWarehouse expressions, as menpo/itwmm combines them and as the papers use them.

Three layouts of .mat are read:

- LSFM's own: `mean` (3N,), `components` (3N, K) unit eigenvectors, `eigenvalues` (K,) variances, `trilist` (T, 3)
  0-based, in units of 100 mm; components that are as long as their deviations are taken as scaled already. Beside it,
  as the second file, `Model_Exp.mat` of 300W-3D: `w_exp` (3N, 29) in micrometres, of which itwmm uses the first 28,
  at a quarter of their length and 1.00068469 times that. Its `mu_exp` is not used, as it is not there.
- one file for both: `components` has the identity components first, then the expressions, whose numbers are
  `n_trunc_ids` and `n_trunc_expressions`; the rest as before.
- a structure `fmod` with `mean`, `id_basis` and `exp_basis`, whose columns are scaled by their deviations already,
  and `trilist`, `tri` or `triangles`.
"""

from pathlib import Path

import numpy as np

from models.errors import ModelMismatchError
from models.morphable_model.loaders.published import POINTS_OF_53215, Landmarks, PublishedModel
from models.morphable_model.loaders.reading import basis, deviations, matlab_arrays, required, shape_vector

LSFM_FILE = "an LSFM .mat with mean, components, eigenvalues and trilist"
EXPRESSION_FILE = "Model_Exp.mat of 300W-3D, with w_exp"
_EXPRESSIONS_USED = 28
# w_exp is in micrometres; itwmm's factors bring its columns to one standard deviation on LSFM's scale.
_EXPRESSION_MILLIMETRES = 1e-3 * 1.00068469 / 4
_LICENCE = (
    "LSFM: non-commercial research, by agreement with Imperial College London; FaceWarehouse: non-commercial research, "
    "by agreement with Zhejiang University"
)


def read(source: Path, expression: Path | None) -> PublishedModel:
    """Read LSFM and its expressions; see the module for the layouts.

    Raises
    ------
    ModelMismatchError
        A file is missing, of another layout, or of another mesh than the other.
    """
    arrays = matlab_arrays(source, LSFM_FILE)
    if "fmod" in arrays:
        return _scaled_bases(source, arrays["fmod"])
    mean = shape_vector(required(arrays, "mean", source, LSFM_FILE), source, "mean")
    components = basis(required(arrays, "components", source, LSFM_FILE), source, "components")
    variances = required(arrays, "eigenvalues", source, LSFM_FILE)
    spread = np.sqrt(deviations(variances, components.shape[1], source, "eigenvalues"))
    # Some copies have the deviations in their components already: columns are then as long as these.
    scaled = np.allclose(np.linalg.norm(components, axis=0), spread, rtol=0.01)
    modes = components if scaled else components * spread
    triangles = required(arrays, "trilist", source, LSFM_FILE)
    if "n_trunc_ids" in arrays:
        first = int(np.ravel(arrays["n_trunc_ids"])[0])
        last = first + int(np.ravel(required(arrays, "n_trunc_expressions", source, LSFM_FILE))[0])
        return _model(source, mean, modes[:, :first], modes[:, first:last], triangles, None)
    if expression is None:
        raise ModelMismatchError(
            f"{source}: LSFM has no expressions; name {EXPRESSION_FILE} as well (--expression Model_Exp.mat)."
        )
    columns = required(matlab_arrays(expression, EXPRESSION_FILE), "w_exp", expression, EXPRESSION_FILE)
    shapes = basis(columns, expression, "w_exp")[:, :_EXPRESSIONS_USED]
    return _model(source, mean, modes, shapes, triangles, _EXPRESSION_MILLIMETRES)


def _scaled_bases(source: Path, fmod: np.ndarray) -> PublishedModel:
    if not fmod.dtype.names:
        raise ModelMismatchError(f"{source}: 'fmod' is no structure; expected one with mean, id_basis and exp_basis.")
    fields = {name: fmod[name].flat[0] for name in fmod.dtype.names}
    what = "a structure fmod with mean, id_basis, exp_basis and trilist"
    triangles = next((fields[name] for name in ("trilist", "tri", "triangles") if name in fields), None)
    if triangles is None:
        triangles = required(fields, "trilist", source, what)
    return _model(
        source,
        shape_vector(required(fields, "mean", source, what), source, "mean"),
        basis(required(fields, "id_basis", source, what), source, "id_basis"),
        basis(required(fields, "exp_basis", source, what), source, "exp_basis"),
        triangles,
        None,
    )


def _model(source, mean, identity, expression, triangles, expression_unit) -> PublishedModel:
    count = len(mean) // 3
    known = Landmarks.at_vertices(POINTS_OF_53215) if count == 53215 else None
    triangles = np.asarray(triangles, np.int64)
    # Saved from MATLAB, triangles count from 1.
    if triangles.size and triangles.min() == 1 and triangles.max() == count:
        triangles = triangles - 1
    return PublishedModel(
        path=source,
        name=f"lsfm-{source.stem}",
        licence=_LICENCE,
        mean=mean.reshape(-1, 3),
        identity_modes=identity,
        expression_modes=expression,
        triangles=triangles if triangles.ndim == 2 and triangles.shape[1] == 3 else triangles.T,
        expression_unit=expression_unit,
        landmarks=known,
    )
