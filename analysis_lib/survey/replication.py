"""Variances from replicate weights: estimate again with each set of weights, and see how far the estimates spread.

    variance  scale · Σ_r rscale_r (θ_r − centre)²       centre: the full-sample estimate, or the replicates' mean

==================  =====================================================  ==========================================
method              replicate weight ÷ weight                              scale · rscale
==================  =====================================================  ==========================================
jackknife           0 for one PSU, n/(n − 1) for others of its stratum     (1 − f) (n − 1)/n
balanced (BRR)      2 for one PSU of each stratum's two, 0 for the other   1/R
Fay's BRR           2 − ρ and ρ                                            1/(R (1 − ρ)²)
bootstrap           n/(n − 1) · times drawn among n − 1, shrunk by √(1−f)  1/R
successive diff.    1 + 2^(−3/2) (h_a − h_b) √(1−f)                        4/R
==================  =====================================================  ==========================================

f is the share of a stratum's PSUs that were drawn. References: Rust and Rao (1996); Fay (1989); Rao, Wu and Yue (1992);
Fay and Train (1995). Replicates resample first-stage units only: with a second stage they would miss its variance when f
counts, so a design of two stages is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from scipy import linalg

from analysis_lib.errors import DesignError, UsageError
from analysis_lib.survey.design import Sample, SurveyDesign, read_sample, sum_by
from analysis_lib.survey.estimation import domains_of
from analysis_lib.survey.linearisation import share_interval, t_interval
from analysis_lib.survey.quantiles import WeightedDistribution

Centre = Literal["estimate", "mean"]
Statistic = Literal["mean", "total", "ratio", "share", "quantile"]
MAX_CELLS = 200_000_000  # numbers held for the factors of all replicates


@dataclass(frozen=True, slots=True, eq=False)
class ReplicateWeights:
    """A weight and its replicates.

    Attributes
    ----------
    full : numpy.ndarray
        The full-sample weight, shape (rows,).
    factors : numpy.ndarray
        What each replicate makes of a unit's weight, shape (units, replicates).
    unit : numpy.ndarray
        Unit of each row, shape (rows,).
    base : numpy.ndarray
        What factors multiply, shape (rows,): the full weight, or ones where factors are weights themselves.
    scale : float
        Common factor of squared deviations.
    rscales : numpy.ndarray
        Factor of each replicate's squared deviation, shape (replicates,).
    df : int
        Degrees of freedom.
    centre : {"estimate", "mean"}
        What deviations are taken from; R's ``mse = TRUE`` and ``FALSE``. From the estimate they are never smaller.
    change : callable, optional
        What is done to every set of weights, such as calibration to known totals.
    """

    full: np.ndarray
    factors: np.ndarray
    unit: np.ndarray
    base: np.ndarray
    scale: float
    rscales: np.ndarray
    df: int
    centre: Centre = "estimate"
    change: Callable[[np.ndarray], np.ndarray] | None = None

    def replicate(self, number: int) -> np.ndarray:
        """Weights of one replicate; of the full sample for −1."""
        weights = self.full if number < 0 else self.base * self.factors[self.unit, number]
        return weights if self.change is None else self.change(weights)

    def changed(self, change: Callable[[np.ndarray], np.ndarray]) -> ReplicateWeights:
        """The same with every set of weights changed alike: calibrate each, and its variance is the calibrated one."""
        return replace(self, change=change)


@dataclass(frozen=True, slots=True, eq=False)
class Replicated:
    """Estimates of every replicate.

    Attributes
    ----------
    estimate : numpy.ndarray
        From the full sample, shape (k,).
    replicates : numpy.ndarray
        Shape (replicates, k).
    covariance : numpy.ndarray
        Shape (k, k); NaN where a replicate has no estimate, as when it deletes the only unit of a domain.
    """

    estimate: np.ndarray
    replicates: np.ndarray
    covariance: np.ndarray


def replicate(statistic: Callable[[np.ndarray], np.ndarray], weights: ReplicateWeights) -> Replicated:
    """Variance of any function of the weights.

    Parameters
    ----------
    statistic : callable
        From weights of shape (rows,) to estimates of shape (k,).
    """
    estimate = statistic(weights.replicate(-1))
    replicates = np.array([statistic(weights.replicate(number)) for number in range(weights.factors.shape[1])])
    centre = estimate if weights.centre == "estimate" else replicates[weights.rscales > 0].mean(axis=0)
    rows = (replicates - centre) * np.sqrt(weights.scale * weights.rscales)[:, None]
    return Replicated(estimate, replicates, rows.T @ rows)


def estimate_replicated(
    frame: pd.DataFrame,
    column: str,
    *,
    weights: ReplicateWeights,
    statistic: Statistic = "mean",
    denominator: str = "",
    probability: float = 0.5,
    by: str = "",
    where: pd.Series | None = None,
    confidence_level: float = 0.95,
) -> pd.DataFrame:
    """Estimate a column by domain with replicate weights.

    Parameters
    ----------
    frame : pandas.DataFrame
        The whole sample, rows in the order of the weights.
    statistic : {"mean", "total", "ratio", "share", "quantile"}
        ``ratio`` needs a ``denominator``, ``quantile`` a ``probability``. The jackknife is not consistent for
        quantiles; the others are.

    Returns
    -------
    pandas.DataFrame
        ``category``, ``estimate``, ``se``, ``ci_low``, ``ci_high``, ``df``, ``n``. Rows with a missing value leave the
        domain. Zero and negative replicate weights are kept.
    """
    if (statistic == "ratio") != bool(denominator):
        raise UsageError(
            "a ratio, and only a ratio, has a denominator", where=statistic, fix="name it, or leave it out"
        )
    domain, categories = domains_of(frame, by, where)
    y = frame[column].to_numpy(float)
    x = frame[denominator].to_numpy(float) if denominator else np.ones(len(frame))
    inside = np.isfinite(y) & np.isfinite(x) & (domain >= 0)
    y, x, domain, count = y[inside], x[inside], domain[inside], len(categories)

    def of_weights(weight: np.ndarray) -> np.ndarray:
        weight = weight[inside]
        if statistic == "quantile":
            rows = [np.flatnonzero(domain == number) for number in range(count)]
            return np.array([WeightedDistribution(y[each], weight[each]).quantile(probability) for each in rows])
        sums = sum_by(domain, np.column_stack([weight * y, weight * x]), count)
        if statistic == "total":
            return sums[:, 0]
        return np.divide(sums[:, 0], sums[:, 1], out=np.full(count, np.nan), where=sums[:, 1] != 0)

    found = replicate(of_weights, weights)
    se, df = np.sqrt(np.diagonal(found.covariance)), np.full(count, float(weights.df))
    low, high = t_interval(found.estimate, se, df, confidence_level)
    if statistic == "share":
        sums = sum_by(domain, np.column_stack([weights.full[inside], weights.full[inside] ** 2]), count)
        effective_n = np.divide(sums[:, 0] ** 2, sums[:, 1], out=np.full(count, np.nan), where=sums[:, 1] > 0)
        low, high = share_interval(found.estimate, se, df, effective_n, confidence_level)
    return pd.DataFrame(
        {
            "category": categories,
            "estimate": found.estimate,
            "se": se,
            "ci_low": low,
            "ci_high": high,
            "df": df,
            "n": np.bincount(domain, minlength=count),
        }
    )


# -- where replicate weights come from ----------------------------------------------------------------


def given(
    full: np.ndarray,
    replicates: np.ndarray,
    *,
    scale: float,
    rscales: np.ndarray | None = None,
    centre: Centre = "estimate",
    df: int | None = None,
) -> ReplicateWeights:
    """Replicate weights as a data provider gives them, with the scale that the provider states.

    Degrees of freedom that are not stated are the rank of the replicate weights less one, as R's ``degf``. The
    American Community Survey and the American Time Use Survey: ``scale=4 / replicates``, deviations from the estimate.
    """
    replicates = np.asarray(replicates, dtype=float)
    if replicates.ndim != 2 or len(replicates) != len(full) or not np.isfinite(replicates).all():
        raise DesignError(
            "replicate weights have gaps or not one row per respondent", where="replicate weights", fix="complete them"
        )
    n = replicates.shape[1]
    if df is None:
        df = int(np.linalg.matrix_rank(replicates.T @ replicates, tol=None, hermitian=True)) - 1
    rscales = np.ones(n) if rscales is None else np.asarray(rscales, dtype=float)
    rows = np.arange(len(full))
    return ReplicateWeights(np.asarray(full, float), replicates, rows, np.ones(len(full)), scale, rscales, df, centre)


def multiplied(
    full: np.ndarray,
    factors: np.ndarray,
    *,
    scale: float,
    df: int,
    rscales: np.ndarray | None = None,
    centre: Centre = "estimate",
) -> ReplicateWeights:
    """Replicates given as multipliers of the full weight, one row per respondent."""
    factors = np.asarray(factors, dtype=float)
    rscales = np.ones(factors.shape[1]) if rscales is None else np.asarray(rscales, dtype=float)
    full = np.asarray(full, dtype=float)
    return ReplicateWeights(full, factors, np.arange(len(full)), full, scale, rscales, df, centre)


def jackknife(frame: pd.DataFrame, design: SurveyDesign, *, centre: Centre = "estimate") -> ReplicateWeights:
    """Delete one PSU at a time: R's JK1 without strata, JKn with them, finite population correction included."""
    sample, stratum, sampled = _first_stage(frame, design)
    _refuse_too_many(len(stratum), len(stratum))
    n = sampled[stratum].astype(float)
    factors = np.where(stratum[:, None] == stratum, (n / np.maximum(n - 1, 1))[:, None], 1.0)
    np.fill_diagonal(factors, np.where(n > 1, 0.0, 1.0))
    rscales = (n - 1) / n * (1 - sample.stages[0].fraction[stratum])
    return _replicates(frame, design, sample, factors, 1.0, rscales, centre)


def balanced(
    frame: pd.DataFrame, design: SurveyDesign, *, rho: float = 0.0, centre: Centre = "estimate"
) -> ReplicateWeights:
    """Balanced repeated replication of strata of two PSUs; Fay's, when ``rho`` is above zero.

    Raises
    ------
    DesignError
        When a stratum has not two PSUs, or the design has population counts, which half-samples cannot use.
    """
    sample, stratum, sampled = _first_stage(frame, design)
    if design.population or (sampled > 2).any():
        raise DesignError(
            "half-samples need two PSUs in every stratum and no population counts",
            where="balanced replication",
            fix="take the jackknife",
        )
    signs = hadamard(len(sampled) + 1)[:, 1 : len(sampled) + 1]  # columns: strata; the constant column is left out
    # The first PSU of a stratum follows the sign, the second its opposite.
    is_first = np.zeros(len(stratum), dtype=bool)
    is_first[np.unique(stratum, return_index=True)[1]] = True
    half = signs[:, stratum].T * np.where(is_first, 1, -1)[:, None]
    factors = np.where((sampled[stratum] == 2)[:, None], np.where(half > 0, 2 - rho, rho), 1.0)
    n = factors.shape[1]
    return _replicates(frame, design, sample, factors, 1 / (n * (1 - rho) ** 2), np.ones(n), centre)


def bootstrap(
    frame: pd.DataFrame, design: SurveyDesign, *, replicates: int, seed: int, centre: Centre = "estimate"
) -> ReplicateWeights:
    """Rescaled bootstrap: n − 1 of the n PSUs of each stratum, drawn with replacement (Rao, Wu and Yue 1992)."""
    sample, stratum, sampled = _first_stage(frame, design)
    _refuse_too_many(len(stratum), replicates)
    random = np.random.default_rng(seed)
    factors = np.ones((len(stratum), replicates))
    for number, n in enumerate(sampled):
        if n > 1:
            times = random.multinomial(n - 1, np.full(n, 1 / n), size=replicates).T
            kept = np.sqrt(1 - sample.stages[0].fraction[number])
            factors[stratum == number] = 1 - kept + kept * times * n / (n - 1)
    return _replicates(frame, design, sample, factors, 1 / replicates, np.ones(replicates), centre)


def successive_difference(frame: pd.DataFrame, design: SurveyDesign, *, replicates: int = 160) -> ReplicateWeights:
    """Replicates whose variance is that of differences between neighbours, for PSUs drawn systematically.

    PSUs are neighbours in the order in which they first appear in the frame, within their stratum, the last beside the
    first: ½ Σ (z_i − z_{i−1})². Exact while replicates outnumber PSUs, else nearly so. The number of replicates is
    raised to the next order of a Hadamard matrix.
    """
    sample, stratum, _ = _first_stage(frame, design)
    _refuse_too_many(len(stratum), replicates)
    _, first_row = np.unique(sample.psu, return_index=True)
    order = np.lexsort([first_row, stratum])
    matrix = hadamard(replicates)
    row = np.empty(len(order), dtype=np.int64)
    row[order] = np.arange(len(order))
    follower = np.empty_like(row)
    for members in np.split(order, np.flatnonzero(np.diff(stratum[order])) + 1):
        follower[members] = row[np.roll(members, -1)]
    kept = np.sqrt(1 - sample.stages[0].fraction[stratum])[:, None]
    n = len(matrix)
    factors = 1 + kept * 2**-1.5 * (matrix[row % n] - matrix[follower % n])
    return _replicates(frame, design, sample, factors, 4 / n, np.ones(n), "estimate")


def hadamard(at_least: int) -> np.ndarray:
    """A Hadamard matrix of the smallest order within reach of Paley's and Sylvester's constructions.

    Its first row and column are ones.
    """
    order = max(1, at_least)
    while True:
        odd, doublings = order, 0
        while True:
            q = odd - 1
            if odd in (1, 2) or (odd % 4 == 0 and _is_prime(q) and q % 4 == 3):
                matrix = _paley(q) if odd > 2 else linalg.hadamard(odd)
                return np.kron(linalg.hadamard(2**doublings), matrix)
            if odd % 2:
                break
            odd, doublings = odd // 2, doublings + 1
        order += 1


def _paley(q: int) -> np.ndarray:
    """Hadamard matrix of order q + 1 for a prime q that leaves 3 when divided by 4; first row and column are ones."""
    squares = {number**2 % q for number in range(1, q)}
    character = np.array([0, *(1 if number in squares else -1 for number in range(1, q))])
    matrix = np.ones((q + 1, q + 1), dtype=np.int64)
    matrix[1:, 1:] = -linalg.circulant(character).T - np.eye(q, dtype=np.int64)
    return matrix


def _is_prime(number: int) -> bool:
    return number > 1 and all(number % divisor for divisor in range(2, int(number**0.5) + 1))


def _first_stage(frame: pd.DataFrame, design: SurveyDesign) -> tuple[Sample, np.ndarray, np.ndarray]:
    """The sample, the stratum of each PSU and the number of PSUs of each stratum."""
    sample = read_sample(frame, design)
    first, *later = sample.stages
    if later or design.single_psu in ("adjust", "average"):
        raise DesignError(
            "replicate weights resample first-stage units, and know strata of a single PSU only as certain",
            where="replicate weights",
            fix='leave population counts out, set single_psu to "certainty", or take linearisation',
        )
    return sample, first.parent, first.sampled


def _refuse_too_many(n_psu: int, replicates: int) -> None:
    if n_psu * replicates > MAX_CELLS:
        raise DesignError(
            f"{n_psu} PSUs times {replicates} replicates are too many to hold",
            where="replicate weights",
            fix="take the bootstrap with fewer replicates, or linearisation",
        )


def _replicates(
    frame: pd.DataFrame,
    design: SurveyDesign,
    sample: Sample,
    factors: np.ndarray,
    scale: float,
    rscales: np.ndarray,
    centre: Centre,
) -> ReplicateWeights:
    full = frame[design.weight].to_numpy(float)
    return ReplicateWeights(full, factors, sample.psu, full, scale, rscales, sample.degrees_of_freedom, centre)
