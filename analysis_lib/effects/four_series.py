"""Claimed, counted, measured and felt: four answers to what a reform changed, side by side and never merged."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.stats import t as student

from analysis_lib.effects.results import BY_EFFECT, CONDITIONS, as_rows
from analysis_lib.errors import UsageError
from analysis_lib.quarters import QUARTERS_PER_YEAR, Quarter
from analysis_lib.reforms import Reform
from analysis_lib.study import NATION, Study

BY_SERIES, BY_COMPLIANCE = "four_series", "compliance"
CLAIMED, COUNTED, MEASURED, FELT = SERIES = ("claimed", "counted", "measured", "felt")
RELATIVE = "measured_relative"


def four_series(
    reform: Reform, *, study: Study, counts: pd.DataFrame, effects: pd.DataFrame, felt: pd.DataFrame
) -> pd.DataFrame:
    """What authorities claim, what was counted, what was measured in hours and what officials felt.

    Parameters
    ----------
    reform : Reform
        The reform, with its claims and caps.
    study : Study
        The study.
    counts : pandas.DataFrame
        Rows of the contract ``estimates``: means by quarter and region of the measures that the caps are on; also of
        the measures of ``effects``, where their relative change is wanted.
    effects : pandas.DataFrame
        Rows of `results.effects_table`, one per measure: the planned estimator's.
    felt : pandas.DataFrame
        Means by quarter and region of ``felt_<group>``: −2 lighter to +2 heavier than the quarter before.

    Returns
    -------
    pandas.DataFrame
        Contract ``estimates`` with the conditions of `results`: ``by`` is ``four_series``, ``category`` is
        ``<reform>.<series>.<measure>``. Claims have no interval and nobody behind them (``n`` is 0). ``counted`` is a
        relative change (unit ``share``) against the cap's baseline, or the year before the start; ``measured`` is the
        effect in its own unit, and ``measured_relative`` the same as a share of what there would have been; ``felt``
        is the mean rating per quarter in force (unit ``score``). Nothing stands where nothing is known.

    Notes
    -----
    Counted and felt compare nothing with other regions: they say what happened, not why. The four are the series
    that the UK and the Netherlands found to part ways (National Audit Office 2009; Dutch 25 % programme).
    """
    rows = [*_claimed(reform, study), *_measured(reform, counts, effects), *_felt(reform, felt, study)]
    for measure, baseline in {cap.measure: cap.baseline for cap in reform.caps}.items():
        category = f"{reform.id}.{COUNTED}.{measure}"
        rows += [
            _row(_relative(before, after, study), region, BY_SERIES, category, measure, "share")
            for region, before, after in _before_and_after(reform, measure, baseline, counts)
        ]
    return as_rows(rows)


def compliance(reform: Reform, *, study: Study, counts: pd.DataFrame) -> pd.DataFrame:
    """Whether each cap is kept, as far as counts can tell; published apart from hours returned.

    Parameters
    ----------
    reform : Reform
        The reform, with its caps.
    study : Study
        The study.
    counts : pandas.DataFrame
        Means by quarter and region of the measures that the caps are on, contract ``estimates``.

    Returns
    -------
    pandas.DataFrame
        Contract ``estimates``: ``by`` is ``compliance``, ``category`` is ``<reform>.<measure>.<part>``, where part is
        ``reached`` (the relative change, unit ``share``, or the level), ``asked`` (the cap in the same unit) and
        ``way`` (share of the way from the baseline to the cap, 1 where it is just kept; unit ``share``).
        ``outcome`` is ``met``, ``not_met`` or ``cannot_tell``: the interval lies on one side of the cap, or does not.
    """
    rows = []
    for cap in reform.caps:
        for region, before, after in _before_and_after(reform, cap.measure, cap.baseline, counts):
            if cap.change is not None:
                reached, start, asked, unit = _relative(before, after, study), 0.0, cap.change, "share"
            else:
                reached, start, asked = _level(after, study), before.mean, float(cap.at_most or 0)
                unit = _unit(cap.measure, study)
            outcome = _outcome(reached, asked, is_ceiling=cap.change is None or asked <= 0)
            for part, figure, its_unit in [
                ("reached", reached, unit),
                ("asked", replace(reached, estimate=asked, se=math.nan, low=math.nan, high=math.nan), unit),
                ("way", _way(reached, start, asked), "share"),
            ]:
                category = f"{reform.id}.{cap.measure}.{part}"
                rows.append(_row(figure, region, BY_COMPLIANCE, category, cap.measure, its_unit) | {"outcome": outcome})
    return as_rows(rows)


@dataclass(frozen=True, slots=True)
class _Mean:
    """A mean over quarters and regions, the last quarter in it, and the people behind it."""

    mean: float
    se: float
    df: float
    quarter: str
    n: int
    n_psu: int
    cells: int


@dataclass(frozen=True, slots=True)
class _Figure:
    """A number with its interval, and the mean whose quarter and people it has."""

    estimate: float
    se: float
    low: float
    high: float
    of: _Mean


def _claimed(reform: Reform, study: Study) -> Iterator[dict]:
    for about, claim in reform.keyed_claims:
        unit = _unit(claim.measure, study) if claim.measure else claim.unit or "index"
        yield {
            "measure": about,
            "statistic": "claim",
            "unit": "share" if claim.change is not None else unit,
            "region": NATION,
            "by": BY_SERIES,
            "category": f"{reform.id}.{CLAIMED}.{about}",
            "period": claim.date,
            "estimate": float(claim.change if claim.change is not None else claim.value or 0.0),
            "n": 0,
            "n_psu": 0,
        }


def _measured(reform: Reform, counts: pd.DataFrame, effects: pd.DataFrame) -> Iterator[dict]:
    rows = effects[(effects["by"] == BY_EFFECT) & effects["category"].str.startswith(f"{reform.id}.")]
    twice = sorted(set(rows.loc[rows.duplicated(["measure", "region"]), "measure"]))
    if twice:
        raise UsageError(
            f"{twice} have several effects of {reform.id!r}", where="four series", fix="give the planned estimator's"
        )
    columns = [name for name in CONDITIONS if name in rows]
    numbers = ["estimate", "se", "ci_low", "ci_high"]
    for row in rows.to_dict("records"):
        told = {name: row[name] for name in ["measure", "unit", "region", "period", "df", "n", "n_psu", *columns]}
        told |= {"statistic": "effect", "by": BY_SERIES} | {name: row[name] for name in numbers}
        told |= {name: row[name] for name in ("n_treated", "n_comparison", "residual_df") if name in row}
        yield told | {"category": f"{reform.id}.{MEASURED}.{row['measure']}"}
        level = _level_in_force(reform, counts, str(row["measure"]))
        without = {name: level - row[name] for name in ("estimate", "ci_low", "ci_high")}
        if all(each > 0 for each in without.values()):  # false for NaN: the level is not known
            relative = {name: row[name] / without[name] for name in without}
            yield told | relative | {"se": row["se"] * level / without["estimate"] ** 2, "unit": "share",
                                     "category": f"{reform.id}.{RELATIVE}.{row['measure']}"}  # fmt: skip


def _level_in_force(reform: Reform, counts: pd.DataFrame, measure: str) -> float:
    """Mean over regions of a measure while the reform is in force; taken as known beside its effect."""
    rows = _means(counts, measure)
    inside = [
        rows.loc[(rows["region"] == region) & (rows["period"] >= str(start)), "estimate"].mean()
        for region, start in _regions(reform, rows).items()
    ]
    return float(np.mean(inside)) if inside else math.nan


def _felt(reform: Reform, felt: pd.DataFrame, study: Study) -> Iterator[dict]:
    for group in reform.groups:
        rows = _means(felt, f"felt_{group}")
        means = {
            region: _mean(inside)
            for region, start in _regions(reform, rows).items()
            if len(inside := rows[(rows["region"] == region) & (rows["period"] >= str(start))])
        }
        for region, parts in _each_and_all(means):
            category = f"{reform.id}.{FELT}.felt_{group}"
            yield _row(_level(_average(parts), study), region, BY_SERIES, category, f"felt_{group}", "score")


def _before_and_after(
    reform: Reform, measure: str, baseline: str, counts: pd.DataFrame
) -> Iterator[tuple[str, _Mean, _Mean]]:
    """Means of a count before and since the start, in each region of the reform, then over all of them.

    Like is held against like: of the baseline and of the last year in force only the seasons count that both have.
    """
    rows = _means(counts, measure)
    pairs = {}
    for region, start in _regions(reform, rows).items():
        here = rows[rows["region"] == region]
        quarters = [Quarter.parse(text) for text in here["period"]]
        last = max(quarters)
        base = [quarter for quarter in quarters if _is_baseline(quarter, baseline, start)]
        since = [quarter for quarter in quarters if quarter >= start and last - quarter < QUARTERS_PER_YEAR]
        seasons = {quarter.number for quarter in base} & {quarter.number for quarter in since}
        if seasons:
            kept = [[str(quarter) for quarter in some if quarter.number in seasons] for some in (base, since)]
            pairs[region] = tuple(_mean(here[here["period"].isin(periods)]) for periods in kept)
    for region, parts in _each_and_all(pairs):
        before, after = (_average([pair[side] for pair in parts]) for side in (0, 1))
        if before.mean > 0 and after.mean > 0:
            yield region, before, after


def _is_baseline(quarter: Quarter, baseline: str, start: Quarter) -> bool:
    if not baseline:
        return 0 < start - quarter <= QUARTERS_PER_YEAR
    return baseline in (str(quarter), str(quarter.year))


def _mean(rows: pd.DataFrame) -> _Mean:
    """Mean over a region's quarters, as if their errors were one: too wide, never too narrow."""
    return _Mean(
        float(rows["estimate"].mean()),
        float(rows["se"].mean()),
        float(rows["df"].min()),
        str(rows["period"].max()),
        int(rows["n"].min()),
        int(rows["n_psu"].min()),
        len(rows),
    )


def _average(parts: list[_Mean]) -> _Mean:
    """Mean over regions, which are independent and count alike."""
    return _Mean(
        float(np.mean([part.mean for part in parts])),
        math.sqrt(sum(part.se**2 for part in parts)) / len(parts),
        min(part.df for part in parts),
        max(part.quarter for part in parts),
        sum(part.n for part in parts),
        sum(part.n_psu for part in parts),
        sum(part.cells for part in parts),
    )


def _relative(before: _Mean, after: _Mean, study: Study) -> _Figure:
    """Relative change with an interval on the logarithm; what officials asked twice have in common is left in."""
    ratio = after.mean / before.mean
    spread = math.hypot(after.se / after.mean, before.se / before.mean)
    behind = replace(
        after,
        df=min(before.df, after.df),
        n=min(before.n, after.n),
        n_psu=min(before.n_psu, after.n_psu),
        cells=before.cells + after.cells,
    )
    factor = math.exp(_quantile(behind.df, study) * spread)
    return _Figure(ratio - 1, ratio * spread, ratio / factor - 1, ratio * factor - 1, behind)


def _level(mean: _Mean, study: Study) -> _Figure:
    reach = _quantile(mean.df, study) * mean.se
    return _Figure(mean.mean, mean.se, mean.mean - reach, mean.mean + reach, mean)


def _way(reached: _Figure, start: float, asked: float) -> _Figure:
    """Share of the way from the start to the cap; not a number where the start already lies on the cap."""
    if start == asked:
        return _Figure(math.nan, math.nan, math.nan, math.nan, reached.of)
    estimate, *bounds = ((each - start) / (asked - start) for each in (reached.estimate, reached.low, reached.high))
    return _Figure(estimate, reached.se / abs(asked - start), min(bounds), max(bounds), reached.of)


def _quantile(df: float, study: Study) -> float:
    level = study.config.estimation.confidence_level
    return float(student.ppf(0.5 + level / 2, df if df > 0 else math.inf))


def _outcome(reached: _Figure, asked: float, *, is_ceiling: bool) -> str:
    if not (math.isfinite(reached.low) and math.isfinite(reached.high)):
        return "cannot_tell"
    is_met, is_missed = reached.high <= asked, reached.low > asked
    if not is_ceiling:
        is_met, is_missed = reached.low >= asked, reached.high < asked
    return "met" if is_met else "not_met" if is_missed else "cannot_tell"


def _unit(measure: str, study: Study) -> str:
    """Unit of a measure; those that the activity groups give are hours a week."""
    return study.measures[measure].unit if measure in study.measures else "hours_week"


def _means(frame: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Rows of a measure's means for whole regions."""
    rows = frame[(frame["measure"] == measure) & frame["statistic"].isin(["mean", "share"]) & (frame["by"] == "")]
    return rows[rows["estimate"].notna()]


def _regions(reform: Reform, rows: pd.DataFrame) -> dict[str, Quarter]:
    """Start of each unit that the register names and that has rows; the nation's where the reform is everywhere."""
    given = set(rows["region"])
    if NATION in reform.units:
        return {NATION: Quarter.parse(reform.units[NATION])} if NATION in given else {}
    return {code: Quarter.parse(text) for code, text in reform.units.items() if code in given}


def _each_and_all(parts: dict) -> Iterator[tuple[str, list]]:
    """Each region by itself, then all together under the nation's code."""
    for region, part in parts.items():
        if region != NATION:
            yield region, [part]
    if parts:
        yield NATION, list(parts.values())


def _row(figure: _Figure, region: str, by: str, category: str, measure: str, unit: str) -> dict:
    return {
        "measure": measure,
        "statistic": "effect",
        "unit": unit,
        "region": region,
        "by": by,
        "category": category,
        "period": figure.of.quarter,
        "estimate": figure.estimate,
        "se": figure.se,
        "ci_low": figure.low,
        "ci_high": figure.high,
        "df": figure.of.df,
        "n": figure.of.n,
        "n_psu": figure.of.n_psu,
        "residual_df": float(max(figure.of.n - figure.of.cells, 0)),
    }
