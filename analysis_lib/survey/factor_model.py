"""Factor models of several groups by maximum likelihood, from means and covariances: numbers only.

Items x of group g measure factors f, each item one of them (Jöreskog 1971; Sörbom 1974)::

    x = τ + Λ f + e      mean μ = τ + Λ κ      covariance Σ = Λ Φ Λ' + Θ,  Θ diagonal
    configural           Λ, τ, Θ, Φ of each group its own; variances of factors 1, means κ 0
    metric               Λ the same in all groups; variances free but in the first
    scalar               Λ and τ the same; means κ free but in the first
    fit                  T = Σ n (log|Σ| + tr S Σ⁻¹ + (m − μ)'Σ⁻¹(m − μ) − log|S| − p), by Fisher scoring

With weights and clusters T is too large, by the factor c = tr(U V)/df on average: V is the covariance of the moments
under the design, U = W − W J (J'W J)⁻¹ J'W what the model leaves of the weight W of normal data, J the derivatives of
the moments (Satorra and Bentler 1994; Oberski 2014). Indices of fit estimate what they would be in the population
(Brosseau-Liard, Savalei and Li 2012; Brosseau-Liard and Savalei 2014)::

    RMSEA = √(G max(0, T − c df) / (N df))      CFI = 1 − max(0, T − c df) / max(T − c df, T₀ − c₀ df₀)

with T₀ of the model in which items have nothing in common. SRMR is Bentler's, means among the residuals.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import linalg

from analysis_lib.errors import DesignError

Level = Literal["configural", "metric", "scalar"]

LEVELS: tuple[Level, ...] = ("configural", "metric", "scalar")
TINY = 1e-30  # imaginary step: derivatives without rounding
SETTLED, MAX_STEPS, MAX_HALVINGS = 1e-9, 500, 30


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Means and covariances of groups.

    Attributes
    ----------
    mean : numpy.ndarray
        Shape (groups, items).
    covariance : numpy.ndarray
        Weighted, divisor the sum of weights; shape (groups, items, items).
    n : numpy.ndarray
        People of each group.
    sampling : numpy.ndarray, optional
        Covariance of all moments under the design: of each group its means, then the lower triangle of its covariance,
        shape (moments, moments). Without it people count as drawn one by one, answers as normal.
    """

    mean: np.ndarray
    covariance: np.ndarray
    n: np.ndarray
    sampling: np.ndarray | None = None

    @property
    def stacked(self) -> np.ndarray:
        """All moments in the order of ``sampling``."""
        return _stacked(self.mean, self.covariance)


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """A fitted model.

    Attributes
    ----------
    loadings, residuals : numpy.ndarray
        Shape (groups, items).
    factors : numpy.ndarray
        Covariance of the factors, shape (groups, factors, factors).
    chi_square, df, scaling : float
        T, its degrees of freedom, and c.
    cfi, rmsea, srmr : float
        NaN where a group has too few items for them.
    of_moments : numpy.ndarray
        Derivative of loadings and residuals (flattened, one after the other) by the moments.
    """

    loadings: np.ndarray
    residuals: np.ndarray
    factors: np.ndarray
    chi_square: float
    df: int
    scaling: float
    cfi: float
    rmsea: float
    srmr: float
    of_moments: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class _Layout:
    """Where each number of a model comes from: its place among the parameters, −1 where it is fixed."""

    loading: np.ndarray
    intercept: np.ndarray
    residual: np.ndarray
    factor: np.ndarray
    level: np.ndarray
    factor_of: np.ndarray

    @property
    def size(self) -> int:
        parts = (self.loading, self.intercept, self.residual, self.factor, self.level)
        return 1 + max(int(part.max()) for part in parts)

    def numbers(self, theta: np.ndarray) -> tuple[np.ndarray, ...]:
        """Λ, τ, Θ (diagonals), Φ and κ of every group."""
        identity = np.eye(self.factor.shape[1])
        return (
            theta[self.loading],
            theta[self.intercept],
            theta[self.residual],
            np.where(self.factor >= 0, theta[self.factor], identity),
            np.where(self.level >= 0, theta[self.level], 0.0),
        )

    def implied(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        loading, intercept, residual, factor, level = self.numbers(theta)
        common = factor[:, self.factor_of][:, :, self.factor_of]
        covariance = loading[:, :, None] * loading[:, None, :] * common
        covariance = covariance + residual[:, :, None] * np.eye(residual.shape[1])
        return intercept + loading * level[:, self.factor_of], covariance


def fit_groups(
    moments: Moments,
    factor_of: np.ndarray,
    level: Level = "configural",
    *,
    released: Collection[tuple[Level, int]] = (),
) -> Fit:
    """Fit a factor model to groups.

    Parameters
    ----------
    moments : Moments
        What the groups answered.
    factor_of : numpy.ndarray
        Number of each item's factor, shape (items,).
    level : str
        What is the same in all groups.
    released : collection of (str, int)
        Loadings (``metric``) and intercepts (``scalar``) of items, by number, that are each group's own all the same.

    Raises
    ------
    DesignError
        When the model has more parameters than moments, a covariance is singular, or the iterations do not settle.
    """
    layout = _layout(len(moments.n), np.asarray(factor_of), level, released)
    n_groups, n_items = moments.mean.shape
    df = n_groups * (n_items + n_items * (n_items + 1) // 2) - layout.size
    if df < 0 or np.bincount(layout.factor_of).min() < (3 if layout.factor.shape[1] == 1 else 2):
        raise DesignError("too few items for a model", where="factor model", fix="take scales together, or none")
    if (np.linalg.eigvalsh(moments.covariance)[:, 0] <= 0).any():
        raise DesignError("answers repeat each other", where="factor model", fix="leave an item out")
    theta = _settled(layout, moments, _start(layout, moments))
    mean, covariance = layout.implied(theta)
    jacobian = _jacobian(lambda at: _stacked(*layout.implied(at)), theta)
    weight = _weight(covariance, moments.n)
    chi_square = _discrepancy(mean, covariance, moments)
    scaling = _scaling(jacobian, weight, moments, df)
    own = [_own(block) for block in moments.covariance]
    against = np.array([np.diag(np.diag(block)) for block in moments.covariance])
    df_none = n_groups * n_items * (n_items - 1) // 2
    none = _discrepancy(moments.mean, against, moments)
    scaling_none = _scaling(np.asarray(linalg.block_diag(*own)), _weight(against, moments.n), moments, df_none)
    beyond, beyond_none = max(0.0, chi_square - scaling * df), max(0.0, none - scaling_none * df_none)
    numbers = layout.numbers(theta)
    wanted = _jacobian(lambda at: np.concatenate([part.ravel() for part in layout.numbers(at)[::2][:2]]), theta)
    information = jacobian.T @ weight
    return Fit(
        loadings=numbers[0],
        residuals=numbers[2],
        factors=numbers[3],
        chi_square=chi_square,
        df=df,
        scaling=scaling,
        cfi=1 - beyond / max(beyond, beyond_none) if max(beyond, beyond_none) > 0 else 1.0,
        rmsea=float(np.sqrt(n_groups * beyond / (moments.n.sum() * df))) if df else 0.0,
        srmr=_srmr(mean, covariance, moments),
        of_moments=wanted @ np.linalg.solve(information @ jacobian, information),
    )


def _layout(n_groups: int, factor_of: np.ndarray, level: Level, released: Collection[tuple[Level, int]]) -> _Layout:
    n_items, n_factors, taken = len(factor_of), int(factor_of.max()) + 1, 0

    def numbered(shape: tuple[int, ...], is_shared: np.ndarray) -> np.ndarray:
        """Places for every group, but one for all groups where shared."""
        nonlocal taken
        place = taken + np.arange(np.prod(shape)).reshape(shape)
        taken += place.size
        return np.where(is_shared, place[0], place)

    def shared(name: Level) -> np.ndarray:
        own = {item for what, item in released if what == name}
        return np.array([LEVELS.index(level) >= LEVELS.index(name) and item not in own for item in range(n_items)])

    nowhere = np.zeros(1, dtype=bool)
    loading = numbered((n_groups, n_items), shared("metric"))
    intercept = numbered((n_groups, n_items), shared("scalar"))
    residual = numbered((n_groups, n_items), nowhere)
    factor = numbered((n_groups, n_factors, n_factors), nowhere)
    factor = np.minimum(factor, factor.transpose(0, 2, 1))
    unit = np.eye(n_factors, dtype=bool)
    factor[0][unit] = -1
    if level == "configural":
        factor[:, unit] = -1
    mean = numbered((n_groups, n_factors), nowhere)
    mean[0] = -1
    if level != "scalar":
        mean[:] = -1
    used = np.unique(np.concatenate([part[part >= 0] for part in (loading, intercept, residual, factor, mean)]))
    renumbered = np.full(taken + 1, -1)
    renumbered[used] = np.arange(len(used))
    loading, intercept, residual, factor, mean = (
        renumbered[part] for part in (loading, intercept, residual, factor, mean)
    )
    return _Layout(loading, intercept, residual, factor, mean, factor_of)


def _start(layout: _Layout, moments: Moments) -> np.ndarray:
    """Loadings of the right sign and half of the variance, the first group last where a number is shared."""
    theta = np.zeros(layout.size)
    spread = np.sqrt(np.diagonal(moments.covariance, axis1=1, axis2=2))
    same = layout.factor_of[:, None] == layout.factor_of
    pooled = np.einsum("g,gij->ij", moments.n / moments.n.sum(), moments.covariance) * same
    first = np.array([np.flatnonzero(layout.factor_of == factor)[0] for factor in layout.factor_of])
    sign = np.where(pooled[np.arange(len(first)), first] < 0, -1.0, 1.0)
    for group in reversed(range(len(moments.n))):
        theta[layout.loading[group]] = 0.7 * sign * spread[group]
        theta[layout.intercept[group]] = moments.mean[group]
        theta[layout.residual[group]] = 0.5 * spread[group] ** 2
        free = layout.factor[group]
        theta[free[free >= 0]] = np.eye(len(free))[free >= 0]
    return theta


def _settled(layout: _Layout, moments: Moments, theta: np.ndarray) -> np.ndarray:
    """Fisher scoring, a step halved for as long as it leads up."""
    mean, covariance = layout.implied(theta)
    now = _discrepancy(mean, covariance, moments)
    for _ in range(MAX_STEPS):
        jacobian = _jacobian(lambda at: _stacked(*layout.implied(at)), theta)
        weighted = jacobian.T @ _weight(covariance, moments.n)
        off = moments.mean - mean
        left = _stacked(off, moments.covariance + off[:, :, None] * off[:, None, :] - covariance)
        step = np.linalg.lstsq(weighted @ jacobian, weighted @ left, rcond=None)[0]
        for _ in range(MAX_HALVINGS):
            mean, covariance = layout.implied(theta + step)
            later = _discrepancy(mean, covariance, moments)
            if later <= now + SETTLED:
                break
            step = step / 2
        else:
            break
        theta, gain, now = theta + step, now - later, later
        if gain < SETTLED and np.abs(step).max() < 1e-6:
            return theta
    raise DesignError("the model does not settle", where="factor model", fix="take fewer groups or other items")


def _discrepancy(mean: np.ndarray, covariance: np.ndarray, moments: Moments) -> float:
    """T; infinite where a covariance is not positive definite."""
    if (np.linalg.eigvalsh(covariance)[:, 0] <= 0).any():
        return float("inf")
    off = moments.mean - mean
    spread = moments.covariance + off[:, :, None] * off[:, None, :]
    fit = np.linalg.slogdet(covariance)[1] - np.linalg.slogdet(moments.covariance)[1] - mean.shape[1]
    return float(moments.n @ (fit + np.einsum("gii->g", np.linalg.solve(covariance, spread))))


def _weight(covariance: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Inverse covariance of the moments of normal data."""
    double = _duplication(covariance.shape[1])
    blocks = []
    for size, inverse in zip(n, np.linalg.inv(covariance), strict=True):
        blocks += [size * inverse, size / 2 * double.T @ np.kron(inverse, inverse) @ double]
    return np.asarray(linalg.block_diag(*blocks))


def _scaling(jacobian: np.ndarray, weight: np.ndarray, moments: Moments, df: int) -> float:
    """c: how many times its degrees of freedom T is on average."""
    if moments.sampling is None or df == 0:
        return 1.0
    weighted = weight @ jacobian
    left = weight - weighted @ np.linalg.solve(jacobian.T @ weighted, weighted.T)
    return float((left * moments.sampling).sum() / df)


def _own(covariance: np.ndarray) -> np.ndarray:
    """Derivative of a group's moments where only means and variances are free."""
    n_items = len(covariance)
    row, column = np.tril_indices(n_items)
    variances = (row[:, None] == np.arange(n_items)) & (row == column)[:, None]
    return np.asarray(linalg.block_diag(np.eye(n_items), variances))


def _srmr(mean: np.ndarray, covariance: np.ndarray, moments: Moments) -> float:
    spread = np.sqrt(np.diagonal(moments.covariance, axis1=1, axis2=2))
    off = (moments.covariance - covariance) / (spread[:, :, None] * spread[:, None, :])
    row, column = np.tril_indices(mean.shape[1])
    squares = np.concatenate([off[:, row, column] ** 2, ((moments.mean - mean) / spread) ** 2], axis=1)
    return float(np.sqrt(squares.mean(axis=1)) @ moments.n / moments.n.sum())


def _jacobian(function: Callable[[np.ndarray], np.ndarray], at: np.ndarray) -> np.ndarray:
    """Derivatives of a function of many numbers by an imaginary step, shape (values, numbers)."""
    steps = at + 1j * TINY * np.eye(len(at))
    return np.stack([np.imag(function(step)) / TINY for step in steps], axis=1)


def _stacked(mean: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    row, column = np.tril_indices(mean.shape[1])
    return np.concatenate([mean, covariance[:, row, column]], axis=1).ravel()


def _duplication(n_items: int) -> np.ndarray:
    """The matrix that makes a whole symmetric matrix of its lower triangle."""
    row, column = np.tril_indices(n_items)
    matrix = np.zeros((n_items, n_items, len(row)))
    matrix[row, column, np.arange(len(row))] = matrix[column, row, np.arange(len(row))] = 1
    return matrix.reshape(n_items**2, -1)
