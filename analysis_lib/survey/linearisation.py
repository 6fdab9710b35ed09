"""Linearised estimates of many variables in many domains at once; numbers only.

A domain is a mask on the whole sample: rows outside it score zero and stay in their strata and PSUs. So do rows whose
value or weight is missing. With them the formulas are (Särndal, Swensson and Wretman 1992, ch. 5; Woodruff 1971)::

    ratio     R = Σ w y / Σ w x                 score of a row  w (y − R x) / Σ w x
    mean      the ratio with x = 1
    share     the mean of 0 and 1
    total     T = Σ w y                         score of a row  w y
    change    later − earlier                   score of a row  score(later) − score(earlier)
    variance  Σ_strata (1 − f) n/(n − 1) Σ_psu (z − mean z)²     z = sum of the scores of a PSU

A change takes its covariance from the PSUs that both periods share. Scores are summed to PSUs once; every domain of a
partition comes out of the same matrix product.

Degrees of freedom are PSUs less strata, both counted among those that hold the domain: R's ``degf(subset(design, …))``.
The design effect compares with simple random sampling without replacement from a population as large as the sum of
weights, as R's ``deff = TRUE``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import special, stats

from analysis_lib.survey.design import Sample, combine, sum_by

Statistic = Literal["mean", "ratio", "share", "total"]
MAX_BLOCK = 20_000_000  # floats held at once while scores are summed
MEASURED = ["estimate", "se", "ci_low", "ci_high", "df", "deff", "n", "n_psu"]


@dataclass(frozen=True, slots=True, eq=False)
class Variable:
    """What is estimated, row by row: Σ weight·y / Σ weight·x, or Σ weight·y for a total.

    Attributes
    ----------
    y, x, weight : numpy.ndarray
        Shape (rows,); all zero where the row is outside the measure's domain.
    statistic : str
        What the estimate is called.
    """

    y: np.ndarray
    x: np.ndarray
    weight: np.ndarray
    statistic: Statistic


def as_variable(
    y: np.ndarray, x: np.ndarray, weight: np.ndarray, statistic: Statistic, is_described: np.ndarray | None = None
) -> Variable:
    """A variable that is zero where a value or the weight is missing, or the row is not described."""
    inside = np.isfinite(y) & np.isfinite(x) & (np.nan_to_num(weight) > 0)
    if is_described is not None:
        inside &= is_described
    return Variable(np.where(inside, y, 0.0), np.where(inside, x, 0.0), np.where(inside, weight, 0.0), statistic)


def estimate_domains(
    sample: Sample,
    domain: np.ndarray,
    n_domains: int,
    variables: list[Variable],
    confidence_level: float,
    *,
    contrasts: bool = False,
) -> dict[str, np.ndarray]:
    """Estimates of variables in the domains of a partition.

    Parameters
    ----------
    domain : numpy.ndarray
        Number of each row's domain, −1 for none, shape (rows,).
    contrasts : bool
        Domains come in pairs (0 earlier, 1 later, 2 earlier, …): estimate later − earlier of each.

    Returns
    -------
    dict of str to numpy.ndarray
        The columns `MEASURED`, each of shape (n_domains or pairs, variables).
    """
    per_block = max(1, MAX_BLOCK // max(1, 8 * len(domain)))
    blocks = [
        _estimated_block(sample, domain, n_domains, variables[start : start + per_block], confidence_level, contrasts)
        for start in range(0, len(variables), per_block)
    ]
    return {name: np.concatenate([block[name] for block in blocks], axis=1) for name in MEASURED}


def _estimated_block(
    sample: Sample,
    domain: np.ndarray,
    n_domains: int,
    variables: list[Variable],
    confidence_level: float,
    contrasts: bool,
) -> dict[str, np.ndarray]:
    rows = np.flatnonzero(domain >= 0)
    domain = domain[rows]
    y, x, w = (np.stack([getattr(v, name)[rows] for v in variables], axis=1) for name in ("y", "x", "weight"))
    is_total = np.array([variable.statistic == "total" for variable in variables])
    is_share = np.array([variable.statistic == "share" for variable in variables])

    # Sums by domain and last-stage unit carry all that estimates and variances need.
    cell, domain_of_cell, unit = combine(domain, sample.stages[-1].unit[rows])
    in_cells = sum_by(cell, np.concatenate([w, w * y, w * x, w > 0], axis=1), len(unit))
    in_domains = sum_by(domain_of_cell, in_cells, n_domains)
    _, wy, wx, n_in_cell = np.split(in_cells, 4, axis=1)
    sum_w, sum_wy, sum_wx, n = np.split(in_domains, 4, axis=1)

    per_x = _divided(sum_wy, sum_wx)
    value = np.where(is_total & (n > 0), sum_wy, per_x)
    scores = np.where(is_total, wy, _divided(wy - per_x[domain_of_cell] * wx, sum_wx[domain_of_cell]))
    scores = np.where(n_in_cell > 0, scores, 0.0)
    n_psu, df = _degrees_of_freedom(sample, domain_of_cell, unit, n_in_cell, n_domains)
    if contrasts:
        scores = scores * np.where(domain_of_cell % 2 == 1, 1.0, -1.0)[:, None]
        pair, value = domain_of_cell // 2, value[1::2] - value[::2]
        variance = sample.variances(scores, pair, unit, n_domains // 2)
        _, df = _degrees_of_freedom(sample, pair, unit, n_in_cell, n_domains // 2)
        n, n_psu = np.minimum(n[::2], n[1::2]), np.minimum(n_psu[::2], n_psu[1::2])
        deff = np.full_like(value, np.nan)
    else:
        variance = sample.variances(scores, domain_of_cell, unit, n_domains)
        spread = sum_by(domain, w * (y - per_x[domain] * x) ** 2, n_domains)
        deff = _divided(variance, _simple_random_variance(spread, sum_w, sum_wx, n, is_total))
    se = np.where(np.isnan(value), np.nan, np.sqrt(variance))
    low, high = t_interval(value, se, df, confidence_level)
    if is_share.any() and not contrasts:
        effective_n = _divided(sum_w**2, sum_by(domain, w**2, n_domains))
        low_share, high_share = share_interval(value, se, df, effective_n, confidence_level)
        low, high = np.where(is_share, low_share, low), np.where(is_share, high_share, high)
    whole = {"n": n.astype(np.int64), "n_psu": n_psu.astype(np.int64)}
    return {"estimate": value, "se": se, "ci_low": low, "ci_high": high, "df": df, "deff": deff, **whole}


def _degrees_of_freedom(
    sample: Sample, group: np.ndarray, unit: np.ndarray, n_in_cell: np.ndarray, n_groups: int
) -> tuple[np.ndarray, np.ndarray]:
    """PSUs that hold rows of each group, and PSUs less strata, by variable."""
    psu = unit if len(sample.stages) == 1 else sample.stages[1].parent[unit]
    pair, group_of_pair, psu_of_pair = combine(group, psu)
    holds = (sum_by(pair, n_in_cell, len(psu_of_pair)) > 0).astype(float)
    n_psu = sum_by(group_of_pair, holds, n_groups)
    stratum, group_of_stratum, strata = combine(group_of_pair, sample.stages[0].parent[psu_of_pair])
    n_strata = sum_by(group_of_stratum, (sum_by(stratum, holds, len(strata)) > 0).astype(float), n_groups)
    return n_psu, n_psu - n_strata


def _simple_random_variance(
    spread: np.ndarray, sum_w: np.ndarray, sum_wx: np.ndarray, n: np.ndarray, is_total: np.ndarray
) -> np.ndarray:
    """Variance under simple random sampling without replacement of n from Σw; NaN when Σw is below n."""
    variance = _divided(spread, sum_w) * _divided(n, n - 1)  # of the residuals y − R x
    of_mean = _divided(variance, n) * (1 - _divided(n, sum_w))
    scale = np.where(is_total, sum_w, _divided(sum_w, sum_wx))
    return np.where(sum_w >= n, of_mean * scale**2, np.nan)


def _divided(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Quotient, NaN where the denominator is zero."""
    return np.divide(
        numerator, denominator, out=np.full(np.broadcast(numerator, denominator).shape, np.nan), where=denominator != 0
    )


def t_interval(
    value: np.ndarray, se: np.ndarray, df: np.ndarray, confidence_level: float
) -> tuple[np.ndarray, np.ndarray]:
    """Interval value ± t se; NaN without degrees of freedom."""
    half = stats.t.ppf((1 + confidence_level) / 2, df) * se
    return value - half, value + half


def share_interval(
    value: np.ndarray, se: np.ndarray, df: np.ndarray, effective_n: np.ndarray, confidence_level: float
) -> tuple[np.ndarray, np.ndarray]:
    """Logit interval of a share; exact binomial for an effective sample size where the share is 0 or 1."""
    inside = (value > 0) & (value < 1)
    share = np.where(inside, value, 0.5)
    half = stats.t.ppf((1 + confidence_level) / 2, df) * se / (share * (1 - share))
    low, high = special.expit(special.logit(share) - half), special.expit(special.logit(share) + half)
    reach = ((1 - confidence_level) / 2) ** _divided(np.ones_like(effective_n), effective_n)
    return (
        np.where(inside, low, np.where(value == 0, 0.0, np.where(value == 1, reach, np.nan))),
        np.where(inside, high, np.where(value == 0, 1 - reach, np.where(value == 1, 1.0, np.nan))),
    )
