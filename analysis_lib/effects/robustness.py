"""Would another reasonable analyst agree? Each check tries one thing on an effect and says what came of it.

A check that nothing should be found in (placebos, trends before the start) *holds* when its interval lies within the
smallest change that matters, *fails* when it lies off zero and beyond, and else *cannot tell*. A check that estimates
the effect in another way holds when the answer stays, and fails when it is reversed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy import optimize, stats

from analysis_lib.effects.difference_in_differences import by_event_time
from analysis_lib.effects.inference import estimate_contrasts
from analysis_lib.effects.panel import Panel
from analysis_lib.effects.results import CheckResult, Outcome
from analysis_lib.effects.sensitivity import EventStudy, breakdown, relative_magnitudes, smoothness
from analysis_lib.effects.specification_curve import Choices, contrast, estimate, finest, prepared
from analysis_lib.errors import DesignError

SIGNIFICANT = 0.05
ANTICIPATIONS = (0, 1, 2)
LIKELY, LARGE = 0.2, 0.5  # standard deviations by which those who did not answer may well, or hardly, differ
NO_SHARE = 1e-9  # of those asked
PLANNED = Choices()


def run_checks(
    panel: Panel,
    *,
    smallest_change: float,
    way: Choices = PLANNED,
    unit: str = "hours_week",
    unexposed: Panel | None = None,
    response: np.ndarray | None = None,
    spread: float | None = None,
    dates: Mapping[str, np.ndarray] | None = None,
) -> list[CheckResult]:
    """Every check for which there are data.

    Parameters
    ----------
    panel : Panel
        Of the measure.
    smallest_change : float
        In the unit of the measure; above zero.
    way : Choices
        How the effect was planned to be estimated; its date is that of the panel.
    unexposed : Panel or None
        Of activities that the reform does not touch, same regions and starts.
    response : numpy.ndarray or None
        Share of officials asked who answered, shape (R, T).
    spread : float or None
        Standard deviation of the measure among officials; None: among the means of regions, which is smaller.
    dates : mapping of str to numpy.ndarray or None
        Other dates → starts, as in `Panel.starts`.

    Raises
    ------
    DesignError
        When the effect itself cannot be estimated.
    """
    checks = [
        check_pretrends(panel, way, smallest_change=smallest_change),
        check_placebo_time(panel, way, smallest_change=smallest_change),
        check_leave_one_out(panel, way),
        check_anticipation(panel, way),
        check_sensitivity(panel, way),
    ]
    if unexposed is not None:
        checks.append(check_placebo_activity(unexposed, way, smallest_change=smallest_change))
    if dates:
        checks.append(check_dates(panel, way, dates))
    if response is not None:
        checks.append(check_attrition(panel, way, response, spread=spread))
    if panel.exposures:
        checks.append(check_other_reforms(panel, way))
    return [tried if tried.unit == "index" else replace(tried, unit=unit) for tried in checks]


def check_pretrends(panel: Panel, way: Choices = PLANNED, *, smallest_change: float) -> CheckResult:
    """Did trends part before the start? Joint test of the estimates before it, and what it would have found.

    The test is Hotelling's: F on m and ν − m + 1 degrees of freedom, of the m ≤ ν/2 periods nearest to the start. The
    number is the slope, in the measure's unit per period. With it come the slopes that the test finds half of the
    time and in 80 %, and the bias of the effect were such a line to go on (Roth 2022): only where the latter is below
    ``smallest_change`` does silence of the test mean anything.
    """
    study = event_study(panel, way)
    if study is None:
        return CheckResult("pretrends", "cannot_tell")
    m = len(study.before)
    ago = -np.arange(m, 0, -1.0)
    inverse = np.linalg.pinv(study.covariance[:m, :m], hermitian=True)
    rest = max(study.df - m + 1, 1.0)
    scale = rest / (study.df * m) if np.isfinite(study.df) else 1 / m
    p_value = float(stats.f.sf(scale * study.before @ inverse @ study.before, m, rest))
    apparent = float(ago @ inverse @ ago)
    slope = float(ago @ inverse @ study.before) / apparent
    # The inverse of an estimated covariance is too large, and weights taken from it add to the slope's error (Rao 1967).
    extra, information = 1.0, apparent
    if np.isfinite(study.df):
        extra = study.df / rest * max((study.df - 1) / max(study.df - m, 1.0), 1.0)
        information = apparent * max(rest - 2, 0.5) / study.df
    reach = float(stats.t.ppf(0.975, rest) * np.sqrt(extra / apparent))
    lever = abs(float(study.target @ np.arange(1.0, len(study.after) + 1)))
    found = {power: float(np.sqrt(_noncentrality(power, m, rest) / information)) for power in (0.5, 0.8)}
    outcome: Outcome = "cannot_tell"
    if p_value < SIGNIFICANT:
        outcome = "fails"
    elif lever * found[0.8] < smallest_change:
        outcome = "holds"
    return CheckResult(
        "pretrends",
        outcome,
        slope,
        slope - reach,
        slope + reach,
        facts={
            "p_value": p_value,
            "periods": float(m),
            "slope_half": found[0.5],
            "slope_most": found[0.8],
            "bias_half": lever * found[0.5],
            "bias_most": lever * found[0.8],
        },
    )


def check_placebo_time(panel: Panel, way: Choices = PLANNED, *, smallest_change: float) -> CheckResult:
    """Effect of a start that never was: halfway through the periods in which no region had the reform yet."""
    quiet = min(panel.cohorts, default=0) - way.anticipation
    if quiet < 2:
        return CheckResult("placebo_time", "cannot_tell")
    pretended = (quiet + 1) // 2
    early = replace(
        panel,
        periods=panel.periods[:quiet],
        values=panel.values[:, :quiet],
        starts=np.where(panel.is_ever, pretended, quiet),
        exposures={name: share[:, :quiet] for name, share in panel.exposures.items()},
        sampling=None if panel.sampling is None else panel.sampling[:, :quiet, :quiet],
    )
    try:
        found = estimate(early, replace(way, anticipation=0, comparison="not_yet"))
    except DesignError:
        return CheckResult("placebo_time", "cannot_tell")
    facts = {"periods": float(quiet - pretended)}
    return _placebo("placebo_time", found, smallest_change, facts)


def check_placebo_activity(unexposed: Panel, way: Choices = PLANNED, *, smallest_change: float) -> CheckResult:
    """Effect on activities that the reform does not touch."""
    return _placebo("placebo_activity", estimate(unexposed, way), smallest_change, {})


def check_leave_one_out(panel: Panel, way: Choices = PLANNED) -> CheckResult:
    """Does the answer hang on one region?"""
    found = []
    for out in range(len(panel.regions)):
        kept = np.arange(len(panel.regions)) != out
        without = replace(
            panel,
            regions=tuple(name for name, is_kept in zip(panel.regions, kept, strict=True) if is_kept),
            values=panel.values[kept],
            starts=panel.starts[kept],
            weights=panel.weights[kept],
            exposures={name: share[kept] for name, share in panel.exposures.items()},
            sampling=None if panel.sampling is None else panel.sampling[kept],
        )
        found.append(_tried(without, way))
    return _other_ways("leave_one_out", estimate(panel, way), found)


def check_anticipation(panel: Panel, way: Choices = PLANNED) -> CheckResult:
    """Does the answer hang on how long before its start the reform may have acted?"""
    others = [_tried(panel, replace(way, anticipation=ahead)) for ahead in ANTICIPATIONS if ahead != way.anticipation]
    return _other_ways("anticipation", estimate(panel, way), others)


def check_dates(panel: Panel, way: Choices, dates: Mapping[str, np.ndarray]) -> CheckResult:
    """Does the answer hang on which date is taken for the start?"""
    others = [_tried(replace(panel, starts=starts), way) for starts in dates.values() if (starts >= 1).all()]
    return _other_ways("dates", estimate(panel, way), others)


def check_other_reforms(panel: Panel, way: Choices = PLANNED) -> CheckResult:
    """Does the answer hang on taking out the effects of other reforms?"""
    other = _tried(panel, replace(way, takes_out_others=not way.takes_out_others))
    return _other_ways("other_reforms", estimate(panel, way), [other])


def check_attrition(panel: Panel, way: Choices, response: np.ndarray, *, spread: float | None = None) -> CheckResult:
    """How different must those who did not answer be, under the reform, for nothing to be left of the effect?

    The number is that difference, in the measure's unit: with r the share who answered, a difference d in the cells in
    force adds d Σ weights (1 − r) to the effect, and is asked to bring the nearer limit of its interval, or the
    estimate where the interval holds zero, to zero. Holds from ``LARGE`` standard deviations on; fails when the reform
    changed who answers and fewer than ``LIKELY`` are enough. Beside it the effect on response itself.
    """
    chosen = prepared(panel, way)
    found = estimate(panel, way)
    on_response = estimate(replace(panel, values=response), way)
    silent = float((contrast(chosen, way).weights[0] * np.where(chosen.in_force, 1 - response, 0.0)).sum())
    limits = [found["ci_low"], found["ci_high"]]
    is_told = not limits[0] <= 0 <= limits[1]
    nearest = min(limits, key=abs) if is_told else found["estimate"]
    needed = -nearest / silent if abs(silent) > 0 else np.inf
    spread = float(panel.values.std()) if spread is None else spread
    # Response that is the same everywhere has an interval of no width, beside zero by the rounding of floats.
    has_moved = not on_response["ci_low"] - NO_SHARE <= 0 <= on_response["ci_high"] + NO_SHARE
    outcome: Outcome = "cannot_tell"
    if abs(needed) >= LARGE * spread:
        outcome = "holds"
    elif has_moved and is_told and abs(needed) < LIKELY * spread:
        outcome = "fails"
    return CheckResult(
        "attrition",
        outcome,
        float(needed) if np.isfinite(needed) else np.nan,
        facts={
            "spread": spread,
            "response_effect": float(on_response["estimate"]),
            "response_ci_low": float(on_response["ci_low"]),
            "response_ci_high": float(on_response["ci_high"]),
        },
    )


def check_sensitivity(panel: Panel, way: Choices = PLANNED) -> CheckResult:
    """How far may trends part after the start, by what they did before, until nothing is left of the effect?

    The number is the breakdown value M̄ of `sensitivity.breakdown`; holds from 1 on. It never takes the causal word by
    itself: with noisy quarters the largest step before is mostly noise, and the check strict.
    """
    study = event_study(panel, way)
    if study is None:
        return CheckResult("sensitivity", "cannot_tell", unit="index", matters=False)
    value = breakdown(study)
    intervals = {
        "half": relative_magnitudes(study, 0.5),
        "equal": relative_magnitudes(study, 1.0),
        "line": smoothness(study, 0.0),
    }
    facts = {
        f"{name}_{side}": float(limit)
        for name, limits in intervals.items()
        for side, limit in zip(("low", "high"), limits, strict=True)
    }
    outcome: Outcome = "holds" if value >= 1 else "cannot_tell"
    return CheckResult("sensitivity", outcome, value, unit="index", facts=facts, matters=False)


def event_study(panel: Panel, way: Choices = PLANNED) -> EventStudy | None:
    """Estimates around the reference period by group-time effects, as many before it as degrees of freedom carry.

    The effect asked for is the same mean over officials and periods in force. None where no two periods lie before
    the first start.
    """
    chosen = prepared(panel, way)
    parts = finest(chosen, replace(way, estimator="group_time"))
    reference = -1 - way.anticipation
    times = {int(time) for time in parts.index["event_time"]}
    before, after = _run(times, reference, -1), _run(times, reference, 1)
    if not before or max(after, default=-1) < 0:
        return None
    found = estimate_contrasts(by_event_time(parts, chosen, earliest=before[0], latest=after[-1]), chosen)
    # The smallest, of an event time that few regions reach, would make the joint test far too slow to reject.
    df = float(found.frame["df"].median())
    kept = min(len(before), max(1, int(df / 2))) if np.isfinite(df) else len(before)
    skipped = len(before) - kept
    estimates = found.frame["estimate"].to_numpy(float)[skipped:]
    sizes = [
        sum(
            float(chosen.weights[chosen.starts == start].sum())
            for start in parts.index.loc[parts.index["event_time"] == time, "start"]
        )
        if time >= 0
        else 0.0
        for time in after
    ]
    return EventStudy(
        estimates[:kept], estimates[kept:], found.covariance[skipped:, skipped:], np.array(sizes) / sum(sizes), df
    )


def _run(times: set[int], reference: int, step: int) -> list[int]:
    """Event times without a gap on one side of the reference period, in order of time."""
    found = []
    while reference + step * (len(found) + 1) in times:
        found.append(reference + step * (len(found) + 1))
    return sorted(found)


def _noncentrality(power: float, m: int, rest: float) -> float:
    """At which the F test on m and ``rest`` degrees of freedom rejects with the given probability."""
    critical = stats.f.isf(SIGNIFICANT, m, rest)
    root = optimize.root_scalar(
        lambda size: float(stats.ncf.sf(critical, m, rest, size)) - power, bracket=(1e-6, 1e4), xtol=1e-8
    ).root
    return float(root)


def _placebo(key: str, found: pd.Series, smallest_change: float, facts: dict[str, float]) -> CheckResult:
    low, high = float(found["ci_low"]), float(found["ci_high"])
    outcome: Outcome = "cannot_tell"
    if -smallest_change < low and high < smallest_change:
        outcome = "holds"
    elif low > 0 or high < 0:
        outcome = "fails"
    return CheckResult(key, outcome, float(found["estimate"]), low, high, facts=facts)


def _tried(panel: Panel, way: Choices) -> pd.Series | None:
    try:
        return estimate(panel, way)
    except DesignError:
        return None


def _other_ways(key: str, planned: pd.Series, found: list[pd.Series | None]) -> CheckResult:
    """What other ways make of the effect; the number is the one farthest from the planned.

    Fails when one is reversed: it lies off zero on the other side, or the effect does lie off zero and the estimate
    changes sign. Cannot tell when one differs in whether the interval holds zero or has none, or none is possible.
    """
    others = [each for each in found if each is not None]
    if not others:
        return CheckResult(key, "cannot_tell")
    sides = np.array([_side(each) for each in others])
    signs = np.sign([each["estimate"] for each in others])
    side, sign = _side(planned), np.sign(planned["estimate"])
    have_intervals = all(np.isfinite([each["ci_low"], each["ci_high"]]).all() for each in [planned, *others])
    outcome: Outcome = "holds" if (sides == side).all() and have_intervals else "cannot_tell"
    if (sides == -sign).any() or (side != 0 and (signs != sign).any()):
        outcome = "fails"
    farthest = max(others, key=lambda each: abs(each["estimate"] - planned["estimate"]))
    facts = {
        "planned": float(planned["estimate"]),
        "tried": float(len(others)),
        "same_sign": float((signs == sign).sum()),
        "beyond_zero": float((sides == sign).sum()),
    }
    low, high = float(farthest["ci_low"]), float(farthest["ci_high"])
    return CheckResult(key, outcome, float(farthest["estimate"]), low, high, facts=facts)


def _side(found: pd.Series) -> float:
    """Side of zero on which the interval lies; 0 when it holds zero."""
    return float(found["ci_low"] > 0) - float(found["ci_high"] < 0)
