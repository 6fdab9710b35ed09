"""Design-based means, totals, ratios, shares and changes by domain, with linearised standard errors.

The first part works on any sample and any column, the second on the measures of a study. The formulas stand in
`linearisation`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis_lib.errors import UsageError, did_you_mean
from analysis_lib.measures import (
    DAYS_PER_WEEK,
    CombinedMeasure,
    FullTimeEquivalents,
    Measure,
    ParticipationMeasure,
    ShareMeasure,
    needs_diary,
)
from analysis_lib.study import NATION, Study
from analysis_lib.survey.calibration import Calibration
from analysis_lib.survey.columns import column_values, in_universe, refuse_unknown
from analysis_lib.survey.design import SurveyDesign, read_sample
from analysis_lib.survey.linearisation import BEHIND, MEASURED, Statistic, Variable, as_variable, estimate_domains
from analysis_lib.survey.two_instruments import combine_instruments
from analysis_lib.survey.weighting import WEIGHTS, stored_calibration
from analysis_lib.tables.contracts import CONTRACTS, ESTIMATE_KEY, blank, check
from analysis_lib.time_use.activities import all_measures

# -- any frame ----------------------------------------------------------------------------------------


def mean(
    frame: pd.DataFrame,
    column: str,
    *,
    design: SurveyDesign,
    by: str = "",
    where: pd.Series | None = None,
    calibration: Calibration | None = None,
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
    calibration : Calibration, optional
        Weights calibrated to known totals, in the place of the design's weights, and what they take out of the
        variance.
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
    return _in_frame(frame, column, "", "mean", design, by, where, calibration, confidence_level)


def total(
    frame: pd.DataFrame,
    column: str,
    *,
    design: SurveyDesign,
    by: str = "",
    where: pd.Series | None = None,
    calibration: Calibration | None = None,
    confidence_level: float = 0.95,
) -> pd.DataFrame:
    """Weighted total of a column; parameters and result as in `mean`."""
    return _in_frame(frame, column, "", "total", design, by, where, calibration, confidence_level)


def ratio(
    frame: pd.DataFrame,
    numerator: str,
    denominator: str,
    *,
    design: SurveyDesign,
    by: str = "",
    where: pd.Series | None = None,
    calibration: Calibration | None = None,
    confidence_level: float = 0.95,
) -> pd.DataFrame:
    """Ratio of two weighted totals; rows where either is missing leave the domain. Else as `mean`."""
    return _in_frame(frame, numerator, denominator, "ratio", design, by, where, calibration, confidence_level)


def share(
    frame: pd.DataFrame,
    column: str,
    *,
    design: SurveyDesign,
    by: str = "",
    where: pd.Series | None = None,
    calibration: Calibration | None = None,
    confidence_level: float = 0.95,
) -> pd.DataFrame:
    """Weighted share of rows where a column of 0 and 1 (or booleans) is 1, with an interval within 0 and 1.

    The interval is symmetric on the logit scale, as R's ``svyciprop(method = "logit")``. A share of exactly 0 or 1
    has no variance to go by: its interval is the exact binomial one for Kish's effective sample size (Σw)²/Σw².
    Parameters and result as in `mean`.
    """
    return _in_frame(frame, column, "", "share", design, by, where, calibration, confidence_level)


def difference(
    frame: pd.DataFrame,
    column: str,
    *,
    design: SurveyDesign,
    earlier: pd.Series,
    later: pd.Series,
    denominator: str = "",
    calibration: Calibration | None = None,
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
    variable = _of_column(frame, column, denominator, "ratio" if denominator else "mean", design, calibration)
    found = estimate_domains(read_sample(frame, design), domain, 2, [variable], confidence_level, contrasts=True)
    return pd.DataFrame({"category": [""], **{name: found[name][:, 0] for name in MEASURED}})


def _in_frame(
    frame: pd.DataFrame,
    column: str,
    denominator: str,
    statistic: Statistic,
    design: SurveyDesign,
    by: str,
    where: pd.Series | None,
    calibration: Calibration | None,
    confidence_level: float,
) -> pd.DataFrame:
    domain, categories = domains_of(frame, by, where)
    variable = _of_column(frame, column, denominator, statistic, design, calibration)
    found = estimate_domains(read_sample(frame, design), domain, len(categories), [variable], confidence_level)
    return pd.DataFrame({"category": categories, **{name: found[name][:, 0] for name in MEASURED}})


def domains_of(frame: pd.DataFrame, by: str, where: pd.Series | None) -> tuple[np.ndarray, list[str]]:
    """Domain of each row (−1 for none) and the categories in order."""
    domain, categories = np.zeros(len(frame), dtype=np.int64), [""]
    if by:
        domain, found = pd.factorize(frame[by], sort=True)
        categories = [str(category) for category in found]
    return domain if where is None else np.where(where.to_numpy(bool), domain, -1), categories


# -- the study's measures -----------------------------------------------------------------------------


def estimate(
    official_quarters: pd.DataFrame,
    keys: list[str],
    *,
    study: Study,
    periods: dict[str, list[str]],
    regions: list[str],
    by: Sequence[str] = ("",),
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
    by : sequence of str
        Respondent columns whose categories are estimated apart; ``""`` for everybody.

    Returns
    -------
    pandas.DataFrame
        Contract ``estimates``: a row for every measure, region, category and period, with ``n = 0`` and no estimate
        where nobody is described; besides, how it is spread over people (`linearisation.BEHIND`).

    Notes
    -----
    The diary is a second phase: its measures take the diary subsample with ``diary_weight`` as a sample within the
    strata and PSUs of the first phase, whose PSUs all count.

    Quarters of a pooled period are one sample, in which a PSU that comes back is the same PSU. Totals (full-time
    equivalents) of a pooled period are the average of its quarters; they need weights that add up to persons.

    A standard error without a degree of freedom is withheld: a domain within one PSU shows no variance, which is
    not the same as having none.
    """
    asked = _Asked.of(official_quarters, keys, study, regions, by)
    if asked.is_nothing:
        return blank("estimates")
    frames = [
        _estimates(official_quarters[official_quarters["quarter"].isin(quarters)], asked).assign(period=label)
        for label, quarters in periods.items()
    ]
    return _in_order(frames, asked, list(periods))


def estimate_change(
    official_quarters: pd.DataFrame,
    keys: list[str],
    *,
    study: Study,
    earlier: list[str],
    later: list[str],
    label: str,
    regions: list[str],
    by: Sequence[str] = ("",),
) -> pd.DataFrame:
    """Estimate how measures changed between two periods, covariance through common PSUs included.

    Parameters
    ----------
    earlier, later : list of str
        Quarters of the two periods; none may be in both. Without an earlier one there is no change and no row.
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
    asked = _Asked.of(official_quarters, keys, study, regions, by)
    if asked.is_nothing or not earlier:
        return blank("estimates")
    rows = official_quarters[official_quarters["quarter"].isin([*earlier, *later])]
    return _in_order([_estimates(rows, asked, later=set(later)).assign(period=label)], asked, [label])


def described(official_quarters: pd.DataFrame, keys: list[str], *, study: Study) -> pd.DataFrame:
    """Whom each measure describes: those with a weight and an answer, in its universe; what `estimate` counts in ``n``.

    Parameters
    ----------
    official_quarters : pandas.DataFrame
        The whole sample of one quarter.
    keys : list of str
        Measures as in `estimate`.

    Returns
    -------
    pandas.DataFrame
        A boolean column per measure, by the rows of ``official_quarters``. A combined measure describes those without a
        diary too, whose hours it reckons, though it does not count them.
    """
    asked = _Asked.of(official_quarters, keys, study, [], [])
    once, uncalibrated = np.ones(len(official_quarters)), dict.fromkeys(WEIGHTS)
    found = {
        key: _of_measure(official_quarters, measure, asked, once, uncalibrated).weight > 0
        for key, measure in asked.measures.items()
    }
    return pd.DataFrame(found, index=official_quarters.index)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is to be estimated, checked: measures by key, regions, categories by column."""

    study: Study
    known: dict[str, Measure]
    measures: dict[str, Measure]
    regions: list[str]
    categories: dict[str, list[str]]

    @classmethod
    def of(
        cls, official_quarters: pd.DataFrame, keys: list[str], study: Study, regions: list[str], by: Sequence[str]
    ) -> _Asked:
        known = all_measures(study)
        for key in keys:
            if key not in known:
                raise UsageError(f"{key!r} is not a measure", where="measures.toml", fix=did_you_mean(key, known))
        for code in regions:
            study.region_name(code, "en")  # raises for an unknown code
        categories: dict[str, list[str]] = {}
        for column in by:
            if column:
                refuse_unknown(column, official_quarters, "study.toml, estimation.categories")
            # People without a category are in none.
            categories[column] = sorted(set(official_quarters[column].unique()) - {""}) if column else [""]
        return cls(study, known, {key: known[key] for key in keys}, list(dict.fromkeys(regions)), categories)

    @property
    def is_nothing(self) -> bool:
        """No measure, region or column: as of a study without categories, or with too many codes for measures."""
        return not (self.measures and self.regions and self.categories)


def _estimates(rows: pd.DataFrame, asked: _Asked, later: set[str] | None = None) -> pd.DataFrame:
    """Estimates from the quarters in ``rows``, or of the change to the quarters ``later`` from the others."""
    is_later = rows["quarter"].isin(later or set()).to_numpy()
    n_quarters = rows["quarter"].groupby(is_later).transform("nunique").to_numpy()
    sample = read_sample(rows, SurveyDesign.of_study(asked.study))
    calibrations = {name: stored_calibration(rows, name, study=asked.study) for name in WEIGHTS}
    variables = [_of_measure(rows, measure, asked, n_quarters, calibrations) for measure in asked.measures.values()]
    level = asked.study.config.estimation.confidence_level
    comes_back = later is None and (n_quarters > 1).any()
    person = pd.factorize(rows["respondent_id"])[0] if comes_back else None
    frames = []
    for codes, region in _region_partitions(rows, asked):
        for column, values in asked.categories.items():
            category = _numbered(rows[column], values) if column else np.zeros(len(rows), dtype=np.int64)
            domain = np.where((region >= 0) & (category >= 0), region * len(values) + category, -1)
            n_domains = len(codes) * len(values)
            if later is not None:
                domain, n_domains = np.where(domain >= 0, 2 * domain + is_later, -1), 2 * n_domains
            found = estimate_domains(
                sample, domain, n_domains, variables, level, contrasts=later is not None, person=person
            )
            named = pd.MultiIndex.from_product(
                [codes, values, list(asked.measures)], names=["region", "category", "measure"]
            )
            numbers = {name: array.ravel() for name, array in found.items()}
            frames.append(named.to_frame(index=False).assign(by=column, **numbers))
    frame = pd.concat(frames, ignore_index=True)
    statistics = {key: item.statistic for key, item in zip(asked.measures, variables, strict=True)}
    uncertain = frame["df"] < 1
    # A combined measure can be reckoned for those without a diary of their own; of them alone it says nothing.
    frame["estimate"] = frame["estimate"].mask(frame["n"] == 0)
    uncertain |= frame["n"] == 0
    return frame.assign(
        statistic=frame["measure"].map(statistics),
        unit=frame["measure"].map({key: measure.unit for key, measure in asked.measures.items()}),
        **{name: frame[name].mask(uncertain) for name in ("se", "ci_low", "ci_high", "deff")},
    )


def _region_partitions(rows: pd.DataFrame, asked: _Asked) -> Iterator[tuple[list[str], np.ndarray]]:
    """The regions asked for, level by level, and of each row its number among them (−1: none)."""
    levels: dict[str, list[str]] = {}
    for code in asked.regions:
        levels.setdefault("" if code == NATION else str(asked.study.regions.at[code, "level"]), []).append(code)
    for level, codes in levels.items():
        if not level:
            yield codes, np.zeros(len(rows), dtype=np.int64)
        elif level in rows.columns:
            yield codes, _numbered(rows[level], codes)
        else:  # nobody in these quarters is placed at this level
            yield codes, np.full(len(rows), -1)


def _in_order(frames: list[pd.DataFrame], asked: _Asked, periods: list[str]) -> pd.DataFrame:
    """Rows in the order in which things were asked for, categories by name."""
    frame = pd.concat(frames, ignore_index=True)
    order = pd.DataFrame(
        {
            "measure": _numbered(frame["measure"], list(asked.measures)),
            "region": _numbered(frame["region"], asked.regions),
            "by": _numbered(frame["by"], list(asked.categories)),
            "category": frame["category"],
            "period": _numbered(frame["period"], periods),
        }
    )
    columns = [*CONTRACTS["estimates"].schema.columns, *BEHIND]
    frame = frame.loc[order.sort_values(list(order.columns)).index, columns].reset_index(drop=True)
    return check(frame.astype(dict.fromkeys([*ESTIMATE_KEY, "unit"], str)), "estimates")


def measured(rows: pd.DataFrame, keys: list[str], *, study: Study) -> dict[str, Variable]:
    """The variables of measures in the rows of one quarter: what `estimate` averages, for callers with own domains."""
    asked = _Asked.of(rows, keys, study, [NATION], ("",))
    calibrations = {name: stored_calibration(rows, name, study=study) for name in WEIGHTS}
    one_quarter = np.ones(len(rows))
    return {
        key: _of_measure(rows, measure, asked, one_quarter, calibrations) for key, measure in asked.measures.items()
    }


def _of_column(
    frame: pd.DataFrame,
    column: str,
    denominator: str,
    statistic: Statistic,
    design: SurveyDesign,
    calibration: Calibration | None,
) -> Variable:
    y = frame[column].astype(float).to_numpy()
    x = frame[denominator].astype(float).to_numpy() if denominator else np.ones(len(frame))
    weight = frame[design.weight].astype(float).to_numpy() if calibration is None else calibration.weights
    return as_variable(y, x, weight, statistic, calibration=calibration)


def _of_measure(
    rows: pd.DataFrame,
    measure: Measure,
    asked: _Asked,
    n_quarters: np.ndarray,
    calibrations: dict[str, Calibration | None],
) -> Variable:
    """The variable of a measure, its universe and participants as the domain."""
    known = asked.known
    name = "diary_weight" if needs_diary(measure, known) else "weight"
    weight = rows[name].to_numpy(float)
    (y, counted), x = _values(rows, measure), np.ones(len(rows))
    statistic: Statistic = "mean"
    if isinstance(measure, ShareMeasure):
        y, counted = _values(rows, known[measure.numerator])
        x, also_counted = _values(rows, known[measure.denominator])
        statistic, counted = "ratio", _both(counted, also_counted)
    elif isinstance(measure, ParticipationMeasure):
        hours, _ = _values(rows, known[measure.of])
        y, statistic = np.where(np.isnan(hours), np.nan, hours > 0), "share"
    elif isinstance(measure, FullTimeEquivalents):
        per_week = DAYS_PER_WEEK if known[measure.of].unit == "hours_day" else 1
        hours, counted = _values(rows, known[measure.of])
        y, statistic = hours * per_week / asked.study.config.estimation.standard_week_hours / n_quarters, "total"
    is_described = in_universe(rows, measure)
    if measure.among == "participants":
        is_described &= y > 0
    return as_variable(y, x, weight, statistic, is_described, calibrations[name], counted)


def _values(rows: pd.DataFrame, measure: Measure) -> tuple[np.ndarray, np.ndarray | None]:
    """Values of a measure by row and, when only some of the rows carry its precision, which."""
    if isinstance(measure, CombinedMeasure):
        asked = [column_values(rows, key) for key in (*measure.on, measure.beyond) if key]
        if any(np.isnan(answers).all() for answers in asked):  # a question never asked leaves nothing to combine
            return np.full(len(rows), np.nan), None
        combined = combine_instruments(rows, measure)
        return combined.values, combined.has_diary
    return column_values(rows, measure.key), None


def _both(counted: np.ndarray | None, also: np.ndarray | None) -> np.ndarray | None:
    return also if counted is None else counted if also is None else counted & also


def _numbered(column: pd.Series, words: list[str]) -> np.ndarray:
    """Place of each value among the words; −1 for a value that is not among them."""
    return pd.Index(words).get_indexer(pd.Index(column))
