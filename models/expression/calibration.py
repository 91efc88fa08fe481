"""What a face looks like at rest: the part of a network's answer that belongs to the person, not to the expression.

The network takes most of a person's identity out of the expression, but not all of it: lips that are thin or a brow
that is low remain a little "pressed" or "frowning". Subtracting the person's own rest expression removes what is left.
"""

import numpy as np

# Frames looked at for the mode: its cost grows with their square.
MOST_FRAMES = 2000
# Share of the frames in which the face moves least: what is held is posed or at rest, what passes by is neither.
CALM_SHARE = 0.5
# Share of the calm frames that are neighbours of the mode.
NEIGHBOUR_SHARE = 0.2
# How much an expression's own size counts beside the distance to its neighbours: of two expressions that are held
# for about as long, rest is the one nearer to the mean face.
SIZE_WEIGHT = 0.2
# Frames with fewer than these are no evidence of rest.
FEWEST_FRAMES = 10


def rest_expression(expression: np.ndarray, time: np.ndarray) -> np.ndarray:
    """The expression (n_e,) that a face returns to, from all that it showed.

    A robust mode. Of the frames, the calm half is kept: those in which the expression changes most slowly. Each gets
    the score `r^2 + w |e|^2 / n_e`, r^2 being the mean squared difference to the last of its nearest 20 % of the calm
    frames and w = 0.2: the first part is least where expressions lie closest together, the second prefers small ones.
    The mean of the best frame and its neighbours is the rest expression. Somebody who smiles from the first frame to
    the last has no other rest in that video: a neutral photograph serves better then.

    Parameters
    ----------
    expression : (F, n_e) in standard deviations, of one person; rows that are not finite do not count
    time : (F,) seconds, increasing

    Returns
    -------
    rest : (n_e,) in standard deviations; zeros where fewer than ten frames are given
    """
    expression, time = np.asarray(expression, float), np.asarray(time, float)
    seen = np.isfinite(expression).all(axis=1)
    expression, time = expression[seen], time[seen]
    if len(expression) < FEWEST_FRAMES:
        return np.zeros(expression.shape[1])
    chosen = np.unique(np.linspace(0, len(expression) - 1, MOST_FRAMES).round().astype(int))
    speed = _speed(expression, time)[chosen]
    expression = expression[chosen]
    calm = expression[speed <= np.quantile(speed, CALM_SHARE)]
    squares = np.mean(calm**2, axis=1)
    distance = squares[:, None] + squares - 2 * (calm @ calm.T) / calm.shape[1]
    neighbours = max(1, round(NEIGHBOUR_SHARE * len(calm)))
    order = np.argpartition(distance, neighbours - 1, axis=1)[:, :neighbours]
    reach = np.take_along_axis(distance, order, axis=1).max(axis=1)
    best = int(np.argmin(reach + SIZE_WEIGHT * squares))
    return calm[order[best]].mean(axis=0)


def _speed(expression: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Root mean squared change of each frame's expression, standard deviations a second (F,)."""
    interval = np.maximum(np.gradient(time), 1e-6)
    return np.sqrt(np.mean(np.gradient(expression, axis=0) ** 2, axis=1)) / interval
