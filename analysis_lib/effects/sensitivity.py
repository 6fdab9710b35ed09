"""How far parallel trends may be broken before an effect can no longer be told from none (Rambachan and Roth 2023).

Estimates by event time are β = δ + τ: δ is how the exposed regions would have drifted from the others without the
reform, τ the effects, zero before it. Nobody sees δ after the start. Two rules bound it there by what was seen before::

    relative magnitudes   |δ(t+1) − δ(t)| ≤ M̄ · the largest |δ(s+1) − δ(s)| of the steps s before the start
    smoothness            |δ(t+1) − 2 δ(t) + δ(t−1)| ≤ M: a straight line at M = 0, bending by at most M a period

Under each an interval for a weighted mean l'τ holds for every δ that the rule allows.

*Relative magnitudes* take the conditional test with a least favourable first stage (Andrews, Roth and Pakes 2023), once
for each step s and sign, and unite what is not rejected. With D the step, ±(δ(s+1) − δ(s)), S = Σ |Lⱼ| and Lⱼ the sum of
l from the j-th period on, the effects of single periods can be eliminated from the inequalities by hand. Left are::

    ±(l'β − θ) − M̄ S D ≤ 0     and     −D ≤ 0

so that the linear programs of the general method reduce to a maximum of normal variables, each in units of
Σ |Lⱼ| times the standard deviations of the inequalities that it was made of, as the programs would scale it.

*Smoothness* takes the shortest interval of fixed length around an estimate that is linear in β (Armstrong and Kolesár
2018): no line through the periods before the start may move it, and its largest bias is M times the weight that it
gives to bends.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special

from analysis_lib.errors import UsageError

FIRST_STAGE = 0.1  # share of the error spent on the least favourable test, the authors' choice
DIRECTIONS = 2000  # of the plane, over which its critical value is integrated: exact to six digits
POINTS = 400  # of a grid, refined around its ends
REFINED = 3
LARGEST = 10.0  # M̄ beyond which nothing is looked for
TOLERANCE = 1e-3  # of a breakdown value
NEGLIGIBLE = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class EventStudy:
    """Estimates by event time around a reference period, whose own is zero.

    Attributes
    ----------
    before : numpy.ndarray
        Estimates of the P consecutive periods before the reference period, oldest first.
    after : numpy.ndarray
        Estimates of the K consecutive periods after it.
    covariance : numpy.ndarray
        Of both, shape (P + K, P + K).
    target : numpy.ndarray
        Weights l of the effect asked for, shape (K,).
    df : float
        Degrees of freedom of the covariance. Both methods are built on normal variables: the covariance is stretched
        so that an interval without any violation is as long as the one on t.
    """

    before: np.ndarray
    after: np.ndarray
    covariance: np.ndarray
    target: np.ndarray
    df: float = np.inf

    def __post_init__(self) -> None:
        size = len(self.before) + len(self.after)
        if not len(self.before) or not len(self.after) or self.covariance.shape != (size, size):
            raise UsageError(
                "sensitivity needs an estimate before the reference period, one after it, and their covariance",
                where="event study",
                fix="use a panel with at least two periods before the first start",
            )

    @property
    def estimate(self) -> float:
        """The effect asked for, under parallel trends."""
        return float(self.target @ self.after)

    @property
    def path(self) -> np.ndarray:
        """All estimates in order of time, without the reference period."""
        return np.concatenate([self.before, self.after])

    def stretched(self, confidence_level: float) -> np.ndarray:
        """The covariance that makes up for few degrees of freedom."""
        tail = (1 + confidence_level) / 2
        quantile = special.stdtrit(self.df, tail) if np.isfinite(self.df) else special.ndtri(tail)
        return self.covariance * (quantile / special.ndtri(tail)) ** 2


def relative_magnitudes(study: EventStudy, bound: float, *, confidence_level: float = 0.95) -> tuple[float, float]:
    """Interval for the effect when trends part after the start by at most ``bound`` times as much as before, a period.

    Raises
    ------
    UsageError
        When the bound is negative.
    """
    _demand(bound)
    covariance = study.stretched(confidence_level)
    steps = _steps(len(study.before), len(study.after))
    n_before = len(study.before)
    ends = [
        _accepted(_inequalities(study, covariance, steps, sign * steps[s], bound), 1 - confidence_level)
        for s in range(n_before)
        for sign in (1.0, -1.0)
    ]
    return min(low for low, _ in ends), max(high for _, high in ends)


def smoothness(study: EventStudy, bound: float, *, confidence_level: float = 0.95) -> tuple[float, float]:
    """Interval for the effect when the line along which trends part bends by at most ``bound`` a period.

    Raises
    ------
    UsageError
        When the bound is negative.
    """
    _demand(bound)
    weights, half_length = _fixed_length(study, bound, 1 - confidence_level)
    centre = float(weights @ study.path)
    return centre - half_length, centre + half_length


def breakdown(study: EventStudy, *, largest: float = LARGEST, confidence_level: float = 0.95) -> float:
    """The smallest bound of `relative_magnitudes` at which the interval holds zero; ``largest`` when none does.

    Zero says that the effect cannot be told from none under parallel trends either.
    """

    def holds_zero(bound: float) -> bool:
        low, high = relative_magnitudes(study, bound, confidence_level=confidence_level)
        return low <= 0 <= high

    if holds_zero(0.0):
        return 0.0
    if not holds_zero(largest):
        return largest
    low, high = 0.0, largest
    while high - low > TOLERANCE:
        middle = (low + high) / 2
        low, high = (low, middle) if holds_zero(middle) else (middle, high)
    return high


def _demand(bound: float) -> None:
    if not bound >= 0:
        raise UsageError(f"a bound of {bound} on violations", where="sensitivity", fix="use zero or more")


def _steps(n_before: int, n_after: int) -> np.ndarray:
    """Steps from each period to the next as differences of the path, shape (P + K, P + K)."""
    levels = np.insert(np.eye(n_before + n_after), n_before, 0.0, axis=0)
    return np.diff(levels, axis=0)


@dataclass(frozen=True, slots=True, eq=False)
class _Inequalities:
    """Normal variables that are at most zero in expectation at the true effect θ: ``at_zero`` + ``slope`` θ."""

    at_zero: np.ndarray
    slope: np.ndarray
    factor: np.ndarray  # loadings on two independent standard normal variables
    centre: float
    reach: float

    @property
    def covariance(self) -> np.ndarray:
        return self.factor @ self.factor.T


def _inequalities(
    study: EventStudy, covariance: np.ndarray, steps: np.ndarray, largest_step: np.ndarray, bound: float
) -> _Inequalities:
    """What is left of the inequalities of a step that is said to be the largest, scaled."""
    n_before = len(study.before)
    after = steps[n_before:]
    later = np.cumsum(study.target[::-1])[::-1]
    spread = [np.sqrt(_variances(sign * after - bound * largest_step, covariance)) for sign in (1.0, -1.0)]
    with_sign = np.where(later >= 0, spread[0], spread[1]), np.where(later >= 0, spread[1], spread[0])
    size = np.abs(later)
    total = np.concatenate([np.zeros(n_before), study.target])
    drift = bound * size.sum() * largest_step
    rows = [(total - drift) / (size @ with_sign[0]), (-total - drift) / (size @ with_sign[1])]
    slope = [-1 / (size @ with_sign[0]), 1 / (size @ with_sign[1])]
    if bound > 0:
        rows += list(-2 * bound * largest_step / (spread[0] + spread[1])[:, None])
        slope += [0.0] * len(after)
    loadings = np.array(rows)
    basis = np.array([total, largest_step])
    values, vectors = np.linalg.eigh(basis @ covariance @ basis.T)
    in_basis = loadings @ np.linalg.pinv(basis)
    factor = in_basis @ vectors * np.sqrt(np.clip(values, 0.0, None))
    noise = np.sqrt(_variances(basis, covariance))
    return _Inequalities(
        loadings @ study.path,
        np.array(slope),
        factor,
        study.estimate,
        float(5 * noise[0] + bound * size.sum() * (abs(largest_step @ study.path) + 5 * noise[1])),
    )


def _variances(rows: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    return np.einsum("ij,jk,ik->i", rows, covariance, rows)


def _accepted(rows: _Inequalities, error: float) -> tuple[float, float]:
    """The lowest and the highest effect that is not rejected; an empty interval (∞, −∞) where every one is."""
    critical = _least_favourable(rows.factor, FIRST_STAGE * error)
    second_stage = (error - FIRST_STAGE * error) / (1 - FIRST_STAGE * error)
    reach = rows.reach
    while True:
        grid = rows.centre + np.linspace(-reach, reach, POINTS)
        kept = ~_rejected(grid, rows, critical, second_stage)
        if not (kept[0] or kept[-1]):
            break
        reach *= 2
    if not kept.any():
        return np.inf, -np.inf
    first, last = np.flatnonzero(kept)[[0, -1]]
    outside, ends = (grid[first - 1], grid[last + 1]), [grid[first], grid[last]]
    for side in (0, 1):
        beyond = outside[side]
        for _ in range(REFINED):
            finer = np.linspace(beyond, ends[side], 20)
            inner = int(np.flatnonzero(~_rejected(finer, rows, critical, second_stage))[0])
            beyond, ends[side] = finer[inner - 1], finer[inner]
    return float(ends[0]), float(ends[1])


def _least_favourable(factor: np.ndarray, error: float) -> float:
    """Quantile of the largest variable when every inequality binds.

    Along a direction u of the plane the largest is r h(u), with r² chi-square on two degrees of freedom.
    """
    angle = (np.arange(DIRECTIONS) + 0.5) * (2 * np.pi / DIRECTIONS)
    height = (factor @ np.array([np.cos(angle), np.sin(angle)])).max(axis=0)
    height = height[height > 0]

    def excess(critical: float) -> float:
        return float(np.exp(-((critical / height) ** 2) / 2).sum() / DIRECTIONS - error)

    return _root(excess, NEGLIGIBLE, 10 * float(height.max()))


def _rejected(effects: np.ndarray, rows: _Inequalities, critical: float, error: float) -> np.ndarray:
    """The test of each effect: beyond the least favourable value, or beyond what is left given which is largest.

    Given that the inequality i is the largest and given what is independent of it, it is normal, cut off where another
    would be larger: between ``low`` and ``high``.
    """
    values = rows.at_zero + np.outer(effects, rows.slope)
    largest = values.argmax(axis=1)
    top = values[np.arange(len(values)), largest]
    covariance = rows.covariance
    variance = np.diag(covariance)[largest]
    share = covariance[largest] / variance[:, None]
    rest = values - share * top[:, None]
    room = 1 - share
    meets = rest / np.where(np.abs(room) > NEGLIGIBLE, room, np.nan)
    low = np.where(room > NEGLIGIBLE, meets, -np.inf).max(axis=1)
    high = np.minimum(np.where(room < -NEGLIGIBLE, meets, np.inf).min(axis=1), critical)
    deviation = np.sqrt(variance)
    above = special.ndtr(-high / deviation)
    cut = -special.ndtri(above + error * (special.ndtr(-low / deviation) - above))
    return (top > critical) | (top / deviation > np.maximum(cut, 0.0))


def _fixed_length(study: EventStudy, bound: float, error: float) -> tuple[np.ndarray, float]:
    """Weights of the estimates in the shortest interval of fixed length, and half its length.

    Every δ is a line through the reference period plus bends, so the bias is the sum of bends times their weights.
    """
    covariance = study.stretched(1 - error)
    n_before, n_after = len(study.before), len(study.after)
    ago = np.arange(n_before, 0, -1.0)
    ahead = np.arange(1.0, n_after + 1)
    bends_before = np.maximum(ago[None, :] - np.arange(n_before)[:, None], 0.0)  # 0 … P − 1 periods ago
    fixed = np.abs(np.maximum(ahead[None, :] - np.arange(1, n_after)[:, None], 0.0) @ study.target).sum()
    unit = float(np.sqrt(study.target @ covariance[n_before:, n_before:] @ study.target))

    def length(free: np.ndarray) -> float:
        weights = np.concatenate([free[:n_before], study.target])
        deviation = float(np.sqrt(weights @ covariance @ weights))
        return deviation * _critical(float(bound * (fixed + free[n_before:].sum())) / deviation, error) / unit

    # At the least variance, the line being neutral: a Lagrange system.
    system = np.block([[covariance[:n_before, :n_before], ago[:, None]], [ago[None, :], np.zeros((1, 1))]])
    right = np.append(-covariance[:n_before, n_before:] @ study.target, ahead @ study.target)
    steady = np.linalg.solve(system, right)[:n_before]
    start = np.concatenate([steady, np.abs(bends_before @ steady)])
    if bound == 0:
        return np.concatenate([steady, study.target]), length(start) * unit
    identity = np.eye(n_before)
    found = optimize.minimize(
        length,
        start,
        method="SLSQP",
        constraints=[
            {"type": "eq", "fun": lambda free: ago @ free[:n_before] - ahead @ study.target},
            {"type": "ineq", "fun": lambda free: np.hstack([-bends_before, identity]) @ free},
            {"type": "ineq", "fun": lambda free: np.hstack([bends_before, identity]) @ free},
        ],
        options={"ftol": 1e-10, "maxiter": 500},
    )
    # Any neutral weights give a valid interval, the search only a shorter one: no line may move what it ends on.
    best = found.x[:n_before] + ago * ((ahead @ study.target - ago @ found.x[:n_before]) / (ago @ ago))
    best = min(steady, best, key=lambda weights: length(np.concatenate([weights, np.abs(bends_before @ weights)])))
    return np.concatenate([best, study.target]), length(np.concatenate([best, np.abs(bends_before @ best)])) * unit


def _critical(bias: float, error: float) -> float:
    """Quantile of |N(bias, 1)|."""
    highest = bias + float(special.ndtri(1 - error / 2)) + NEGLIGIBLE

    def excess(at: float) -> float:
        return float(special.ndtr(at - bias) - special.ndtr(-at - bias)) - (1 - error)

    return _root(excess, 0.0, highest)


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    return optimize.root_scalar(function, bracket=(low, high), xtol=1e-13).root
