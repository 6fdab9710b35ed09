"""Weights that reproduce known totals of the population, and the variance that is left afterwards; numbers only.

With base weights d, auxiliaries x and their population totals t, calibrated weights are w = d F(x'λ) with Σ w x = t
(Deville and Särndal 1992)::

    linear (GREG)    F(u) = 1 + u
    raking           F(u) = exp u
    logit            F(u) between two bounds

An estimate has the variance of the residuals of its scores u on the auxiliaries, with g-weights (Särndal, Swensson and
Wretman 1992, result 6.6.1)::

    score  w (u − x'B)     B = (Σ d x x')⁻¹ Σ d x u

so whatever the auxiliaries explain is no longer uncertain. All functions refuse weights that are not positive.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import pandas as pd
from scipy import sparse, special

from analysis_lib.errors import DesignError

Method = Literal["linear", "raking", "logit"]
NEGLIGIBLE = 1e-11  # a direction of the auxiliaries this weak, beside the strongest, repeats the others
SWEEPS = 10  # times that residuals of raking are centred on every margin in turn, as R's svyrecvar does
HALVINGS = 20


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """Calibrated weights and what they take out of a variance.

    Attributes
    ----------
    weights : numpy.ndarray
        Calibrated weights, shape (rows,); zero where the base weight is zero or missing.
    spanned, against : scipy.sparse.csr_array
        A score u leaves u − spanned · solve · againstᵀ u, shape (rows, k) each.
    solve : numpy.ndarray
        Shape (k, k).
    """

    weights: np.ndarray
    spanned: sparse.csr_array
    against: sparse.csr_array
    solve: np.ndarray

    @classmethod
    def of_weights(cls, weights: np.ndarray, base: np.ndarray, auxiliaries: sparse.sparray | np.ndarray) -> Calibration:
        """The calibration of weights made elsewhere from base weights and these auxiliaries."""
        spanned = sparse.csr_array(auxiliaries)
        against = _scaled(spanned, base)
        return cls(weights, spanned, against, _pseudo_inverse((against.T @ spanned).toarray()))

    def residuals(self, scores: np.ndarray) -> np.ndarray:
        """What the auxiliaries leave of unweighted scores, shape (rows, k)."""
        return scores - self.spanned @ (self.solve @ (self.against.T @ scores))


def one_hot(code: np.ndarray, n_codes: int) -> sparse.csr_array:
    """Indicator columns of codes from zero; a code below zero has none."""
    rows = np.flatnonzero(code >= 0)
    return sparse.csr_array((np.ones(len(rows)), (rows, code[rows])), shape=(len(code), n_codes))


def margin(column: pd.Series, totals: dict[str, float], *, name: str = "") -> tuple[np.ndarray, np.ndarray]:
    """Code of each row among the categories of a margin, and the totals in their order.

    Raises
    ------
    DesignError
        When rows have a category of which no total is known.
    """
    code = pd.Index(list(totals)).get_indexer(pd.Index(column.astype(str)))
    if (code < 0).any():
        raise DesignError(
            f"{int((code < 0).sum())} rows have a category without a total",
            where=f"margin {name or column.name}",
            fix="give a total for every category, or leave the margin out",
        )
    return code, np.array(list(totals.values()), dtype=float)


def post_stratify(base: np.ndarray, code: np.ndarray, totals: np.ndarray) -> Calibration:
    """Weights that add up to the total of every post-stratum; parameters as in `rake`, for one margin."""
    return rake(base, [code], [totals])


def rake(
    base: np.ndarray,
    codes: Sequence[np.ndarray],
    totals: Sequence[np.ndarray],
    *,
    tolerance: float = 1e-10,
    max_rounds: int = 200,
) -> Calibration:
    """Iterative proportional fitting: margin after margin is brought to its totals, until nothing moves.

    Parameters
    ----------
    base : numpy.ndarray
        Weights before, shape (rows,); missing counts as zero.
    codes : sequence of numpy.ndarray
        For each margin, the category of each row, numbered as its totals; shape (rows,).
    totals : sequence of numpy.ndarray
        For each margin, the population total of each category.
    tolerance : float
        Share of all weight by which a cell of the cross-table of margins may still move in the last round. R's
        ``rake`` stops much earlier, at one person.
    max_rounds : int
        Rounds after which raking is given up.

    Returns
    -------
    Calibration
        Residuals are centred on each margin in turn, ten times, with the weights of that turn (as R does).

    Raises
    ------
    DesignError
        When margins contradict each other, a category with a total has nobody, or raking does not settle.
    """
    base = np.nan_to_num(base)
    weights = base.copy()
    _refuse_empty(base, codes, totals)
    cell = pd.MultiIndex.from_arrays(list(codes)).factorize()[0] if len(codes) > 1 else codes[0]
    before = np.bincount(cell, weights)
    steps, moved = [], np.inf
    for _ in range(max_rounds):
        steps = []
        for code, wanted in zip(codes, totals, strict=True):
            found = np.bincount(code, weights, minlength=len(wanted))
            weights = weights * np.divide(wanted, found, out=np.zeros(len(wanted)), where=found > 0)[code]
            steps.append(weights)
        after = np.bincount(cell, weights)
        moved, before = np.abs(after - before).max(initial=0), after
        if len(codes) == 1 or moved < tolerance * after.sum():
            return _of_steps(base, codes, totals, steps)
    raise DesignError(
        f"raking has not settled after {max_rounds} rounds: a cell still moves by {moved:.3g}",
        where="margins",
        fix="merge small categories, or take out a margin that contradicts the others",
    )


def calibrate(
    base: np.ndarray,
    auxiliaries: sparse.sparray | np.ndarray,
    totals: np.ndarray,
    *,
    method: Method = "linear",
    bounds: tuple[float, float] = (0.2, 5.0),
    tolerance: float = 1e-10,
    max_rounds: int = 100,
) -> Calibration:
    """Weights whose sums of auxiliaries are the population's.

    Parameters
    ----------
    base : numpy.ndarray
        Weights before, shape (rows,); missing counts as zero.
    auxiliaries : array or sparse array
        Shape (rows, k): ones, indicators, numbers. They may repeat each other as long as their totals agree.
    totals : numpy.ndarray
        Population totals of the auxiliaries, shape (k,).
    method : {"linear", "raking", "logit"}
        The calibration function.
    bounds : tuple of float
        Least and greatest factor on a base weight, for ``logit``: below and above one.
    tolerance : float
        Greatest relative misfit of a total.

    Raises
    ------
    DesignError
        When totals cannot be reached, or linear calibration makes a weight that is not positive.
    """
    base = np.nan_to_num(base)
    x = sparse.csr_array(auxiliaries)
    # Columns of one size, so that weak directions can be told from small numbers.
    size = np.sqrt(np.maximum((x * x).T @ base, np.finfo(float).tiny))
    x, wanted = x @ sparse.diags_array(1 / size), totals / size
    factor = _factor(method, bounds)
    multiplier = np.zeros(len(totals))

    def tried(multiplier: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
        """Factors, their slopes, what is missing of the totals, and the convex function that is least where none is."""
        with np.errstate(over="ignore", invalid="ignore"):  # a step too long is not finite, and is taken back
            g, slope, potential = factor(x @ multiplier)
            return g, slope, wanted - x.T @ (base * g), float(base @ potential - wanted @ multiplier)

    g, slope, misfit, height = tried(multiplier)
    for _ in range(max_rounds):
        if _worst(misfit, wanted) < tolerance:
            break
        step = _pseudo_inverse((_scaled(x, base * slope).T @ x).toarray()) @ misfit
        for _ in range(HALVINGS):  # Newton, held back while it climbs
            found = tried(multiplier + step)
            if found[3] < height or np.abs(found[2]).sum() < np.abs(misfit).sum():
                break
            step = step / 2
        else:
            break
        multiplier, (g, slope, misfit, height) = multiplier + step, found
    if _worst(misfit, wanted) >= tolerance:
        raise DesignError(
            f"total {int(np.argmax(np.abs(misfit) / (1 + np.abs(wanted)))) + 1} of {len(totals)} cannot be reached",
            where=f"{method} calibration",
            fix="see that totals agree with each other, widen the bounds, or merge small categories",
        )
    weights = base * g
    n_bad = int(((weights <= 0) & (base > 0)).sum())
    if n_bad:
        raise DesignError(
            f"{n_bad} weights would be zero or negative", where="linear calibration", fix="take raking or logit"
        )
    return Calibration.of_weights(weights, base, auxiliaries)


def _factor(
    method: Method, bounds: tuple[float, float]
) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The factor on a base weight, its slope and its integral, as functions of x'λ (Deville and Särndal 1992, table 1)."""
    if method == "linear":
        return lambda u: (1 + u, np.ones_like(u), u + u**2 / 2)
    if method == "raking":
        return lambda u: (np.exp(u), np.exp(u), np.exp(u))
    low, high = bounds
    if not 0 <= low < 1 < high:
        raise DesignError(f"bounds {low:g} and {high:g}", where="logit calibration", fix="one below 1, one above")
    pace = (high - low) / ((1 - low) * (high - 1))

    def logit(u: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        upper = special.expit(pace * u + np.log((1 - low) / (high - 1)))
        value = low + (high - low) * upper
        integral = low * u + (high - low) / pace * np.logaddexp(np.log(high - 1), np.log(1 - low) + pace * u)
        return value, (value - low) * (high - value) / ((1 - low) * (high - 1)), integral

    return logit


def _of_steps(
    base: np.ndarray, codes: Sequence[np.ndarray], totals: Sequence[np.ndarray], steps: list[np.ndarray]
) -> Calibration:
    """Residuals of raking: x = w (u − Z c) whose sums of x / step are zero in each margin, by turns."""
    weights = steps[-1]
    later = [np.divide(step, weights, out=np.ones_like(step), where=weights > 0) for step in steps]
    columns = [one_hot(code, len(wanted)) for code, wanted in zip(codes, totals, strict=True)]
    spanned = sparse.hstack([_scaled(x, ratio) for x, ratio in zip(columns, later, strict=True)], format="csr")
    against = sparse.hstack([_scaled(x, base / ratio) for x, ratio in zip(columns, later, strict=True)], format="csr")
    gram = (against.T @ spanned).toarray()
    ends = np.cumsum([0, *(len(wanted) for wanted in totals)])
    solve = np.zeros_like(gram)
    for _ in range(SWEEPS if len(codes) > 1 else 1):
        for start, end in pairwise(ends):
            own = np.diagonal(gram)[start:end]
            left = np.eye(len(gram))[start:end] - gram[start:end] @ solve
            left = left + own[:, None] * solve[start:end]
            solve[start:end] = np.divide(left, own[:, None], out=np.zeros_like(left), where=own[:, None] > 0)
    return Calibration(weights, sparse.csr_array(spanned), sparse.csr_array(against), solve)


def _refuse_empty(base: np.ndarray, codes: Sequence[np.ndarray], totals: Sequence[np.ndarray]) -> None:
    sums = [float(wanted.sum()) for wanted in totals]
    if max(sums) - min(sums) > 1e-6 * max(sums):
        raise DesignError("margins add up to different populations", where="margins", fix="make their totals agree")
    for number, (code, wanted) in enumerate(zip(codes, totals, strict=True), start=1):
        found = np.bincount(code, base, minlength=len(wanted))
        n_empty = int(((found == 0) & (wanted > 0)).sum())
        if n_empty:
            raise DesignError(
                f"nobody is in {n_empty} categories of margin {number} that have a total",
                where="margins",
                fix="merge them with others",
            )


def _worst(misfit: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.max(np.abs(misfit) / (1 + np.abs(wanted)), initial=0.0))


def _scaled(x: sparse.csr_array, by: np.ndarray) -> sparse.csr_array:
    """Rows of a sparse array times a number each."""
    return sparse.csr_array(sparse.diags_array(by) @ x)


def _pseudo_inverse(gram: np.ndarray) -> np.ndarray:
    """Inverse of a symmetric matrix without its negligible directions, its columns brought to one size first."""
    size = np.sqrt(np.where(np.diagonal(gram) > 0, np.diagonal(gram), 1.0))
    return np.linalg.pinv(gram / np.outer(size, size), rcond=NEGLIGIBLE, hermitian=True) / np.outer(size, size)
