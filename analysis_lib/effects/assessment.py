"""The reforms of a study, assessed: each by the design that its rollout allows, on every measure, with its checks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from analysis_lib.effects.difference_in_differences import Contrasts, by_event_time, by_period
from analysis_lib.effects.inference import estimate_contrasts
from analysis_lib.effects.interrupted_time_series import segmented
from analysis_lib.effects.panel import Panel
from analysis_lib.effects.randomisation import choose_inference, randomise
from analysis_lib.effects.results import EffectResult, as_rows, checks_table, effects_table, row_of
from analysis_lib.effects.robustness import run_checks
from analysis_lib.effects.rollout import NATIONAL, n_units, reform_panels
from analysis_lib.effects.specification_curve import (
    Alternatives,
    Choices,
    contrast,
    finest,
    prepared,
    specification_curve,
)
from analysis_lib.effects.specification_curve import estimate as estimate_way
from analysis_lib.effects.two_way import two_way
from analysis_lib.effects.verdicts import verdict
from analysis_lib.errors import DesignError
from analysis_lib.reforms import Reform, read_reforms
from analysis_lib.study import NATION, Study
from analysis_lib.survey.estimation import estimate
from analysis_lib.time_use.activities import all_measures

CAUSAL, SINCE = "causal", "since"
TRENDS_BY = "exposure"
UNEXPOSED = "group_core"  # hours of officials' own duties, which no reform of burdens means to cut
ASSIGNMENTS = 200  # of starts to regions, where they are drawn; contrasts are built anew for each


@dataclass(frozen=True, slots=True, eq=False)
class Assessment:
    """What reforms did, as tables of the contract ``estimates``.

    Attributes
    ----------
    effects : pandas.DataFrame
        Rows of `results.effects_table`; ``outcome`` of the planned estimator is the verdict's key and, after a dot,
        whether a causal word is allowed (``causal``) or not (``since``).
    paths : pandas.DataFrame
        By quarters since the start (``by`` is ``event_time``) and by start and quarter (``group_time``).
    trends : pandas.DataFrame
        Means of regions with the reform, without it, and what the former would have been (``exposure``).
    checks, specifications : pandas.DataFrame
        Checks (`results.checks_table`), and every declared way to estimate the effect on the primary measure.
    impossible : dict of str to str
        Reform → why no effect of it can be estimated.
    """

    effects: pd.DataFrame
    paths: pd.DataFrame
    trends: pd.DataFrame
    checks: pd.DataFrame
    specifications: pd.DataFrame
    impossible: dict[str, str]


def assess_reforms(
    official_quarters: pd.DataFrame,
    *,
    study: Study,
    quarters: Sequence[str],
    progress: Callable[[str], object] | None = None,
) -> Assessment:
    """Assess every reform of the register on every measure that is a mean.

    Parameters
    ----------
    official_quarters : pandas.DataFrame
        The whole sample of the quarters.
    quarters : sequence of str
        Consecutive quarters up to the one under report.
    progress : callable, optional
        Told the title of each reform as it comes.

    Notes
    -----
    The estimator follows the plan of the register and the rollout: regions of different starts, or some that never had
    the reform, are compared (imputation; group-time effects and two-way fixed effects beside it); a reform that came
    to all at once leaves a break in one series and no clean control. With few regions on a side intervals come from
    randomisation.
    """
    reforms = read_reforms(study)
    results: list[EffectResult] = []
    rows: dict[str, list[dict]] = {"paths": [], "trends": [], "specifications": []}
    impossible = {}
    for reform in reforms:
        if progress:
            progress(reform.title_en)
        try:
            _assess(official_quarters, reform, reforms, study, list(quarters), results, rows)
        except DesignError as error:
            impossible[reform.id] = str(error)
    smallest = {reform.id: reform.smallest_change for reform in reforms}
    effects = effects_table(results)
    effects["outcome"] = [outcome_of(result, smallest[result.reform]) for result in results]
    return Assessment(
        effects,
        as_rows(rows["paths"]),
        as_rows(rows["trends"]),
        checks_table(results),
        as_rows(rows["specifications"]),
        impossible,
    )


def measures_assessed(study: Study, reform: Reform) -> list[str]:
    """Measures on which a reform is judged: the primary one, its own, the nested ones, each group of hours, counts and felt."""
    known, settings = all_measures(study), study.config.estimation
    of_groups = [key for key in known if key.startswith("group_") and key != "group_personal"]
    counted = [cap.measure for cap in reform.caps]
    felt = [key for group in reform.groups for key in known if key == f"felt_{group}"]
    wanted = [reform.plan.primary or settings.headline, *reform.measures, *settings.nested, *of_groups, *counted, *felt]
    return [key for key in dict.fromkeys(wanted) if key in known]


def _assess(
    officials: pd.DataFrame,
    reform: Reform,
    reforms: list[Reform],
    study: Study,
    quarters: list[str],
    results: list[EffectResult],
    rows: dict[str, list[dict]],
) -> None:
    keys = measures_assessed(study, reform)
    if reform.level == NATIONAL or _binds_everywhere_at_once(reform, study):
        results += _breaks(officials, keys, reform, study, quarters)
        return
    panels = reform_panels(officials, keys, reform, study=study, quarters=quarters, others=reforms)
    way = Choices(
        # By itself the more precise of the two: means of a survey scatter, and imputation uses every quarter before.
        estimator="group_time" if reform.plan.estimator == "group_time" else "imputation",
        comparison=reform.plan.comparison,
        anticipation=reform.plan.anticipation,
        date=reform.plan.treatment_date,
    )
    units = n_units(officials, quarters)
    build = _remembered(way)
    for key, panel in panels.items():
        with_checks = key == keys[0] or key in reform.measures
        found = _of_measure(
            key, panel, way, reform, study, units, build=build, unexposed=panels.get(UNEXPOSED), with_checks=with_checks
        )
        results += found
        planned = found[0]
        rows["paths"] += _paths(planned, panel, way, reform)
        if with_checks:
            rows["trends"] += _trends(planned, panel, way, reform)
            rows["specifications"] += _specifications(planned, panel, way, reform)


def _remembered(way: Choices) -> Callable[[Panel], Contrasts]:
    """The planned contrast of a panel; measures share their rollouts, so each is built once."""
    built: dict[tuple[bytes, ...], Contrasts] = {}

    def build(panel: Panel) -> Contrasts:
        shares = [np.ascontiguousarray(share).tobytes() for share in panel.exposures.values()]
        rollout = (panel.starts.tobytes(), panel.weights.tobytes(), str(panel.values.shape).encode(), *shares)
        if rollout not in built:
            built[rollout] = contrast(panel, way)
        return built[rollout]

    return build


def _binds_everywhere_at_once(reform: Reform, study: Study) -> bool:
    starts = reform.starts_by(reform.plan.treatment_date)
    everywhere = study.regions_at(reform.level)
    return len({starts.get(code) for code in everywhere}) == 1


# -- where regions can be compared ----------------------------------------------------------------------


def _of_measure(
    key: str,
    panel: Panel,
    way: Choices,
    reform: Reform,
    study: Study,
    units: int,
    *,
    build: Callable[[Panel], Contrasts],
    unexposed: Panel | None,
    with_checks: bool,
) -> list[EffectResult]:
    """The planned estimate, the imputation (or group-time) estimate beside it, and two-way fixed effects as a foil."""
    unit = all_measures(study)[key].unit
    level = study.config.estimation.confidence_level
    frame = EffectResult(
        reform=reform.id, measure=key, unit=unit, estimand="treated", estimator=way.estimator,
        comparison=way.comparison, inference="cohort", treatment_date=way.date,
        period=f"{panel.periods[0]}–{panel.periods[-1]}", estimate=math.nan, se=math.nan, df=math.nan,
        ci_low=math.nan, ci_high=math.nan, p_value=math.nan, n_treated=int(panel.is_ever.sum()),
        n_comparison=int((~panel.is_ever).sum()), n=panel.n, n_psu=units, left_out=panel.left_out,
    )  # fmt: skip
    planned = _filled(frame, estimate_way(panel, way, confidence_level=level))
    if choose_inference(panel) == "randomisation":
        drawn = randomise(build, prepared(panel, way), confidence_level=level, assignments=ASSIGNMENTS)
        planned = replace(planned, inference="randomisation", df=math.nan, ci_low=drawn.ci_low, ci_high=drawn.ci_high,
                          p_value=drawn.p_value)  # fmt: skip
    if with_checks:
        checks = run_checks(panel, smallest_change=reform.smallest_change, way=way, unit=unit, unexposed=unexposed)
        planned = replace(planned, checks=tuple(checks))
    other = replace(way, estimator="imputation" if way.estimator == "group_time" else "group_time")
    beside = _filled(replace(frame, estimator=other.estimator), estimate_way(panel, other, confidence_level=level))
    foil = estimate_contrasts(two_way(panel), panel, inference="cluster", confidence_level=level).frame.iloc[0]
    return [planned, beside, _filled(replace(frame, estimator="two_way", inference="cluster"), foil)]


def _filled(result: EffectResult, found: Mapping[Any, Any] | pd.Series) -> EffectResult:
    return replace(
        result,
        estimate=float(found["estimate"]),
        se=float(found["se"]),
        df=float(found["df"]),
        ci_low=float(found["ci_low"]),
        ci_high=float(found["ci_high"]),
        p_value=float(found["p_value"]),
        se_sampling=float(found.get("se_sampling", math.nan)),
    )


def _paths(result: EffectResult, panel: Panel, way: Choices, reform: Reform) -> Iterator[dict]:
    """By group-time effects, whichever estimator was planned: they show the quarters before the start too."""
    way, result = replace(way, estimator="group_time"), replace(result, estimator="group_time", inference="cohort")
    chosen = prepared(panel, way)
    effects = finest(chosen, way)
    numbers = ["estimate", "se", "df", "ci_low", "ci_high"]
    for row in estimate_contrasts(by_event_time(effects, chosen), chosen).frame.to_dict("records"):
        yield row_of(result, "event_time", f"{reform.id}.{row['event_time']}") | {name: row[name] for name in numbers}
    for row in estimate_contrasts(effects, chosen).frame.to_dict("records"):
        start, quarter = chosen.periods[row["start"]], chosen.periods[row["period"]]
        yield row_of(result, "group_time", f"{reform.id}.{start}.{quarter}") | {name: row[name] for name in numbers}


def _trends(result: EffectResult, panel: Panel, way: Choices, reform: Reform) -> Iterator[dict]:
    """Means with and without the reform, and with it less its effect; standard errors are those of sampling."""
    chosen = prepared(panel, way)
    moved = _effect_on_the_treated_mean(by_period(finest(chosen, way), chosen), chosen)
    for place, quarter in enumerate(panel.periods):
        lines = {"treated": _mean_of(panel, panel.is_ever, place)}
        if (~panel.is_ever).any():
            lines["comparison"] = _mean_of(panel, ~panel.is_ever, place)
        lines["without"] = lines["treated"] - moved.get(place, 0.0)
        for name, weights in lines.items():
            value = float((weights * panel.values).sum())
            se = math.nan
            if panel.sampling is not None:
                se = math.sqrt(np.einsum("rs,rst,rt->", weights, panel.sampling, weights))
            yield row_of(result, TRENDS_BY, f"{reform.id}.{name}") | {
                "statistic": "mean", "estimate": value, "se": se, "ci_low": value - 2 * se, "ci_high": value + 2 * se,
                "period": quarter}  # fmt: skip


def _mean_of(panel: Panel, chosen: np.ndarray, place: int) -> np.ndarray:
    weights = np.zeros(panel.values.shape)
    weights[chosen, place] = panel.weights[chosen] / panel.weights[chosen].sum()
    return weights


def _effect_on_the_treated_mean(by_quarter: Contrasts, panel: Panel) -> dict[int, np.ndarray]:
    """Weights of what the reform moved the mean of all treated regions by, by position of the quarter."""
    everybody = panel.weights[panel.is_ever].sum()
    return {
        int(place): weights * panel.weights[panel.starts <= place].sum() / everybody
        for place, weights in zip(by_quarter.index["period"], by_quarter.weights, strict=True)
    }


def _specifications(result: EffectResult, panel: Panel, way: Choices, reform: Reform) -> Iterator[dict]:
    """Every declared way; a date that the register lacks, or that leaves nobody to compare with, is no choice."""
    curve = specification_curve(panel, way, alternatives=_alternatives(panel), draws=0)
    for row in curve.frame.to_dict("records"):
        sample = ["others_out" if row["takes_out_others"] else "others_in", "officials" if row["weighs"] else "equal",
                  f"early_{row['anticipation']}", row["window"]]  # fmt: skip
        parts = ["planned" if row["is_planned"] else "other", row["estimator"], row["comparison"], row["date"],
                 "-".join(sample)]  # fmt: skip
        numbers = {name: row[name] for name in ("estimate", "se", "ci_low", "ci_high")}
        yield row_of(result, "specification", ".".join([reform.id, *parts])) | numbers


def _alternatives(panel: Panel) -> Alternatives:
    """A window without the first quarter, where enough are left before the first start."""
    first = min(panel.cohorts)
    return Alternatives(windows={"later": (1, len(panel.periods) - 1)} if first > 2 else {})


# -- where all had it at once ---------------------------------------------------------------------------


def _breaks(
    officials: pd.DataFrame, keys: list[str], reform: Reform, study: Study, quarters: list[str]
) -> Iterator[EffectResult]:
    """A break in the national series of each measure; nothing tells the reform from what else came with it."""
    start = str(next(iter(reform.starts_by(reform.plan.treatment_date).values())))
    known = all_measures(study)
    series = estimate(officials, keys, study=study, periods={each: [each] for each in quarters}, regions=[NATION])
    for key in keys:
        rows = series[(series["measure"] == key) & series["estimate"].notna()]
        found = segmented(
            rows[["period", "estimate", "se"]], start=start, confidence_level=study.config.estimation.confidence_level
        )
        blank = EffectResult(
            reform=reform.id, measure=key, unit=known[key].unit, estimand="level", estimator="interrupted_series",
            comparison="none", inference="serial", treatment_date=reform.plan.treatment_date,
            period=f"{quarters[0]}–{quarters[-1]}", estimate=math.nan, se=math.nan, df=math.nan, ci_low=math.nan,
            ci_high=math.nan, p_value=math.nan, n_treated=1, n_comparison=0, n=int(rows["n"].sum()),
            n_psu=int(rows["n_psu"].max()),
        )  # fmt: skip
        yield _filled(blank, found.effects.to_dict("index")["average"])


def outcome_of(result: EffectResult, smallest_change: float) -> str:
    """The verdict in one word: its key and, after a dot, whether a causal word is allowed."""
    judged = verdict(result, smallest_change=smallest_change)
    return f"{judged.key}.{CAUSAL if judged.is_causal else SINCE}"
