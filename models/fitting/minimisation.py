"""Minimising the energy of a fit: exactly on a few frames, by sweeps over windows of frames on many.

A sweep solves each window of frames for its expressions and cameras, the neutral face and the frames outside held
fixed. Windows overlap, only their inner frames are kept, and all of them start from the same estimate: so they can be
solved side by side, and only a window's matrices are ever in memory. The neutral face then takes the step that its
reduced gradient, which every window contributes to, and the Schur complement of a few frames give. What a sweep
neglects only slows it down: gradients are exact, so that its fixed point is the minimum of the whole energy.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from models.fitting.energy import Energy, Estimate
from models.fitting.linearisation import CAMERA_PARAMETERS
from models.fitting.normal_equations import NeutralSchur, neutral_schur, solve_step

STEP_LENGTHS = (1.0, 0.5, 0.25, 0.1, 0.02)
# Of the neutral face's steps, each tried where the one before it has not lowered the energy.
NEUTRAL_LENGTHS = (1.0, 0.3, 0.1, 0.0)
# A window's matrices take about 50 kB a frame.
WINDOW = 1000
# Frames that a window shares with its neighbours on either side. What it neglects beyond them has died away by then:
# the result is that of one window over all frames to 4e-7 of the largest coefficient.
OVERLAP = 96


@dataclass(frozen=True)
class Minimum:
    """Where a minimisation ended: the energies before the first step and after each, and whether it converged."""

    estimate: Estimate
    energies: list[float]
    converged: bool


def minimise_jointly(energy: Energy, estimate: Estimate, iterations: int, progress=None) -> Minimum:
    """Gauss-Newton steps on all unknowns of a few frames at once, with backtracking."""
    energies: list[float] = []
    for iteration in range(iterations):
        error = energy.errors(estimate)
        gradient_y, curvature_y = energy.neutral_gradient(estimate.neutral)
        prior = energy.chains.times(estimate.expression)
        quadratic = energy.quadratic(estimate, prior)
        factor = quadratic.factor()
        gradient_y = gradient_y + energy.space.neutral.T @ quadratic.linear.gradient.sum(0)
        schur = neutral_schur(quadratic.linear, energy.space, factor)
        step = solve_step(quadratic.linear, energy.space, factor, schur, gradient_y, quadratic.gradient, curvature_y)
        if not energies:
            energy.free_share = free_share(energy, _expression_freedom(energy, factor), schur)
            energies.append(_total(energy, estimate, error))
        found = _joint_line_search(energy, estimate, step, energies[-1])
        if found is None:
            return Minimum(estimate, energies, True)
        estimate, lowered = found
        energies.append(lowered)
        if progress is not None:
            progress(iteration + 1, lowered)
        if max(_rms(step.neutral), _rms(step.expression)) < energy.settings.tolerance:
            return Minimum(estimate, energies, True)
    return Minimum(estimate, energies, False)


def _joint_line_search(energy, estimate, step, before):
    for length in STEP_LENGTHS:
        candidate = estimate.moved(step.expression, step.camera, length, step.neutral)
        error = energy.errors(candidate)
        weights = energy.weights(error, estimate.variance)
        candidate = replace(candidate, variance=energy.variance_of((weights * error).sum(0)))
        after = _total(energy, candidate, error)
        if after <= before:
            return candidate, after
    return None


def _total(energy: Energy, estimate: Estimate, error: np.ndarray) -> float:
    z = estimate.expression
    return (
        energy.landmark_loss(error, estimate.variance)
        + energy.frame_loss(z)
        + float(np.vdot(z, energy.chains.times(z)))
        + energy.shared_loss(estimate.neutral, estimate.variance)
    )


def free_share(energy: Energy, expression_freedom: float, schur: NeutralSchur) -> float:
    """Share of the landmark coordinates that no parameter takes up: residuals understate the noise by it."""
    neutral = len(schur.matrix) - np.trace(np.linalg.inv(schur.matrix + np.eye(len(schur.matrix))))
    camera = 6 * np.count_nonzero(energy.counts.any(1))
    taken = expression_freedom + neutral + camera
    return float(np.clip(1 - taken / (2 * energy.counts.sum()), 0.05, 1.0))


def _expression_freedom(energy, factor):
    """How many of the expressions' coordinates the landmarks determine, by Hutchinson's estimate of a trace."""
    signs = _signs(factor.shape)
    return signs.size - float(np.vdot(signs, energy.chains.times(factor.solve(signs))))


def _signs(shape):
    return np.random.default_rng(0).integers(0, 2, shape, np.int8) * 2 - 1


@dataclass(frozen=True)
class _Window:
    """Frames `first` to `last` that a window keeps, within those from `low` to `high` that it solves."""

    low: int
    first: int
    last: int
    high: int

    @property
    def solved(self) -> slice:
        return slice(self.low, self.high)

    @property
    def kept(self) -> slice:
        return slice(self.first, self.last)

    @property
    def inner(self) -> slice:
        """The kept frames, counted from `low`."""
        return slice(self.first - self.low, self.last - self.low)


def windows(frames: int, size: int, overlap: int) -> list[_Window]:
    """Windows that keep at most `size` frames each, all the same number, and solve `overlap` more on either side.

    There are two at least where that pays, so that two processors have work; how many never depends on the machine.
    """
    count = max(1, -(-frames // size), min(2, frames // (2 * overlap)))
    edges = np.linspace(0, frames, count + 1).round().astype(int)
    return [
        _Window(max(0, first - overlap), first, last, min(frames, last + overlap))
        for first, last in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
    ]


class Sweeper:
    """Minimises an energy by sweeps.

    Parameters
    ----------
    schur : of the neutral face, for as many frames as the energy has
    threads : windows solved at a time
    """

    def __init__(self, energy: Energy, schur: NeutralSchur, threads: int, size: int = WINDOW, overlap: int = OVERLAP):
        self.energy = energy
        self.schur = schur
        self.response = schur.response.mean(0)
        self.threads = threads
        self.windows = windows(len(energy), size, overlap)
        self.error = np.empty(energy.counts.shape)

    def minimise(self, estimate: Estimate, iterations: int, progress: Callable | None = None) -> Minimum:
        """Sweeps until steps are small; the energy is that after the expressions have settled on a neutral face."""
        energy = self.energy
        energies: list[float] = []
        newton, shorter = np.zeros_like(estimate.neutral), 0
        for iteration in range(iterations):
            found = self._sweep(self._stepped(estimate, NEUTRAL_LENGTHS[shorter] * newton), energies)
            if found is None:
                shorter += 1
                if shorter == len(NEUTRAL_LENGTHS) or not newton.any():
                    return Minimum(estimate, energies, True)
                continue
            estimate, pulled, size = found
            if progress is not None:
                progress(iteration + 1, energies[-1])
            gradient, curvature = energy.neutral_gradient(estimate.neutral)
            newton = self.schur.solve(gradient + energy.space.neutral.T @ pulled, curvature)
            # Where long steps have failed the next one begins little longer than the last.
            shorter = max(shorter - 1, 0)
            if max(_rms(newton), size) < energy.settings.tolerance:
                return Minimum(estimate, energies, True)
        return Minimum(estimate, energies, False)

    def _stepped(self, estimate, step):
        """The estimate after a step of y, the expressions giving way to it as they do on average."""
        return replace(
            estimate, neutral=estimate.neutral + step, expression=estimate.expression - step @ self.response.T
        )

    def expression_variance(self, estimate: Estimate, rows: np.ndarray) -> np.ndarray:
        """Posterior variances (F, k) of linear functions `rows` (k, n_e) of each frame's z, y being known."""
        found = np.empty((len(self.energy), len(rows)))

        def solve(window):
            covariance = self._quadratic(estimate, window).factor().marginal_covariances()[window.inner]
            found[window.kept] = np.einsum("ij,fjk,ik->fi", rows, covariance, rows, optimize=True)

        self._each(solve)
        return found

    def _each(self, work):
        if self.threads == 1 or len(self.windows) == 1:
            return [work(window) for window in self.windows]
        with ThreadPoolExecutor(self.threads) as pool:
            return list(pool.map(work, self.windows))

    def _quadratic(self, estimate, window):
        prior = self.energy.chains.times(estimate.expression, window.low, window.high)
        return self.energy.quadratic(estimate[window.solved], prior, window.low)

    def _sweep(self, start, energies):
        """A step of all expressions and cameras that lowers the energy: estimate, pull on y, size of the step.

        The length of the step is the same in all windows, so that it does not matter where one ends. The energy is
        added to `energies`; the first sweep also finds how many coordinates the landmarks determine, which the energy's
        noise term depends on, and adds the energy before it.
        """
        energy, frames = self.energy, len(self.energy)
        step, camera = np.empty_like(start.expression), np.empty((frames, CAMERA_PARAMETERS))
        signs = None if energies else _signs(step.shape)

        def solve(window):
            quadratic = self._quadratic(start, window)
            factor = quadratic.factor()
            own = factor.solve(quadratic.gradient)
            shapes = own @ energy.space.expression.T
            step[window.kept] = own[window.inner]
            camera[window.kept] = quadratic.linear.camera_change(shapes)[window.inner]
            freedom = 0.0 if signs is None else self._freedom(factor, window, signs)
            return quadratic.linear[window.inner].gradient_after(shapes[window.inner]), freedom

        pulled, freedom = (sum(part) for part in zip(*self._each(solve), strict=True))
        if not energies:
            energy.free_share = free_share(energy, freedom, self.schur)
            energies.append(self._measured(start)[0])
        for length in STEP_LENGTHS:
            after, candidate = self._measured(start.moved(step, camera, length), start.variance)
            if after <= energies[-1]:
                energies.append(after)
                return candidate, pulled, _rms(step)
        return None

    def _freedom(self, factor, window, signs):
        """How many of a window's coordinates the landmarks determine, by Hutchinson's estimate of a trace."""
        prior = self.energy.chains.within(factor.solve(signs[window.solved]), window.low)[window.inner]
        return prior.size - float(np.vdot(signs[window.kept], prior))

    def _measured(self, estimate, former_variance=None):
        """Energy of an estimate, its variances brought up to date first where their former values are given."""
        energy = self.energy

        def measure(window):
            self.error[window.kept] = error = energy.errors(estimate[window.kept], window.first)
            if former_variance is None:
                return 0.0
            return (energy.weights(error, former_variance, window.first) * error).sum(0)

        weighted_error = sum(self._each(measure))
        if former_variance is not None:
            estimate = replace(estimate, variance=energy.variance_of(weighted_error))

        def loss(window):
            z = estimate.expression[window.kept]
            return (
                energy.landmark_loss(self.error[window.kept], estimate.variance, window.first)
                + energy.frame_loss(z, window.first)
                + float(np.vdot(z, energy.chains.times(estimate.expression, window.first, window.last)))
            )

        return sum(self._each(loss)) + energy.shared_loss(estimate.neutral, estimate.variance), estimate


def representative_schur(energy: Energy, estimate: Estimate, stride: int) -> NeutralSchur:
    """The Schur complement of y for all frames that every `stride`-th of them, which the energy holds, stand for."""
    prior = energy.chains.times(estimate.expression)
    quadratic = energy.quadratic(estimate, prior, repeat=float(stride))
    quadratic.band[:, :, 0] += energy.chains.left_out(stride)
    return neutral_schur(quadratic.linear, energy.space, quadratic.factor(), float(stride))


def _rms(values):
    return float(np.sqrt(np.mean(values**2)))
