"""How much of the person is left in e: what a linear probe recognises."""

import numpy as np


def identity_leakage(expressions: np.ndarray, subjects: np.ndarray, *, folds: int, seed: int) -> float:
    """Share of pictures whose person a linear probe names, trained on other pictures of the same people.

    The probe is linear discriminant analysis with a shrunk covariance, cross-validated over pictures, so that every
    person is in its training part. Chance is one over the number of people: see `chance`.

    Parameters
    ----------
    expressions : (F, n_e); rows with NaN are left out
    subjects : (F,) the person of each
    folds : fewer are taken where a person has fewer pictures

    Raises
    ------
    ValueError
        Fewer than two people have two pictures.
    """
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    known = recognisable(expressions, subjects)
    features, people = expressions[known], np.asarray(subjects)[known]
    counts = np.unique(people, return_counts=True)[1]
    if len(counts) < 2:
        raise ValueError("recognition needs two people of at least two pictures each.")
    split = StratifiedKFold(min(folds, counts.min()), shuffle=True, random_state=seed)
    probe = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
    return float(np.mean(cross_val_predict(probe, features, people, cv=split) == people))


def chance(expressions: np.ndarray, subjects: np.ndarray) -> float:
    """What always naming one person gives, for `identity_leakage` of the same arguments."""
    people = np.asarray(subjects)[recognisable(expressions, subjects)]
    return float(np.unique(people, return_counts=True)[1].max() / len(people))


def recognisable(expressions: np.ndarray, subjects: np.ndarray) -> np.ndarray:
    """(F,) bool: finite rows of people with at least two such."""
    finite = np.isfinite(expressions).all(axis=1)
    names, counts = np.unique(np.asarray(subjects)[finite], return_counts=True)
    return finite & np.isin(subjects, names[counts >= 2])


def neutral_variance(expressions: np.ndarray) -> float:
    """Variance over neutral faces (F, n_e), mean over the coefficients; rows with NaN are left out.

    Everything that it measures is identity, view or light taken for expression.
    """
    known = expressions[np.isfinite(expressions).all(axis=1)]
    return float(known.var(axis=0).mean())
