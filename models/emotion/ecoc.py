"""Error-correcting output codes over support vector machines (paper, section III-D).

A coding matrix M (classes x learners, entries -1, 0, 1) says what each binary learner tells apart; a sample belongs to
the class whose row its learners' scores contradict least. With one-versus-all coding and the hinge loss this is the
scheme of Allwein, Schapire and Singer, "Reducing multiclass to binary", JMLR 2000, and of MATLAB's `fitcecoc`;
scikit-learn's `OutputCodeClassifier` draws random codes instead.
"""

import warnings

import numpy as np
from scipy.optimize import minimize_scalar
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GroupKFold, StratifiedKFold
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

CODINGS = ("one_vs_all", "one_vs_one")
KERNELS = ("rbf", "linear", "poly")


def coding_matrix(classes: int, coding: str) -> np.ndarray:
    """Coding matrix (classes, learners) of int8 in {-1, 0, 1}.

    "one_vs_all" has a learner for each class against the rest, "one_vs_one" one for each pair of classes, which
    ignores the others. Two classes need one learner under either.

    Raises
    ------
    ValueError
        The coding is unknown.
    """
    if coding not in CODINGS:
        raise ValueError(f"coding '{coding}' is unknown; choose one of {', '.join(CODINGS)}.")
    if classes == 2:
        return np.array([[-1], [1]], np.int8)
    if coding == "one_vs_all":
        return (2 * np.eye(classes) - 1).astype(np.int8)
    first, second = np.triu_indices(classes, 1)
    matrix = np.zeros((classes, len(first)), np.int8)
    matrix[first, np.arange(len(first))] = 1
    matrix[second, np.arange(len(first))] = -1
    return matrix


def decoding_losses(scores: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Loss-weighted decoding: the average hinge loss (F, classes) of learners' scores (F, learners) under each row.

    `loss_k = sum_j |M_kj| max(0, 1 - M_kj s_j) / 2 / sum_j |M_kj|`: learners that ignore a class have no say in it.
    """
    hinge = np.maximum(0, 1 - matrix[None] * scores[:, None, :]) / 2
    used = np.abs(matrix)
    return (hinge * used).sum(axis=2) / used.sum(axis=1)


class EcocSvm(ClassifierMixin, BaseEstimator):
    """Multi-class classifier of binary support vector machines with loss-weighted decoding.

    Features are standardised inside. Probabilities are a softmax over the negative decoding losses; its temperature is
    fitted to losses of samples that the learners had not seen, so that it is not flattered by its own training data.

    Parameters
    ----------
    coding : "one_vs_all" or "one_vs_one"
    kernel : "rbf", "linear" or "poly" (of degree 3)
    C : box constraint
    kernel_scale : features are divided by it before the kernel is taken
    class_weight : None, "balanced" or a dict from class to weight
    calibration_folds : parts of the data, by group where groups are given, for the temperature; 0 leaves it at 1
    tol : at which each learner's solver stops
    max_iter : of each learner's solver; extreme constraints would otherwise run for minutes to no use

    Attributes
    ----------
    classes_ : (classes,)
    coding_matrix_ : (classes, learners) int8
    learners_ : list of fitted `SVC`
    scaler_ : fitted `StandardScaler`
    n_iter_ : (learners,) iterations of each one's solver
    temperature_ : of the softmax
    """

    def __init__(
        self,
        coding="one_vs_all",
        kernel="rbf",
        C=1.0,
        kernel_scale=1.0,
        class_weight=None,
        calibration_folds=5,
        tol=1e-3,
        max_iter=100_000,
    ):
        self.coding = coding
        self.kernel = kernel
        self.C = C
        self.kernel_scale = kernel_scale
        self.class_weight = class_weight
        self.calibration_folds = calibration_folds
        self.tol = tol
        self.max_iter = max_iter

    def fit(self, X, y, sample_weight=None, groups=None):
        """Fit learners and temperature to features X (F, D) and labels y (F,).

        Parameters
        ----------
        sample_weight : (F,) how much each sample counts, beside the class weights
        groups : (F,) the person of each sample: calibration never splits one

        Raises
        ------
        ValueError
            Fewer than two classes, unusable values, or an unknown coding or kernel.
        """
        X, y = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(y)
        if self.kernel not in KERNELS:
            raise ValueError(f"kernel '{self.kernel}' is unknown; choose one of {', '.join(KERNELS)}.")
        self.classes_ = np.unique(y)
        if len(self.classes_) < 2:
            raise ValueError(f"a classifier needs at least two classes, the labels have 1 class: {self.classes_[0]}.")
        weight = np.ones(len(y)) if sample_weight is None else np.array(sample_weight, np.float64)
        if weight.shape != y.shape:
            raise ValueError(f"sample_weight has shape {weight.shape}, the labels {y.shape}.")
        if self.class_weight is not None:
            weight = weight * compute_sample_weight(self.class_weight, y)
        if not (weight > 0).any():
            raise ValueError("every sample_weight is zero: there is nothing to learn from.")
        # A sample of no weight is no sample: it must not shift the standardisation either.
        X, y = X[weight > 0], y[weight > 0]
        groups = None if groups is None else np.asarray(groups)[weight > 0]
        weight = weight[weight > 0]
        self.coding_matrix_ = coding_matrix(len(self.classes_), self.coding)
        self.scaler_ = StandardScaler().fit(X, sample_weight=weight)
        self.learners_ = self._fitted_learners(self.scaler_.transform(X), np.searchsorted(self.classes_, y), weight)
        self.n_iter_ = np.array([learner.n_iter_.max() for learner in self.learners_])
        self.temperature_ = self._fitted_temperature(X, y, weight, groups)
        return self

    def decision_function(self, X):
        """Support of each class: negative decoding losses (F, classes), or the one learner's score (F,) for two."""
        scores = self._scores(X)
        return scores[:, 0] if len(self.classes_) == 2 else -decoding_losses(scores, self.coding_matrix_)

    def predict(self, X):
        """Most likely class of each sample, (F,)."""
        losses = decoding_losses(self._scores(X), self.coding_matrix_)
        return self.classes_[losses.argmin(axis=1)]

    def predict_proba(self, X):
        """Probabilities (F, classes)."""
        losses = decoding_losses(self._scores(X), self.coding_matrix_)
        return softmax(-losses / self.temperature_)

    def _scores(self, X) -> np.ndarray:
        check_is_fitted(self)
        X = self.scaler_.transform(validate_data(self, X, dtype=np.float64, reset=False))
        return np.stack([learner.decision_function(X) for learner in self.learners_], axis=1)

    def _fitted_learners(self, X: np.ndarray, classes: np.ndarray, weight: np.ndarray) -> list[SVC]:
        learners = []
        for column in self.coding_matrix_.T:
            side = column[classes]
            used = side != 0
            learner = SVC(
                C=self.C,
                kernel=self.kernel,
                # (x / scale) . (y / scale) and |x / scale - y / scale|^2 both bring in 1 / scale^2.
                gamma=1 / self.kernel_scale**2,
                coef0=1.0,
                tol=self.tol,
                max_iter=self.max_iter,
            )
            if self.kernel == "linear":
                # scikit-learn's linear kernel has no scale; the box constraint takes its place exactly.
                learner.set_params(C=self.C / self.kernel_scale**2)
            learners.append(_converged_or_not(learner, X[used], side[used], weight[used]))
        return learners

    def _fitted_temperature(self, X, y, weight, groups) -> float:
        folds = _calibration_folds(y, groups, self.calibration_folds)
        if not folds:
            return 1.0
        losses = np.empty((len(y), len(self.classes_)))
        for seen, unseen in folds:
            part = clone(self).set_params(calibration_folds=0, class_weight=None)
            part.fit(X[seen], y[seen], sample_weight=weight[seen])
            losses[unseen] = decoding_losses(part._scores(X[unseen]), part.coding_matrix_)
        return _best_temperature(losses, np.searchsorted(self.classes_, y), weight)


def learner_scores(
    kernel: np.ndarray,
    unseen_kernel: np.ndarray,
    sides: np.ndarray,
    weight: np.ndarray,
    *,
    C: float,
    tol: float,
    max_iter: int,
) -> np.ndarray:
    """Scores (U, learners) of unseen samples by learners as `EcocSvm` has them, which share one matrix of the kernel.

    For searches, which ask a kernel of the same samples for every learner and keep none of them.

    Parameters
    ----------
    kernel : (S, S) of the samples that are learned from
    unseen_kernel : (U, S)
    sides : (S, learners) of -1, 0 and 1: on which side of each learner a sample is; learners ignore samples of 0
    weight : (S,) how much each sample counts
    """
    scores = np.empty((len(unseen_kernel), sides.shape[1]))
    for column, side in enumerate(sides.T):
        used = np.flatnonzero(side)
        own = kernel if len(used) == len(side) else kernel[np.ix_(used, used)]
        learner = SVC(C=C, kernel="precomputed", tol=tol, max_iter=max_iter)
        learner = _converged_or_not(learner, own, side[used], weight[used])
        support = unseen_kernel[:, used[learner.support_]]
        scores[:, column] = support @ learner.dual_coef_[0] + learner.intercept_[0]
    return scores


def softmax(logits: np.ndarray) -> np.ndarray:
    """Softmax over the last axis."""
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def _converged_or_not(learner: SVC, X: np.ndarray, side: np.ndarray, weight: np.ndarray) -> SVC:
    """Fit; a solver that stops at its limit still gives a usable learner, which the search will judge by its errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return learner.fit(X, side, sample_weight=weight)


def _calibration_folds(y: np.ndarray, groups: np.ndarray | None, wanted: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Folds in whose training parts every class occurs; none where the data are too few for that."""
    if groups is None:
        count = min(wanted, np.unique(y, return_counts=True)[1].min())
        return list(StratifiedKFold(count).split(y, y)) if count >= 2 else []
    count = min(wanted, len(np.unique(groups)))
    folds = list(GroupKFold(count).split(y, y, groups)) if count >= 2 else []
    complete = all(len(np.unique(y[seen])) == len(np.unique(y)) for seen, _ in folds)
    return folds if complete else []


def _best_temperature(losses: np.ndarray, classes: np.ndarray, weight: np.ndarray) -> float:
    """The temperature of least weighted log loss; its logarithm is searched between 1e-3 and 1e3."""

    def log_loss(log_temperature: float) -> float:
        logits = -losses / np.exp(log_temperature)
        logits = logits - logits.max(axis=1, keepdims=True)
        likelihood = logits[np.arange(len(classes)), classes] - np.log(np.exp(logits).sum(axis=1))
        return -(weight * likelihood).sum()

    bound = np.log(1e3)
    return float(np.exp(minimize_scalar(log_loss, bounds=(-bound, bound), method="bounded").x))
