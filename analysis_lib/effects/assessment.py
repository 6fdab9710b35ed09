"""The reforms of a study, assessed: each by the design that its rollout allows, on every measure, with its checks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from analysis_lib.effects.designs import UNEXPOSED, Design, blank_result, settle_designs
from analysis_lib.effects.difference_in_differences import Contrasts, by_event_time, by_period
from analysis_lib.effects.dose_response import dose_response, dose_rows
from analysis_lib.effects.four_series import compliance, four_series
from analysis_lib.effects.inference import estimate_contrasts
from analysis_lib.effects.interrupted_time_series import segmented
from analysis_lib.effects.multiplicity import adjust_measures
from analysis_lib.effects.panel import Panel
from analysis_lib.effects.randomisation import choose_inference, randomise
from analysis_lib.effects.results import BY_EFFECT, EffectResult, as_rows, effects_table, row_of
from analysis_lib.effects.specification_curve import contrast, finest, prepared
from analysis_lib.effects.specification_curve import estimate as estimate_way
from analysis_lib.effects.synthetic_control import synthetic
from analysis_lib.effects.trials import try_effect
from analysis_lib.effects.two_way import two_way
from analysis_lib.effects.verdicts import verdict
from analysis_lib.errors import DesignError
from analysis_lib.study import NATION, Study
from analysis_lib.survey.estimation import estimate
from analysis_lib.time_use.activities import all_measures

CAUSAL, SINCE = "causal", "since"
TRENDS_BY, RETURNED_BY = "exposure", "returned"
ASSIGNMENTS = 200  # of starts to regions, where they are drawn; contrasts are built anew for each
FOUND_BY_CHANCE = 0.05  # p value, allowed for the number of measures, above which no direction is named


@dataclass(frozen=True, slots=True, eq=False)
class Assessment:
    """What reforms did, as tables of the contract ``estimates``.

    Attributes
    ----------
    effects : pandas.DataFrame
        Rows of `results.effects_table`; ``outcome`` of the planned estimator is the verdict's key and, after a dot,
        whether a causal word is allowed (``causal``) or not (``since``). Of further measures a direction is named only
        where it stands allowing for how many were looked at (Holm 1979). Rows ``returned`` are full-time equivalents.
    paths : pandas.DataFrame
        By quarters since the start (``by`` is ``event_time``) and by start and quarter (``group_time``).
    trends : pandas.DataFrame
        Means of regions with the reform, without it, and what the former would have been (``exposure``).
    doses : pandas.DataFrame
        Effects by the burden that regions carried before the reform (``dose_response``).
    series : pandas.DataFrame
        Claimed, counted, measured and felt (``four_series``), and whether caps were kept (``compliance``).
    impossible : dict of str to str
        Reform, reform and measure, or these and ``dose_response``, between dots → why it cannot be estimated.
    """

    effects: pd.DataFrame
    paths: pd.DataFrame
    trends: pd.DataFrame
    doses: pd.DataFrame
    series: pd.DataFrame
    impossible: dict[str, str]


def assess_reforms(
    official_quarters: pd.DataFrame,
    sample: pd.DataFrame,
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
    sample : pandas.DataFrame
        The officials drawn in these quarters, whether or not they answered; empty where no list was kept.
    quarters : sequence of str
        Consecutive quarters up to the one under report.
    progress : callable, optional
        Told the title of each reform as it comes.

    Notes
    -----
    The estimator follows the plan of the register and the rollout: regions of different starts, or some that never had
    the reform, are compared (imputation; group-time effects and two-way fixed effects beside it); one region among many
    stands beside a synthetic control; a reform that came to all at once leaves a break in one series and no clean
    control. With few regions on a side intervals come from randomisation.
    """
    designs, impossible = settle_designs(official_quarters, study=study, quarters=quarters, progress=progress)
    found = _Found(impossible=impossible)
    for design in designs:
        try:
            if design.is_for_all_at_once:
                found.results += _breaks(official_quarters, design, study, list(quarters))
            else:
                _compare(found, design, official_quarters, sample, study)
        except DesignError as error:
            impossible[design.reform.id] = str(error)
    effects = pd.concat([effects_table(found.results), as_rows(found.returned)], ignore_index=True)
    effects.loc[: len(found.results) - 1, "outcome"] = _outcomes(found.results, designs)
    found.series += _series(official_quarters, effects, designs, study, list(quarters))
    series = pd.concat([as_rows([]), *found.series], ignore_index=True)
    return Assessment(effects, as_rows(found.paths), as_rows(found.trends), as_rows(found.doses), series, impossible)


@dataclass(slots=True)
class _Found:
    """What has been found so far."""

    impossible: dict[str, str]
    results: list[EffectResult] = field(default_factory=list)
    returned: list[dict] = field(default_factory=list)
    paths: list[dict] = field(default_factory=list)
    trends: list[dict] = field(default_factory=list)
    doses: list[dict] = field(default_factory=list)
    series: list[pd.DataFrame] = field(default_factory=list)


# -- where regions can be compared ----------------------------------------------------------------------


def _compare(found: _Found, design: Design, officials: pd.DataFrame, sample: pd.DataFrame, study: Study) -> None:
    build = _remembered(design)
    for key, panel in design.panels.items():
        try:
            results = _of_measure(key, design, officials, sample, study, build)
        except DesignError as error:
            if key == design.primary:
                raise
            found.impossible[f"{design.reform.id}.{key}"] = str(error)
            continue
        found.results += results
        found.paths += _paths(results[0], panel, design)
        if key in design.checked:
            found.trends += _trends(results[0], panel, design)
            found.returned.append(_returned(results[0], panel, study))
            _add_dose(found, results[0], panel, design)


def _add_dose(found: _Found, result: EffectResult, panel: Panel, design: Design) -> None:
    anticipation, level = design.way.anticipation, design.confidence_level
    try:
        by_burden = dose_response(panel, anticipation=anticipation, confidence_level=level)
    except DesignError as error:
        found.impossible[f"{result.reform}.{result.measure}.dose_response"] = str(error)
    else:
        found.doses += dose_rows(by_burden, result)


def _remembered(design: Design) -> Callable[[Panel], Contrasts]:
    """The planned contrast of a panel; measures share their rollouts, so each is built once."""
    built: dict[tuple[bytes, ...], Contrasts] = {}

    def build(panel: Panel) -> Contrasts:
        shares = [np.ascontiguousarray(share).tobytes() for share in panel.exposures.values()]
        rollout = (panel.starts.tobytes(), panel.weights.tobytes(), str(panel.values.shape).encode(), *shares)
        if rollout not in built:
            built[rollout] = contrast(panel, design.way)
        return built[rollout]

    return build


def _of_measure(
    key: str,
    design: Design,
    officials: pd.DataFrame,
    sample: pd.DataFrame,
    study: Study,
    build: Callable[[Panel], Contrasts],
) -> list[EffectResult]:
    """The planned estimate, the imputation (or group-time) estimate beside it, and two-way fixed effects as a foil."""
    panel, way, level = design.panels[key], design.way, design.confidence_level
    blank = blank_result(key, design, study)
    planned = _planned(blank, panel, design, build)
    if key in design.checked:
        checks = try_effect(key, design, officials, sample, study=study)
        planned = replace(planned, checks=tuple(checks))
    others = [each for each in ("imputation", "group_time") if each != design.estimator]
    if design.estimator in ("imputation", "group_time"):
        others = others[:1]
    beside = [
        _filled(
            replace(blank, estimator=each, comparison="not_yet"),
            estimate_way(panel, replace(way, estimator=each, comparison="not_yet"), confidence_level=level),
        )
        for each in others
    ]
    foil = estimate_contrasts(two_way(panel), panel, inference="cluster", confidence_level=level).frame.iloc[0]
    foil = _filled(replace(blank, estimator="two_way", comparison="not_yet", inference="cluster"), foil)
    return [planned, *beside, foil]


def _planned(blank: EffectResult, panel: Panel, design: Design, build: Callable[[Panel], Contrasts]) -> EffectResult:
    way, level = design.way, design.confidence_level
    if design.estimator == "synthetic":
        made = synthetic(panel, confidence_level=level)
        return replace(blank, comparison="never", inference="placebo", estimate=made.estimate, se=made.se,
                       ci_low=made.ci_low, ci_high=made.ci_high, p_value=made.p_value, se_sampling=made.se_sampling)  # fmt: skip
    if design.estimator == "interrupted_series":
        return replace(_break_of_regions(blank, panel, level), comparison="none", inference="serial", estimand="level")
    planned = _filled(blank, estimate_way(panel, way, confidence_level=level))
    if choose_inference(panel) == "cohort":
        return planned
    drawn = randomise(build, prepared(panel, way), confidence_level=level, assignments=ASSIGNMENTS)
    return replace(planned, inference="randomisation", df=math.nan, ci_low=drawn.ci_low, ci_high=drawn.ci_high,
                   p_value=drawn.p_value)  # fmt: skip


def _break_of_regions(blank: EffectResult, panel: Panel, confidence_level: float) -> EffectResult:
    """A break in the mean of the regions with the reform, where the plan asks for that instead of a comparison."""
    if len(panel.cohorts) != 1:
        raise DesignError("its regions began at different times, so that no one quarter breaks their series",
                          where=f"{blank.reform}, plan.estimator", fix='plan "auto", "imputation" or "group_time"')  # fmt: skip
    share = np.where(panel.is_ever, panel.weights, 0.0) / panel.weights[panel.is_ever].sum()
    series = pd.DataFrame({"period": panel.periods, "estimate": share @ panel.values})
    sampling = None if panel.sampling is None else np.einsum("r,rst->st", share**2, panel.sampling)
    found = segmented(
        series, start=panel.periods[panel.cohorts[0]], sampling=sampling, confidence_level=confidence_level
    )
    return _filled(blank, found.effects.to_dict("index")["average"])


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


def _paths(result: EffectResult, panel: Panel, design: Design) -> Iterator[dict]:
    """By group-time effects, whichever estimator was planned: they show the quarters before the start too."""
    way, reform = replace(design.way, estimator="group_time", comparison=design.reform.plan.comparison), design.reform
    result = replace(result, estimator="group_time", inference="cohort", comparison=way.comparison)
    chosen = prepared(panel, way)
    effects = finest(chosen, way)
    numbers = ["estimate", "se", "df", "ci_low", "ci_high"]
    for row in estimate_contrasts(by_event_time(effects, chosen), chosen).frame.to_dict("records"):
        yield row_of(result, "event_time", f"{reform.id}.{row['event_time']}") | {name: row[name] for name in numbers}
    for row in estimate_contrasts(effects, chosen).frame.to_dict("records"):
        start, quarter = chosen.periods[row["start"]], chosen.periods[row["period"]]
        yield row_of(result, "group_time", f"{reform.id}.{start}.{quarter}") | {name: row[name] for name in numbers}


def _trends(result: EffectResult, panel: Panel, design: Design) -> Iterator[dict]:
    """Means with and without the reform, and with it less its effect; standard errors are those of sampling."""
    chosen = prepared(panel, design.way)
    moved = _effect_on_the_treated_mean(by_period(finest(chosen, design.way), chosen), chosen)
    reach = stats.norm.ppf((1 + design.confidence_level) / 2)
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
            yield row_of(result, TRENDS_BY, f"{result.reform}.{name}") | {
                "statistic": "mean", "estimate": value, "se": se, "ci_low": value - reach * se,
                "ci_high": value + reach * se, "period": quarter}  # fmt: skip


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


def _returned(result: EffectResult, panel: Panel, study: Study) -> dict:
    """Full-time equivalents given back: hours less per official, times the officials where it is in force at the end."""
    officials = float(panel.weights[panel.is_ever].sum())
    each = -officials / study.config.estimation.standard_week_hours
    return row_of(result, RETURNED_BY, f"{result.reform}.{result.measure}") | {
        "unit": "fte", "estimate": each * result.estimate, "se": abs(each) * result.se, "df": result.df,
        "ci_low": each * result.ci_high, "ci_high": each * result.ci_low}  # fmt: skip


# -- where all had it at once ---------------------------------------------------------------------------


def _breaks(
    official_quarters: pd.DataFrame, design: Design, study: Study, quarters: list[str]
) -> Iterator[EffectResult]:
    """A break in the national series of each measure; nothing tells the reform from what else came with it.

    Beside it the break against hours that the reform does not touch, where these are measured.
    """
    reform, known = design.reform, all_measures(study)
    start = str(next(iter(reform.starts_by(reform.plan.treatment_date).values())))
    periods = {each: [each] for each in quarters}
    series = estimate(official_quarters, design.measures, study=study, periods=periods, regions=[NATION])
    is_unexposed = (series["measure"] == UNEXPOSED) & series["estimate"].notna()
    unexposed = series.loc[is_unexposed, ["period", "estimate", "se"]]
    for key in design.measures:
        rows = series[(series["measure"] == key) & series["estimate"].notna()]
        found = segmented(rows[["period", "estimate", "se"]], start=start, confidence_level=design.confidence_level)
        blank = EffectResult(
            reform=reform.id, measure=key, unit=known[key].unit, estimand="level", estimator="interrupted_series",
            comparison="none", inference="serial", treatment_date=reform.plan.treatment_date,
            period=f"{quarters[0]}–{quarters[-1]}", estimate=math.nan, se=math.nan, df=math.nan, ci_low=math.nan,
            ci_high=math.nan, p_value=math.nan, n_treated=1, n_comparison=0, n=int(rows["n"].sum()),
            n_psu=int(rows["n_psu"].max()),
        )  # fmt: skip
        yield _filled(blank, found.effects.to_dict("index")["average"])
        if key != UNEXPOSED and len(unexposed) == len(rows) and known[key].unit == known[UNEXPOSED].unit:
            compared = segmented(rows[["period", "estimate", "se"]], start=start, comparison=unexposed,
                                 confidence_level=design.confidence_level)  # fmt: skip
            beside = replace(blank, estimator="compared_series", comparison="unexposed")
            yield _filled(beside, compared.effects.to_dict("index")["average"])


# -- words and the four series --------------------------------------------------------------------------


def _outcomes(results: list[EffectResult], designs: list[Design]) -> list[str]:
    """The verdict in one word: its key and, after a dot, whether a causal word is allowed."""
    by_id = {design.reform.id: design for design in designs}
    frame = pd.DataFrame(
        [
            {
                "reform": result.reform,
                # What a reform means to cut was named before anybody looked; all else is one wide net.
                "family": result.measure in by_id[result.reform].reform.measures,
                "measure": result.measure,
                "p_value": result.p_value,
            }
            for result in results
        ],
        columns=pd.Index(["reform", "family", "measure", "p_value"]),
    )
    planned = np.array([result.estimator == by_id[result.reform].estimator for result in results], dtype=bool)
    primary = {name: design.primary for name, design in by_id.items()}
    adjusted = adjust_measures(frame[planned], primary)["p_adjusted"].reindex(frame.index)
    return [
        _outcome(result, by_id[result.reform], p_adjusted=float(p)) for result, p in zip(results, adjusted, strict=True)
    ]


def _outcome(result: EffectResult, design: Design, *, p_adjusted: float) -> str:
    judged = verdict(result, smallest_change=design.reform.smallest_change)
    is_told = judged.key in ("returned_hours", "added_hours")
    # Of many measures one lies off zero by chance: beyond the primary one a direction must stand allowing for that.
    if is_told and result.measure != design.primary and p_adjusted > FOUND_BY_CHANCE:
        return f"cannot_tell.{SINCE}"
    return f"{judged.key}.{CAUSAL if judged.is_causal else SINCE}"


def _series(
    official_quarters: pd.DataFrame, effects: pd.DataFrame, designs: list[Design], study: Study, quarters: list[str]
) -> Iterator[pd.DataFrame]:
    """Claimed, counted, measured and felt, and whether the caps were kept."""
    known, periods = all_measures(study), {each: [each] for each in quarters}
    wanted = [key for design in designs for key in _in_series(design) if key in known]
    regions = [code for design in designs for code in ([NATION] if design.is_for_all_at_once else design.reform.units)]
    if not wanted:
        return
    means = estimate(
        official_quarters,
        list(dict.fromkeys(wanted)),
        study=study,
        periods=periods,
        regions=list(dict.fromkeys(regions)),
    )
    for design in designs:
        reform = design.reform
        planned = effects[(effects["by"] == BY_EFFECT) & (effects["category"] == f"{reform.id}.{design.estimator}")]
        planned = planned[planned["measure"].isin(reform.measures)]
        yield four_series(reform, study=study, counts=means, effects=planned, felt=means)
        yield compliance(reform, study=study, counts=means)


def _in_series(design: Design) -> list[str]:
    reform = design.reform
    return [*reform.measures, *(cap.measure for cap in reform.caps), *(f"felt_{group}" for group in reform.groups)]
