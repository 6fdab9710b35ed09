"""Series across a change of instrument: the factor that links two versions, and series that say where they break.

A linking factor is the mean under the new version over that under the old one, from an overlap in which both were asked:
of the same people, or of random halves. Its interval is Fieller's, its standard error that of the linearised ratio.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from analysis_lib.errors import DesignError, InputRejected
from analysis_lib.measures import CombinedMeasure, FullTimeEquivalents, listed, needs_diary
from analysis_lib.monitoring.ratios import fieller
from analysis_lib.quarters import Quarter
from analysis_lib.region_changes import RegionChanges
from analysis_lib.study import NATION, Study, read_reference_csv
from analysis_lib.survey.columns import column_values, in_universe
from analysis_lib.survey.design import SurveyDesign
from analysis_lib.survey.estimation import difference, estimate, mean
from analysis_lib.survey.two_instruments import combine_instruments

LINKS = "links.csv"
COLUMNS = ["from_version", "to_version", "measure", "factor", "se", "overlap_study"]


@dataclass(frozen=True, slots=True)
class LinkingFactor:
    """Mean under the new version over the mean under the old one.

    Attributes
    ----------
    factor, se : float
        New over old, and its linearised standard error.
    ci_low, ci_high : float
        Fieller's interval; missing where the old mean itself may be zero.
    df : float
        Degrees of freedom of the interval.
    n : int
        Respondents of the overlap; of halves, of the smaller one.
    """

    factor: float
    se: float
    ci_low: float
    ci_high: float
    df: float
    n: int


def link_same_people(
    overlap: pd.DataFrame, new: str, old: str, *, design: SurveyDesign, confidence_level: float = 0.95
) -> LinkingFactor:
    """The factor from people who answered both versions, in the columns ``new`` and ``old``.

    Rows where either is missing leave the estimate. The standard error is R's ``svyratio(~new, ~old, design)``.
    """
    both = overlap[[new, old]].notna().all(axis=1)
    top, bottom = (overlap[name].astype(float).where(both) for name in (new, old))
    added = overlap.assign(_new=top, _old=bottom, _difference=top - bottom)
    asked = {"design": design, "confidence_level": confidence_level}
    of_new, of_old, of_both = (mean(added, name, **asked).iloc[0] for name in ("_new", "_old", "_difference"))
    return _factor(of_new, of_old, float(of_both["se"]), confidence_level)


def link_random_halves(
    overlap: pd.DataFrame, column: str, is_new: pd.Series, *, design: SurveyDesign, confidence_level: float = 0.95
) -> LinkingFactor:
    """The factor from two random halves of one sample, of which one answered the new version.

    Parameters
    ----------
    overlap : pandas.DataFrame
        The whole sample of the overlap.
    column : str
        The measure, as answered under either version.
    is_new : pandas.Series
        True for the half with the new version. Halves drawn within PSUs share them, and so bring a covariance.
    """
    asked = {"design": design, "confidence_level": confidence_level}
    of_new, of_old = (mean(overlap, column, where=half, **asked).iloc[0] for half in (is_new, ~is_new))
    apart = difference(overlap, column, earlier=~is_new, later=is_new, **asked).iloc[0]
    return _factor(of_new, of_old, float(apart["se"]), confidence_level)


def link_measures(
    officials: pd.DataFrame, asked_with: pd.Series, old: str, new: str, *, overlap: str, study: Study
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Rows for ``links.csv``: a factor for each measure of hours or counts, from a quarter whose halves met two versions.

    Parameters
    ----------
    officials : pandas.DataFrame
        Official-quarters of the overlap, of one quarter. Those asked by neither version leave the estimate.
    asked_with : pandas.Series
        Respondent → version of the instrument that asked them.
    old, new : str
        The two versions.
    overlap : str
        What the overlap is called among the links.

    Returns
    -------
    links : pandas.DataFrame
        The columns of ``links.csv``, ``ci_low``, ``ci_high`` (Fieller's) and ``n``, the smaller half. Shares are never
        linked.
    impossible : dict of str to str
        Measure → why it has no factor.

    Raises
    ------
    DesignError
        When fewer people than may stand behind a published number answered one of the versions.
    """
    version = officials["respondent_id"].map(asked_with)
    rows = officials[version.isin([old, new])].assign(_is_new=version == new)
    least = study.config.disclosure.min_respondents
    sizes = {name: int((rows["_is_new"] == is_new).sum()) for name, is_new in ((old, False), (new, True))}
    if few := [name for name, size in sizes.items() if size < least]:
        raise DesignError(
            f"fewer than {least} people answered {' and '.join(few)}",
            where=f"overlap {overlap}",
            fix="name two versions that random halves of one sample answered in the same quarter",
        )
    level, found, impossible = study.config.estimation.confidence_level, [], {}
    for key in listed(study.measures):
        measure = study.measures[key]
        if measure.unit == "share":
            continue
        of = measure.of if isinstance(measure, FullTimeEquivalents) else key
        values = pd.concat([_values(rows[rows["_is_new"] == is_new], of, study) for is_new in (False, True)])
        weight = "diary_weight" if needs_diary(measure, study.measures) else "weight"
        design = SurveyDesign.of_study(study, weight=weight)
        answered = rows.assign(_value=values)[values.reindex(rows.index).notna() & (rows[weight] > 0)]
        if answered.groupby("_is_new").size().reindex([False, True], fill_value=0).min() < least:
            impossible[key] = f"fewer than {least} people answered it under one of the versions"
            continue
        try:
            link = link_random_halves(answered, "_value", answered["_is_new"], design=design, confidence_level=level)
        except DesignError as error:
            impossible[key] = error.what
            continue
        found.append((old, new, key, link.factor, link.se, overlap, link.ci_low, link.ci_high, link.n))
    return pd.DataFrame(found, columns=[*COLUMNS, "ci_low", "ci_high", "n"]), impossible


def _values(rows: pd.DataFrame, key: str, study: Study) -> pd.Series:
    """Values of a measure of those who were asked by one version; a combined measure is fitted to that version alone."""
    measure = study.measures[key]
    if isinstance(measure, CombinedMeasure):
        return pd.Series(combine_instruments(rows, measure).values, index=rows.index)
    return pd.Series(column_values(rows, key), index=rows.index).where(in_universe(rows, measure))


def _factor(new: pd.Series, old: pd.Series, se_of_difference: float, confidence_level: float) -> LinkingFactor:
    top, bottom = float(new["estimate"]), float(old["estimate"])
    if not (np.isfinite([top, bottom]).all() and bottom > 0):
        raise DesignError(
            "nothing to divide by", where="linking", fix="take an overlap in which the old version has a mean"
        )
    var_top, var_bottom = float(new["se"]) ** 2, float(old["se"]) ** 2
    covariance = (var_top + var_bottom - se_of_difference**2) / 2
    factor, df = top / bottom, float(min(new["df"], old["df"]))
    t = float(stats.t.ppf((1 + confidence_level) / 2, df))
    low, high = fieller(top, bottom, var_top, var_bottom, covariance, t)
    variance = (var_top + factor**2 * var_bottom - 2 * factor * covariance) / bottom**2
    return LinkingFactor(factor, float(np.sqrt(max(variance, 0.0))), low, high, df, int(min(new["n"], old["n"])))


# -- links of a study ---------------------------------------------------------------------------------


def read_links(study: Study) -> pd.DataFrame:
    """``reference/links.csv``: from_version, to_version, measure, factor, se, overlap_study; none where it is absent.

    Raises
    ------
    InputRejected
        For a factor or an error that is not a positive number, or a link given twice.
    """
    path = study.reference / LINKS
    if not path.is_file():
        return pd.DataFrame(columns=COLUMNS)
    frame = read_reference_csv(path, COLUMNS)
    numbers = frame[["factor", "se"]].apply(pd.to_numeric, errors="coerce")
    is_sound = (numbers["factor"] > 0) & (numbers["se"] >= 0) & (frame["overlap_study"] != "")
    if not is_sound.all() or frame.duplicated(COLUMNS[:3]).any():
        raise InputRejected(
            "a factor or its error is not a number, a link stands twice, or names no overlap study",
            where=f"reference/{LINKS}",
            fix="give each pair of versions and measure one factor above zero, its error, and the study behind it",
        )
    return frame.assign(factor=numbers["factor"], se=numbers["se"])


def add_links(study: Study, found: pd.DataFrame) -> Path:
    """Add factors to ``reference/links.csv``, where they take the place of those of the same versions; returns the file."""
    path, named = study.reference / LINKS, COLUMNS[:3]
    before = read_links(study)
    kept = before[~before.set_index(named).index.isin(found.set_index(named).index)]
    links = pd.concat([each for each in (kept, found[COLUMNS]) if not each.empty] or [before])
    path.write_text(links.to_csv(index=False, lineterminator="\n"), encoding="utf-8")
    return path


def link_between(
    links: pd.DataFrame, measure: str, earlier: frozenset[str], later: frozenset[str]
) -> tuple[float, float] | None:
    """Factor and error of a measure between the versions of two quarters; None where no link is known.

    A factor is known where one version replaced one other. Where several changed at once no single link says what they
    did together.
    """
    gone, new = earlier - later, later - earlier
    if len(gone) != 1 or len(new) != 1:
        return None
    found = links[
        (links["from_version"] == next(iter(gone)))
        & (links["to_version"] == next(iter(new)))
        & (links["measure"] == measure)
    ]
    return None if found.empty else (float(found["factor"].iloc[0]), float(found["se"].iloc[0]))


def in_part(link: tuple[float, float], share: float) -> tuple[float, float]:
    """A link, with its error, for hours of which the new version measured only a share; other versions' hours stay.

    Of today's hours the old version would have found 1 − s + s / f; the error follows by the delta method.

    >>> in_part((1.2, 0.03), 1.0)
    (1.2, 0.03)
    """
    factor, se = link
    whole = 1 / (1 - share + share / factor)
    return whole, whole**2 * share / factor**2 * se


def shares_by_new(
    official_quarters: pd.DataFrame,
    is_new: pd.Series,
    keys: list[str],
    *,
    study: Study,
    quarter: str,
    regions: list[str],
) -> pd.Series:
    """Share of each measure's hours of a quarter that some respondents brought, such as those asked by a new version.

    Parameters
    ----------
    official_quarters : pandas.DataFrame
        One quarter, all of it.
    is_new : pandas.Series
        Whether a row is one of theirs.

    Returns
    -------
    pandas.Series
        Indexed by measure, region and quarter; 1 where hours cannot be told apart by version.
    """
    rows = official_quarters.assign(_version=np.where(is_new, "new", "old"))
    found = estimate(rows, keys, study=study, periods={quarter: [quarter]}, regions=regions, by=["", "_version"])
    value = found.set_index(["measure", "region", "category"])["estimate"]
    is_total = found.groupby("measure")["statistic"].first() == "total"
    levels = [name for name in study.config.estimation.levels if name in rows.columns]
    shares = {}
    for region in regions:
        here = (rows[levels] == region).any(axis=1).to_numpy() | (region == NATION)
        weight = rows["weight"].to_numpy(float) * here
        part = float(weight[is_new.to_numpy()].sum() / weight.sum()) if weight.sum() > 0 else 0.0
        for key in keys:
            new, all_ = (value.get((key, region, category), np.nan) for category in ("new", ""))
            share = (1.0 if is_total[key] else part) * new / all_ if 0 < part < 1 and all_ else part
            shares[key, region, quarter] = share if np.isfinite(share) else 1.0
    return pd.Series(shares, index=pd.MultiIndex.from_tuples(list(shares)), dtype=float)


def hours_by_new(
    official_quarters: pd.DataFrame,
    asked_by: Mapping[str, pd.Series],
    keys: list[str],
    *,
    study: Study,
    regions: list[str],
) -> pd.Series:
    """As `shares_by_new`, in each quarter in which new versions came into use; empty without one.

    Parameters
    ----------
    asked_by : mapping of str to pandas.Series
        Quarter → respondent → whether a new version asked them, as `pipeline.asked_by`.
    """
    found = [pd.Series(dtype=float)]
    for quarter, is_new in asked_by.items():
        rows = official_quarters[official_quarters["quarter"] == quarter]
        asked = rows["respondent_id"].map(is_new).fillna(False).astype(bool)
        found.append(shares_by_new(rows, asked, keys, study=study, quarter=quarter, regions=regions))
    return pd.concat(found[1:] or found)


def linked_series(
    series: pd.DataFrame,
    instruments: Mapping[str, frozenset[str]],
    links: pd.DataFrame,
    *,
    by_new: pd.Series | None = None,
    confidence_level: float,
) -> pd.DataFrame:
    """A series on the scale of its latest instrument as far back as links reach, and marked where they do not.

    Parameters
    ----------
    series : pandas.DataFrame
        Contract ``estimates``, the quarters as periods.
    instruments : mapping of str to frozenset of str
        Quarter → versions in use.
    links : pandas.DataFrame
        As `read_links`.
    by_new : pandas.Series, optional
        Measure, region and quarter of a change → share of the hours that new versions measured, as `shares_by_new`; all
        of them by default. A place whose hours no new version measured has neither a link nor a break.

    Returns
    -------
    pandas.DataFrame
        The rows with ``is_break``: true in the first quarter after a change that no link bridges. Quarters before a
        linked change are multiplied by the factor, whose error goes into theirs; a share is never linked.
    """
    quarters = sorted(instruments)
    changes = [(before, after) for before, after in pairwise(quarters) if instruments[before] != instruments[after]]
    linked = series.assign(is_break=False)
    if not changes:
        return linked
    for measure, region in linked[["measure", "region"]].drop_duplicates().itertuples(index=False):
        rows = (linked["measure"] == measure) & (linked["region"] == region)
        is_share = (linked.loc[rows, "unit"] == "share").any()
        shares = {each: 1.0 if by_new is None else by_new.get((measure, region, each[1]), 1.0) for each in changes}
        here_changed = [each for each in changes if shares[each] > 0]
        factor, relative = 1.0, 0.0
        for before, after in reversed(here_changed):
            link = None if is_share else link_between(links, str(measure), instruments[before], instruments[after])
            if link is None:
                linked.loc[rows & (linked["period"] == after), "is_break"] = True
                factor, relative = 1.0, 0.0
                continue
            of_place, se = in_part(link, shares[before, after])
            factor, relative = factor * of_place, relative + (se / of_place) ** 2
            start = max((other for _, other in here_changed if other < after), default="")
            scaled = rows & (linked["period"] >= start) & (linked["period"] <= before)
            linked.loc[scaled] = _scaled(linked.loc[scaled], factor, relative, confidence_level)
    return linked


def broken_at_borders(series: pd.DataFrame, changes: RegionChanges) -> pd.DataFrame:
    """A linked series that breaks also where the borders of a region changed, in its first quarter since then."""
    is_break = series["is_break"].copy()
    for region, quarters in changes.breaks.items():
        own = series.loc[series["region"] == region, "period"]
        for quarter in quarters:
            first = own[own >= str(quarter)].min()
            is_break |= (series["region"] == region) & (series["period"] == first)
    return series.assign(is_break=is_break)


def with_gaps(series: pd.DataFrame) -> pd.DataFrame:
    """A series with an empty row for each quarter between its first and last that it has none of.

    Parameters
    ----------
    series : pandas.DataFrame
        Contract ``estimates``, the quarters as periods; numbers of people are zero in added rows, estimates missing.
    """
    if series.empty:
        return series
    first, last = (Quarter.parse(end(series["period"])) for end in (min, max))
    missing = [str(each) for each in Quarter.span(first, last) if str(each) not in set(series["period"])]
    if not missing:
        return series
    named = ["measure", "statistic", "unit", "region", "by", "category"]
    added = series[named].drop_duplicates().merge(pd.DataFrame({"period": missing}), how="cross")
    added = added.reindex(columns=series.columns)
    counted = series.select_dtypes(["integer", "bool"]).columns  # nobody, and nothing that is so
    added[counted] = 0
    whole = pd.concat([series, added.astype(series.dtypes)], ignore_index=True)
    return whole.sort_values("period", kind="stable", ignore_index=True)


def _scaled(rows: pd.DataFrame, factor: float, relative: float, confidence_level: float) -> pd.DataFrame:
    value = rows["estimate"] * factor
    se = np.sqrt((rows["se"] * factor) ** 2 + value**2 * relative)
    half = stats.t.ppf((1 + confidence_level) / 2, rows["df"]) * se
    return rows.assign(estimate=value, se=se, ci_low=value - half, ci_high=value + half)
