"""Design-based means, totals, ratios and shares by domain, with linearised standard errors.

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

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy import special, stats

from analysis_lib.errors import UsageError, did_you_mean
from analysis_lib.measures import (
    DAYS_PER_WEEK,
    FullTimeEquivalents,
    Measure,
    ParticipationMeasure,
    ShareMeasure,
    needs_diary,
)
from analysis_lib.study import NATION, Study
from analysis_lib.survey.design import Sample, SurveyDesign, combine, read_sample, sum_by
from analysis_lib.tables.contracts import check
from analysis_lib.time_use.activities import all_measures

Statistic = Literal["mean", "ratio", "share", "total"]
MAX_BLOCK = 20_000_000  # floats held at once while scores are summed
MEASURED = ["estimate", "se", "ci_low", "ci_high", "df", "deff", "n", "n_psu"]


# -- any frame ----------------------------------------------------------------------------------------


def mean(
    frame: pd.DataFrame,
    column: str,
    *,
    design: SurveyDesign,
    by: str = "",
    where: pd.Series | None = None,
    confidence_level: float = 0.95,
) -> pd.DataFrame:
    """Weighted mean of a column, one row per category of ``by``.

    Parameters
    ----------
    frame : pandas.DataFrame
        The whole sample. Do not filter it: name the domain in ``where``.
    column : str
        What is averaged; rows where it is missing leave the domain.
    design : SurveyDesign
        How the sample was drawn.
    by : str
        Column whose categories are estimated apart; empty for one domain.
    where : pandas.Series, optional
        True for the rows of the domain.
    confidence_level : float
        Coverage of the interval, from the t distribution.

    Returns
    -------
    pandas.DataFrame
        ``category``, ``estimate``, ``se``, ``ci_low``, ``ci_high``, ``df``, ``deff``, ``n``, ``n_psu``.

    Raises
    ------
    DesignError
        For a stratum with a single PSU, unless the design says what it does.
    """
    return _in_frame(frame, column, "", "mean", design, by, where, confidence_level)


def total(
    frame: pd.DataFrame,
    column: str,
    *,
    design: SurveyDesign,
    by: str = "",
    where: pd.Series | None = None,
    confidence_level: float = 0.95,
) -> pd.DataFrame:
    """Weighted total of a column; parameters and result as in `mean`."""
    return _in_frame(frame, column, "", "total", design, by, where, confidence_level)


def ratio(
    frame: pd.DataFrame,
    numerator: str,
    denominator: str,
    *,
    design: SurveyDesign,
    by: str = "",
    where: pd.Series | None = None,
    confidence_level: float = 0.95,
) -> pd.DataFrame:
    """Ratio of two weighted totals; rows where either is missing leave the domain. Else as `mean`."""
    return _in_frame(frame, numerator, denominator, "ratio", design, by, where, confidence_level)


def share(
    frame: pd.DataFrame,
    column: str,
    *,
    design: SurveyDesign,
    by: str = "",
    where: pd.Series | None = None,
    confidence_level: float = 0.95,
) -> pd.DataFrame:
    """Weighted share of rows where a column of 0 and 1 (or booleans) is 1, with an interval within 0 and 1.

    The interval is symmetric on the logit scale, as R's ``svyciprop(method = "logit")``. A share of exactly 0 or 1
    has no variance to go by: its interval is the exact binomial one for Kish's effective sample size (Σw)²/Σw².
    Parameters and result as in `mean`.
    """
    return _in_frame(frame, column, "", "share", design, by, where, confidence_level)


def difference(
    frame: pd.DataFrame,
    column: str,
    *,
    design: SurveyDesign,
    earlier: pd.Series,
    later: pd.Series,
    denominator: str = "",
    confidence_level: float = 0.95,
) -> pd.DataFrame:
    """Mean (or ratio, with a ``denominator``) of the domain ``later`` less that of ``earlier``, as one row.

    The two domains may be groups of one sample or two periods of a panel; PSUs in both give the covariance. ``n`` and
    ``n_psu`` are those of the smaller domain.
    """
    both = (earlier & later).to_numpy(bool)
    if both.any():
        raise UsageError(f"{both.sum()} rows are in both domains", where="difference", fix="take disjoint domains")
    domain = np.select([earlier.to_numpy(bool), later.to_numpy(bool)], [0, 1], -1)
    variable = _of_column(frame, column, denominator, "ratio" if denominator else "mean", design.weight)
    found = _estimated(read_sample(frame, design), domain, 2, [variable], confidence_level, contrasts=True)
    return pd.DataFrame({"category": [""], **{name: values[:, 0] for name, values in found.items()}})


def _in_frame(
    frame: pd.DataFrame,
    column: str,
    denominator: str,
    statistic: Statistic,
    design: SurveyDesign,
    by: str,
    where: pd.Series | None,
    confidence_level: float,
) -> pd.DataFrame:
    domain, categories = np.zeros(len(frame), dtype=np.int64), [""]
    if by:
        domain, found_categories = pd.factorize(frame[by], sort=True)
        categories = [str(category) for category in found_categories]
    domain = np.where(True if where is None else where.to_numpy(bool), domain, -1)
    variable = _of_column(frame, column, denominator, statistic, design.weight)
    found = _estimated(read_sample(frame, design), domain, len(categories), [variable], confidence_level)
    return pd.DataFrame({"category": categories, **{name: values[:, 0] for name, values in found.items()}})


# -- the study's measures -----------------------------------------------------------------------------


def estimate(
    official_quarters: pd.DataFrame,
    keys: list[str],
    *,
    study: Study,
    periods: dict[str, list[str]],
    regions: list[str],
    by: Iterable[str] = ("",),
) -> pd.DataFrame:
    """Estimate measures by region, category and period.

    Parameters
    ----------
    official_quarters : pandas.DataFrame
        The whole sample of every quarter that a period names.
    keys : list of str
        Measures of the study, of its activity groups (``group_…``) or activities (``activity_…``).
    periods : dict of str to list of str
        Label → the quarters pooled in it.
    regions : list of str
        Region codes of any level; ``"all"`` is the nation.
    by : iterable of str
        Respondent columns whose categories are estimated apart; ``""`` for everybody.

    Returns
    -------
    pandas.DataFrame
        Contract ``estimates``: a row for every measure, region, category and period, with ``n = 0`` and no estimate
        where nobody is described.

    Notes
    -----
    The diary is a second phase: its measures take the diary subsample with ``diary_weight`` as a sample within the
    strata and PSUs of the first phase, whose PSUs all count.

    Quarters of a pooled period are one sample, in which a PSU that comes back is the same PSU. Totals (full-time
    equivalents) of a pooled period are the average of its quarters; they need weights that add up to persons.

    A standard error without a degree of freedom is withheld: a domain within one PSU shows no variance, which is
    not the same as having none.
    """
    measures = _asked(keys, study)
    frames = [
        _estimates(
            official_quarters[official_quarters["quarter"].isin(quarters)],
            measures,
            study,
            label,
            regions,
            _categories(official_quarters, by),
        )
        for label, quarters in periods.items()
    ]
    return _in_order(frames, keys, regions, list(by), list(periods))


def estimate_change(
    official_quarters: pd.DataFrame,
    keys: list[str],
    *,
    study: Study,
    earlier: list[str],
    later: list[str],
    label: str,
    regions: list[str],
    by: Iterable[str] = ("",),
) -> pd.DataFrame:
    """Estimate how measures changed between two periods, covariance through common PSUs included.

    Parameters
    ----------
    earlier, later : list of str
        Quarters of the two periods; none may be in both.
    label : str
        What the change is called in ``period``.

    Returns
    -------
    pandas.DataFrame
        As `estimate`, where ``estimate`` is later − earlier in the measure's unit, and ``n`` and ``n_psu`` are those
        of the smaller period.
    """
    if set(earlier) & set(later):
        raise UsageError("a quarter is in both periods", where=label, fix="compare periods that do not overlap")
    rows = official_quarters[official_quarters["quarter"].isin([*earlier, *later])]
    frame = _estimates(
        rows, _asked(keys, study), study, label, regions, _categories(official_quarters, by), later=set(later)
    )
    return _in_order([frame], keys, regions, list(by), [label])


def _asked(keys: list[str], study: Study) -> dict[str, Measure]:
    known = all_measures(study)
    for key in keys:
        if key not in known:
            raise UsageError(f"{key!r} is not a measure", where="measures.toml", fix=did_you_mean(key, known))
    return {key: known[key] for key in keys}


def _categories(official_quarters: pd.DataFrame, by: Iterable[str]) -> dict[str, list[str]]:
    """Categories of each column asked for; people without one are in none."""
    found: dict[str, list[str]] = {}
    for column in by:
        if column and column not in official_quarters.columns:
            raise UsageError(
                f"{column!r} is no column of the respondents",
                where="study.toml, estimation.categories",
                fix=did_you_mean(column, official_quarters.columns),
            )
        found[column] = sorted(set(official_quarters[column].unique()) - {""}) if column else [""]
    return found


def _estimates(
    rows: pd.DataFrame,
    measures: dict[str, Measure],
    study: Study,
    label: str,
    regions: list[str],
    categories: dict[str, list[str]],
    later: set[str] | None = None,
) -> pd.DataFrame:
    """Estimates of one period, or of the change to the quarters ``later`` from the others."""
    is_later = rows["quarter"].isin(later or set())
    n_quarters = rows["quarter"].groupby(is_later.to_numpy()).transform("nunique").to_numpy()
    sample = read_sample(rows, SurveyDesign.of_study(study))
    known = all_measures(study)
    variables = [_of_measure(rows, measure, known, study, n_quarters) for measure in measures.values()]
    frames = []
    for codes, region in _region_partitions(rows, regions, study):
        for column, values in categories.items():
            category = pd.Categorical(rows[column], values).codes if column else np.zeros(len(rows), dtype=np.int64)
            domain = np.where((region >= 0) & (category >= 0), region.astype(np.int64) * len(values) + category, -1)
            n_domains = len(codes) * len(values)
            if later is not None:
                domain, n_domains = np.where(domain >= 0, 2 * domain + is_later.to_numpy(), -1), 2 * n_domains
            found = _estimated(
                sample,
                domain,
                n_domains,
                variables,
                study.config.estimation.confidence_level,
                contrasts=later is not None,
            )
            cells = len(codes) * len(values)
            frames.append(
                pd.DataFrame(
                    {
                        "measure": np.tile(list(measures), cells),
                        "statistic": np.tile([variable.statistic for variable in variables], cells),
                        "unit": np.tile([str(measure.unit) for measure in measures.values()], cells),
                        "region": np.repeat(codes, len(values) * len(measures)),
                        "by": column,
                        "category": np.tile(np.repeat(values, len(measures)), len(codes)),
                        "period": label,
                        **{name: array.ravel() for name, array in found.items()},
                    }
                )
            )
    frame = pd.concat(frames, ignore_index=True)
    uncertain = frame["df"] < 1
    return frame.assign(se=frame["se"].mask(uncertain), deff=frame["deff"].mask(uncertain))


def _region_partitions(rows: pd.DataFrame, regions: list[str], study: Study) -> Iterable[tuple[list[str], np.ndarray]]:
    """The regions asked for, level by level, and of each row its number among them (−1: none)."""
    levels: dict[str, list[str]] = {}
    for code in regions:
        study.region_name(code, "en")  # raises for an unknown code
        levels.setdefault("" if code == NATION else str(study.regions.at[code, "level"]), []).append(code)
    for level, codes in levels.items():
        if not level:
            yield codes, np.zeros(len(rows), dtype=np.int64)
        elif level in rows.columns:
            yield codes, pd.Categorical(rows[level], codes).codes.astype(np.int64)
        else:
            yield codes, np.full(len(rows), -1)


def _in_order(
    frames: list[pd.DataFrame], keys: list[str], regions: list[str], by: list[str], periods: list[str]
) -> pd.DataFrame:
    """Rows in the order in which things were asked for, categories by name."""
    frame = pd.concat(frames, ignore_index=True)
    order = pd.DataFrame(
        {
            "measure": pd.Categorical(frame["measure"], keys).codes,
            "region": pd.Categorical(frame["region"], regions).codes,
            "by": pd.Categorical(frame["by"], by).codes,
            "category": frame["category"],
            "period": pd.Categorical(frame["period"], periods).codes,
        }
    )
    return check(frame.loc[order.sort_values(list(order.columns)).index].reset_index(drop=True), "estimates")


# -- numbers ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Variable:
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


def _variable(
    y: np.ndarray, x: np.ndarray, weight: np.ndarray, statistic: Statistic, is_described: np.ndarray | None = None
) -> _Variable:
    """Set everything to zero where a value or the weight is missing or the row is not described."""
    inside = np.isfinite(y) & np.isfinite(x) & (np.nan_to_num(weight) > 0)
    if is_described is not None:
        inside &= is_described
    return _Variable(np.where(inside, y, 0.0), np.where(inside, x, 0.0), np.where(inside, weight, 0.0), statistic)


def _of_column(frame: pd.DataFrame, column: str, denominator: str, statistic: Statistic, weight: str) -> _Variable:
    y = frame[column].astype(float).to_numpy()
    x = frame[denominator].astype(float).to_numpy() if denominator else np.ones(len(frame))
    return _variable(y, x, frame[weight].astype(float).to_numpy(), statistic)


def _of_measure(
    rows: pd.DataFrame, measure: Measure, known: dict[str, Measure], study: Study, n_quarters: np.ndarray
) -> _Variable:
    """The variable of a measure, its universe and participants as the domain."""
    weight = rows["diary_weight" if needs_diary(measure, known) else "weight"].to_numpy(float)
    y, x = _values(rows, measure.key), np.ones(len(rows))
    statistic: Statistic = "mean"
    if isinstance(measure, ShareMeasure):
        y, x, statistic = _values(rows, measure.numerator), _values(rows, measure.denominator), "ratio"
    elif isinstance(measure, ParticipationMeasure):
        hours = _values(rows, measure.of)
        y, statistic = np.where(np.isnan(hours), np.nan, hours > 0), "share"
    elif isinstance(measure, FullTimeEquivalents):
        per_week = DAYS_PER_WEEK if known[measure.of].unit == "hours_day" else 1
        hours = _values(rows, measure.of) * per_week
        y, statistic = hours / study.config.estimation.standard_week_hours / n_quarters, "total"
    is_described = np.ones(len(rows), dtype=bool)
    for column, allowed in measure.universe.items():
        if column not in rows.columns:
            raise UsageError(
                f"{column!r} is no column of the respondents",
                where=f"measures.toml, [{measure.key}] universe",
                fix=did_you_mean(column, rows.columns),
            )
        is_described &= rows[column].isin(allowed).to_numpy()
    if measure.among == "participants":
        is_described &= y > 0
    return _variable(y, x, weight, statistic, is_described)


def _values(rows: pd.DataFrame, key: str) -> np.ndarray:
    # Measures made from others have no column of their own; a column no quarter holds is unknown.
    return rows[key].to_numpy(float) if key in rows.columns else np.full(len(rows), np.nan)


def _estimated(
    sample: Sample,
    domain: np.ndarray,
    n_domains: int,
    variables: list[_Variable],
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
    variables: list[_Variable],
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
