"""Linearised estimates of many variables in many domains at once; numbers only.

A domain is a mask on the whole sample: rows outside it score zero and stay in their strata and PSUs. So do rows whose
value or weight is missing. With them the formulas are (Särndal, Swensson and Wretman 1992, ch. 5; Woodruff 1971)::

    ratio     R = Σ w y / Σ w x                 score of a row  w (y − R x) / Σ w x
    mean      the ratio with x = 1
    share     the mean of 0 and 1
    total     T = Σ w y                         score of a row  w y
    change    later − earlier                   score of a row  score(later) − score(earlier)
    variance  Σ_strata (1 − f) n/(n − 1) Σ_psu (z − mean z)²     z = sum of the scores of a PSU

Calibrated weights bring their auxiliaries: the variance is then that of the residuals of the scores (`calibration`),
which every row of the sample has, in the domain or not.

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
from scipy import sparse, special, stats

from analysis_lib.survey.calibration import Calibration
from analysis_lib.survey.design import Sample, combine, sum_by

Statistic = Literal["mean", "ratio", "share", "total"]
MAX_BLOCK = 20_000_000  # floats held at once while scores are summed
MEASURED = ["estimate", "se", "ci_low", "ci_high", "df", "deff", "n", "n_psu"]
BEHIND = [
    "weight",
    "people",
    "unit_share",
    "top_two",
]  # how an estimate is spread over people: for disclosure control alone
SURELY_SPREAD = 0.4  # Σ a² / (Σ a)² below which the two largest of the a cannot hold nine tenths of their sum


@dataclass(frozen=True, slots=True, eq=False)
class Variable:
    """What is estimated, row by row: Σ weight·y / Σ weight·x, or Σ weight·y for a total.

    Attributes
    ----------
    y, x, weight : numpy.ndarray
        Shape (rows,); all zero where the row is outside the measure's domain.
    statistic : str
        What the estimate is called.
    calibration : Calibration, optional
        Where the weight came from, when it reproduces known totals.
    counted : numpy.ndarray, optional
        True for the rows on which precision rests, where others stand beside them: the diaries of a two-phase
        estimate. ``n``, ``n_psu`` and the degrees of freedom count them; without one there is no estimate.
    """

    y: np.ndarray
    x: np.ndarray
    weight: np.ndarray
    statistic: Statistic
    calibration: Calibration | None = None
    counted: np.ndarray | None = None


def as_variable(
    y: np.ndarray,
    x: np.ndarray,
    weight: np.ndarray,
    statistic: Statistic,
    is_described: np.ndarray | None = None,
    calibration: Calibration | None = None,
    counted: np.ndarray | None = None,
) -> Variable:
    """A variable that is zero where a value or the weight is missing, or the row is not described."""
    inside = np.isfinite(y) & np.isfinite(x) & (weight > 0)
    if is_described is not None:
        inside &= is_described
    y, x, weight = (np.where(inside, values, 0.0) for values in (y, x, weight))
    return Variable(y, x, weight, statistic, calibration, None if counted is None else counted & inside)


def estimate_domains(
    sample: Sample,
    domain: np.ndarray,
    n_domains: int,
    variables: list[Variable],
    confidence_level: float,
    *,
    contrasts: bool = False,
    person: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Estimates of variables in the domains of a partition.

    Parameters
    ----------
    domain : numpy.ndarray
        Number of each row's domain, −1 for none, shape (rows,).
    contrasts : bool
        Domains come in pairs (0 earlier, 1 later, 2 earlier, …): estimate later − earlier of each.

    person : numpy.ndarray, optional
        Number of each row's person, where people come back; every row is a person of its own without.

    Returns
    -------
    dict of str to numpy.ndarray
        The columns `MEASURED` and `BEHIND`, each of shape (n_domains or pairs, variables). Behind an estimate stand
        ``weight`` (Σ weight·x, by which means of parts add up to the mean of the whole; NaN for a total or a
        contrast), ``people`` (different ones among the n; of a contrast those of the smaller side), ``unit_share`` (the largest work unit's share of the weights) and ``top_two`` (the share of
        Σ |weight·y| that comes from two rows: exact where it may be above nine tenths, else a bound from above).
    """
    per_block = max(1, MAX_BLOCK // max(1, 8 * len(domain)))
    # Variables of one block share their calibration.
    calibrations = {id(variable.calibration): variable.calibration for variable in variables}.values()
    order, blocks = [], []
    for calibration in calibrations:
        alike = [number for number, variable in enumerate(variables) if variable.calibration is calibration]
        for start in range(0, len(alike), per_block):
            chosen = alike[start : start + per_block]
            block = [variables[number] for number in chosen]
            order.extend(chosen)
            blocks.append(
                _estimated_block(sample, domain, n_domains, block, calibration, confidence_level, contrasts, person)
            )
    back = np.argsort(order)
    return {name: np.concatenate([block[name] for block in blocks], axis=1)[:, back] for name in blocks[0]}


def _estimated_block(
    sample: Sample,
    domain: np.ndarray,
    n_domains: int,
    variables: list[Variable],
    calibration: Calibration | None,
    confidence_level: float,
    contrasts: bool,
    person: np.ndarray | None,
) -> dict[str, np.ndarray]:
    rows = np.flatnonzero(domain >= 0) if (domain < 0).any() else slice(None)
    domain = domain[rows]
    y, x, w = (np.stack([getattr(v, name)[rows] for v in variables], axis=1) for name in ("y", "x", "weight"))
    is_total = np.array([variable.statistic == "total" for variable in variables])
    is_share = np.array([variable.statistic == "share" for variable in variables])
    is_partial = np.array([variable.counted is not None for variable in variables])
    counted = np.stack([v.weight[rows] > 0 if v.counted is None else v.counted[rows] for v in variables], axis=1)

    # Sums by domain and last-stage unit carry all that estimates and variances need.
    cell, domain_of_cell, unit = combine(domain, sample.stages[-1].unit[rows])
    in_cells = [sum_by(cell, values, len(unit)) for values in (w, w * y, w * x, counted)]
    sum_w, sum_wy, sum_wx, n = (sum_by(domain_of_cell, values, n_domains) for values in in_cells)
    w_in_cell, wy, wx, n_in_cell = in_cells

    per_x = _divided(sum_wy, sum_wx)
    value = np.where(n > 0, np.where(is_total, sum_wy, per_x), np.nan)
    scores = np.where(is_total, wy, _divided(wy - per_x[domain_of_cell] * wx, sum_wx[domain_of_cell]))
    scores = np.where(w_in_cell > 0, scores, 0.0)
    n_psu, df = _degrees_of_freedom(sample, domain_of_cell, unit, n_in_cell, n_domains)
    unit_share = _largest_unit_share(sample, domain_of_cell, unit, w_in_cell, n_domains)
    top_two = _top_two_share(domain, w * np.abs(y), n_domains)
    weight = np.where(is_total, np.nan, sum_wx)
    people = n if person is None else _different(domain, person[rows], counted, n_domains)

    def variance_by(group_of_domain: np.ndarray, sign: np.ndarray, n_groups: int) -> np.ndarray:
        signed, group = scores * sign[domain_of_cell][:, None], group_of_domain[domain_of_cell]
        if calibration is None:
            return sample.variances(signed, group, unit, n_groups)
        in_mean = _divided(y - per_x[domain] * x, sum_wx[domain])
        u = np.where(w > 0, np.where(is_total, y, in_mean), 0.0) * sign[domain][:, None]
        explained = _explained(calibration, rows, u, group_of_domain[domain], n_groups)
        return _residual_variances(sample, calibration, signed, group, unit, explained)

    if contrasts:
        pair, value = domain_of_cell // 2, value[1::2] - value[::2]
        sides = np.arange(n_domains)
        variance = variance_by(sides // 2, np.where(sides % 2 == 1, 1.0, -1.0), n_domains // 2)
        _, df = _degrees_of_freedom(sample, pair, unit, n_in_cell, n_domains // 2)
        n, n_psu, people = (np.minimum(each[::2], each[1::2]) for each in (n, n_psu, people))
        deff = weight = np.full_like(value, np.nan)
        unit_share, top_two = (np.maximum(share[::2], share[1::2]) for share in (unit_share, top_two))
    else:
        variance = variance_by(np.arange(n_domains), np.ones(n_domains), n_domains)
        spread = sum_by(domain, w * (y - per_x[domain] * x) ** 2, n_domains)
        deff = _divided(variance, _simple_random_variance(spread, sum_w, sum_wx, n, is_total))
        deff = np.where(is_partial, np.nan, deff)  # no simple random sample of one phase to compare with
    se = np.where(np.isnan(value), np.nan, np.sqrt(variance))
    low, high = t_interval(value, se, df, confidence_level)
    if is_share.any() and not contrasts:
        effective_n = _divided(sum_w**2, sum_by(domain, w**2, n_domains))
        low_share, high_share = share_interval(value, se, df, effective_n, confidence_level)
        low, high = np.where(is_share, low_share, low), np.where(is_share, high_share, high)
    whole = {"n": n.astype(np.int64), "n_psu": n_psu.astype(np.int64)}
    behind = {"weight": weight, "people": people.astype(np.int64), "unit_share": unit_share, "top_two": top_two}
    return {"estimate": value, "se": se, "ci_low": low, "ci_high": high, "df": df, "deff": deff, **whole, **behind}


def _explained(
    calibration: Calibration, rows: np.ndarray | slice, scores: np.ndarray, group: np.ndarray, n_groups: int
) -> np.ndarray:
    """Coefficients of the scores of each group on the auxiliaries, shape (k, n_groups, variables)."""
    against = calibration.against[rows].T
    place, shape = (np.arange(len(scores)), group), (len(scores), n_groups)
    moments = [(against @ sparse.csr_array((of_variable, place), shape=shape)).toarray() for of_variable in scores.T]
    return np.einsum("ij,vjg->igv", calibration.solve, np.array(moments))


def _residual_variances(
    sample: Sample,
    calibration: Calibration,
    scores: np.ndarray,
    group: np.ndarray,
    unit: np.ndarray,
    explained: np.ndarray,
) -> np.ndarray:
    """Variance of sums of scores of cells (group, unit) less what the auxiliaries explain of them, by group."""
    n_units, (_, n_groups, n_variables) = len(sample.stages[-1].parent), explained.shape
    spanned = sparse.csr_array(sparse.diags_array(calibration.weights) @ calibration.spanned)
    in_units = sum_by(sample.stages[-1].unit, spanned, n_units)
    per_block = max(1, MAX_BLOCK // max(1, n_units * n_variables))
    variances = []
    for start in range(0, n_groups, per_block):
        stop = min(start + per_block, n_groups)
        inside = (group >= start) & (group < stop)
        left = np.zeros((stop - start, n_units, n_variables))
        np.add.at(left, (group[inside] - start, unit[inside]), scores[inside])
        for number in range(start, stop):
            left[number - start] -= in_units @ explained[:, number]
        grid = np.repeat(np.arange(stop - start), n_units), np.tile(np.arange(n_units), stop - start)
        variances.append(sample.variances(left.reshape(-1, n_variables), *grid, stop - start))
    return np.concatenate(variances)


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


def _different(group: np.ndarray, member: np.ndarray, counted: np.ndarray, n_groups: int) -> np.ndarray:
    """Different members of each group among the rows that count, by variable."""
    pair, group_of_pair, _ = combine(group, member)
    holds = (sum_by(pair, counted, len(group_of_pair)) > 0).astype(float)
    return sum_by(group_of_pair, holds, n_groups)


def _largest_unit_share(
    sample: Sample, group: np.ndarray, unit: np.ndarray, w_in_cell: np.ndarray, n_groups: int
) -> np.ndarray:
    """Share of the weights of each group that its largest PSU holds; zero for an empty group."""
    psu = unit if len(sample.stages) == 1 else sample.stages[1].parent[unit]
    pair, group_of_pair, psu_of_pair = combine(group, psu)
    in_pair = sum_by(pair, w_in_cell, len(psu_of_pair))
    largest = np.zeros((n_groups, w_in_cell.shape[1]))
    if len(group_of_pair):
        found, first = np.unique(group_of_pair, return_index=True)  # pairs are numbered group by group
        largest[found] = np.maximum.reduceat(in_pair, first)
    return _divided(largest, sum_by(group_of_pair, in_pair, n_groups), empty=0.0)


def _top_two_share(group: np.ndarray, sizes: np.ndarray, n_groups: int) -> np.ndarray:
    """Share of the sum of sizes of each group that its two largest hold, or a bound where that is surely small.

    By Cauchy and Schwarz two of them hold at most √(2 Σ a² / (Σ a)²) of the sum, which spares nearly all the sorting.
    """
    total = sum_by(group, sizes, n_groups)
    concentration = _divided(sum_by(group, sizes**2, n_groups), total**2, empty=0.0)
    share = np.minimum(np.sqrt(2 * concentration), 1.0)
    rare_groups, rare_variables = np.nonzero(concentration > SURELY_SPREAD)
    if not len(rare_groups):
        return share
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(n_groups + 1))
    for at, variable in zip(rare_groups, rare_variables, strict=True):
        members = sizes[order[starts[at] : starts[at + 1]], variable]
        largest = np.partition(members, -2)[-2:] if len(members) > 1 else members
        share[at, variable] = largest.sum() / total[at, variable]
    return share


def _simple_random_variance(
    spread: np.ndarray, sum_w: np.ndarray, sum_wx: np.ndarray, n: np.ndarray, is_total: np.ndarray
) -> np.ndarray:
    """Variance under simple random sampling without replacement of n from Σw; NaN when Σw is below n."""
    variance = _divided(spread, sum_w) * _divided(n, n - 1)  # of the residuals y − R x
    of_mean = _divided(variance, n) * (1 - _divided(n, sum_w))
    scale = np.where(is_total, sum_w, _divided(sum_w, sum_wx))
    return np.where(sum_w >= n, of_mean * scale**2, np.nan)


def _divided(numerator: np.ndarray, denominator: np.ndarray, empty: float = np.nan) -> np.ndarray:
    """Quotient, NaN or ``empty`` where the denominator is zero."""
    return np.divide(
        numerator, denominator, out=np.full(np.broadcast(numerator, denominator).shape, empty), where=denominator != 0
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
