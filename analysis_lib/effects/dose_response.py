"""Does a region that carried more before a reform gain more from it? A slope without noise on both of its sides."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import stats

from analysis_lib.effects.difference_in_differences import NEGLIGIBLE, Contrasts, imputation, other_regressors
from analysis_lib.effects.inference import estimate_contrasts
from analysis_lib.effects.panel import Panel
from analysis_lib.effects.results import EffectResult, row_of
from analysis_lib.errors import DesignError

BY_DOSE, SLOPE, PLACEBO = "dose_response", "slope", "placebo"
THIRDS = ("low", "middle", "high")
SLOPE_UNIT = "share"  # hours that go with an hour more before; printed as per cent of it

MIN_REGIONS = 8  # that began with another one; in simulation six gave an interval 43 times in a hundred, eight 80 times
MIN_BEFORE = 2  # periods before the reform: one for the burden, one to count the change from
EARLY, LATE, CHANGE = range(3)


@dataclass(frozen=True, slots=True)
class Slope:
    """Hours of change that go with an hour more of burden.

    Attributes
    ----------
    estimate, ci_low, ci_high : float
        NaN when the early half says too little about the late one, so that no slope is excluded far out: such an
        interval has no ends, and none is made up.
    df : float
        Of the interval.
    strength : float
        F statistic of the late half on the early one.
    regions : int
        On which it rests.
    """

    estimate: float
    ci_low: float
    ci_high: float
    df: float
    strength: float
    regions: int


@dataclass(frozen=True, slots=True, eq=False)
class DoseResponse:
    """How the effect of a reform goes with the burden before it.

    Attributes
    ----------
    slope : Slope
        Below zero: the heavier the burden before, the more hours fell.
    thirds : pandas.DataFrame
        third (low, middle, high burden), regions, burden, estimate, se, df, ci_low, ci_high; regions count alike.
    points : pandas.DataFrame
        region, start, burden, effect: a row for each region under the reform. For looking at inside the office only.
    placebo : Slope or None
        The same of regions that never had the reform, as if they had; None where there are too few.
    """

    slope: Slope
    thirds: pd.DataFrame
    points: pd.DataFrame
    placebo: Slope | None


@dataclass(frozen=True, slots=True, eq=False)
class _Moments:
    """Of n regions.

    Attributes
    ----------
    means : numpy.ndarray
        Early burden, late burden and change, shape (n, 3).
    shared : numpy.ndarray
        Sampling covariance of the first with each, shape (n, 3).
    cohort : numpy.ndarray
        Their starts, shape (n,).
    """

    means: np.ndarray
    shared: np.ndarray
    cohort: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class _Fit:
    """Late burden and change by early burden, within cohorts.

    Attributes
    ----------
    early : numpy.ndarray
        Early burden less the mean of its cohort, shape (n,).
    coefficients, from_noise : numpy.ndarray
        Of late burden and change on it, and what of them comes from shared sampling noise, shape (2,) each.
    covariance : numpy.ndarray
        Of the coefficients, shape (2, 2).
    df : float
        Degrees of freedom behind it.
    """

    early: np.ndarray
    coefficients: np.ndarray
    from_noise: np.ndarray
    covariance: np.ndarray
    df: float


def dose_response(panel: Panel, *, anticipation: int = 0, confidence_level: float = 0.95) -> DoseResponse:
    """Slope of regions' effects on their burden before the reform, and effects by thirds of that burden.

    Parameters
    ----------
    panel : Panel
        Of one measure; regions count alike here, whatever they stand for.
    anticipation : int
        Periods before the start in which the reform may already act; they belong to neither side.

    Raises
    ------
    DesignError
        With fewer than ``MIN_REGIONS`` regions that began with another one and ``MIN_BEFORE`` periods before, or where
        imputation is not possible.

    Notes
    -----
    A change from a noisy level falls on that level whatever the reform did. So the periods before a region's start are
    halved (an odd one in the middle is left out): burden Z is the mean of the early half, and the change D runs from
    the mean X of the late half to that of the periods in force, period effects and other reforms taken out as in
    `difference_in_differences.imputation`. Within cohorts::

        slope = (cov(D, Z) − s_DZ) ÷ (cov(X, Z) − s_XZ)

    Z is the instrument for X, and s the sampling covariance of the means (officials who answer again share it;
    ``panel.sampling``). The interval holds every β at which D − βX does not go with Z by a t test (Anderson and Rubin
    1949; Fieller 1954), which is right however weak Z is. Officials' hours are compared, not percentages: an effect
    that is a constant share of the burden has that share for its slope.

    Shocks to regions that outlast the step from one half to the other move the slope by::

        −((1 + slope) c − d) ÷ (v + c)

    where c is their covariance in Z and X, d that in Z and the periods in force, and v the variance of lasting burdens.
    With 4–8 of 12 periods before the start and shocks a third as large as the spread of burdens that is −0.02 at an
    autocorrelation of 0.5, which shows in the coverage only from some ninety regions on, and −0.04 at 0.8; with shocks
    as large as that spread −0.15 at 0.5. It pretends that the heavier burdened gain more. ``placebo`` has the same bias
    and no effect, where shocks are alike. Burdens that draw together for another reason do the same to both.
    """
    estimable = imputation(panel, anticipation=anticipation).index
    coefficients = _common_weights(panel, anticipation)
    regressors = other_regressors(panel)
    alone = replace(panel, values=panel.values - regressors @ np.tensordot(coefficients, panel.values, 2))
    starts, periods = (estimable[name].to_numpy(int) for name in ("start", "period"))
    windows = {
        start: _windows(start - anticipation, periods[starts == start], len(panel.periods))
        for start in panel.cohorts
        if start - anticipation >= MIN_BEFORE and start in starts
    }
    used = np.flatnonzero(np.isin(panel.starts, list(windows)))
    counted = sum(size for size in np.unique_counts(panel.starts[used]).counts if size > 1)
    if counted < MIN_REGIONS:
        raise DesignError(
            f"{counted} regions began together with others and have {MIN_BEFORE} periods before it",
            where="dose response",
            fix=f"a slope needs {MIN_REGIONS}; read the effect over all regions, or wait for more of them",
        )
    over_time = np.stack([windows[int(start)] for start in panel.starts[used]])
    moments = _moments(alone, used, over_time)
    fit = _fit(moments)
    points = pd.DataFrame(
        {
            "region": [panel.regions[place] for place in used],
            "start": [panel.periods[start] for start in panel.starts[used]],
            "burden": moments.means[:, EARLY],
            "effect": moments.means[:, CHANGE] - fit.from_noise[1] * fit.early,
        }
    )
    groups = np.array_split(np.argsort(points["burden"].to_numpy(), kind="stable"), len(THIRDS))
    targets = np.zeros((len(THIRDS), *panel.values.shape))
    for third, group in enumerate(groups):
        targets[third, used[group]] = over_time[group, CHANGE] / len(group)
    weights = targets - np.tensordot(np.tensordot(targets, regressors, 2), coefficients, 1)
    # What goes with the burden is no chance: errors of the thirds are counted about the line.
    line = np.zeros((len(panel.regions), 1))
    line[used, 0] = fit.coefficients[1] * fit.early
    about_line = replace(panel, values=panel.values - panel.in_force * line, sampling=None)
    return DoseResponse(
        _slope(fit, confidence_level),
        _thirds(points, groups, weights, about_line, confidence_level),
        points,
        _placebo(alone, panel.starts[used], anticipation, confidence_level),
    )


def dose_rows(found: DoseResponse, result: EffectResult) -> list[dict]:
    """Rows of the contract ``estimates`` for `results.as_rows`: the reform and slope, low, middle, high or placebo.

    ``outcome`` of a slope is ``holds`` where its interval excludes zero, ``cannot_tell`` where it does not or there is
    none; that of the placebo is ``fails`` where it does exclude zero, and the slope with it is not to be told.
    """
    is_off = {SLOPE: _excludes_zero(found.slope), PLACEBO: found.placebo is not None and _excludes_zero(found.placebo)}
    outcomes = {
        SLOPE: "holds" if is_off[SLOPE] and not is_off[PLACEBO] else "cannot_tell",
        PLACEBO: "fails" if is_off[PLACEBO] else "cannot_tell",
    }
    rows = [
        row_of(result, BY_DOSE, f"{result.reform}.{part}")
        | {name: getattr(slope, name) for name in ("estimate", "ci_low", "ci_high", "df")}
        | {"unit": SLOPE_UNIT, "outcome": outcomes[part]}
        for part, slope in ((SLOPE, found.slope), (PLACEBO, found.placebo))
        if slope is not None
    ]
    thirds = [
        row_of(result, BY_DOSE, f"{result.reform}.{third['third']}")
        | {name: third[name] for name in ("estimate", "se", "df", "ci_low", "ci_high")}
        for third in found.thirds.to_dict("records")
    ]
    return [*rows[:1], *thirds, *rows[1:]]


def _common_weights(panel: Panel, anticipation: int) -> np.ndarray:
    """Effects of periods and other reforms as weights of the values, fitted on untreated cells beside region effects.

    Shape (T + reforms, R, T); period effects average zero.
    """
    untreated = ~panel.is_ever[:, None] | (panel.event_time < -anticipation)
    regressors = other_regressors(panel)
    mean = np.einsum("rt,rtp->rp", untreated, regressors) / np.maximum(untreated.sum(axis=1), 1)[:, None]
    fitted_on = np.where(untreated[:, :, None], regressors - mean[:, None, :], 0.0)
    scores = panel.weights[:, None, None] * fitted_on
    inverse = np.linalg.pinv(np.tensordot(scores, fitted_on, ([0, 1], [0, 1])), rcond=NEGLIGIBLE, hermitian=True)
    return np.tensordot(inverse, scores, ([1], [2]))


def _windows(before: int, in_force: np.ndarray, n_periods: int) -> np.ndarray:
    """Weights over periods of the early half, the late half, and the change since, shape (3, T)."""
    half = before // 2
    windows = np.zeros((3, n_periods))
    windows[EARLY, :half] = windows[LATE, before - half : before] = 1 / half
    windows[CHANGE, in_force] = 1 / len(in_force)
    windows[CHANGE] -= windows[LATE]
    return windows


def _moments(panel: Panel, used: np.ndarray, over_time: np.ndarray) -> _Moments:
    means = np.einsum("rkt,rt->rk", over_time, panel.values[used])
    shared = np.zeros_like(means)
    if panel.sampling is not None:
        shared = np.einsum("rt,rts,rks->rk", over_time[:, EARLY], panel.sampling[used], over_time)
    return _Moments(means, shared, panel.starts[used])


def _fit(moments: _Moments) -> _Fit:
    share = np.equal.outer(moments.cohort, moments.cohort).astype(float)
    share /= share.sum(axis=1, keepdims=True)
    within = moments.means - share @ moments.means
    early, rest = within[:, EARLY], within[:, LATE:]
    total = early @ early
    coefficients = early @ rest / total
    residuals = rest - np.outer(early, coefficients)
    df = len(early) - len(set(moments.cohort)) - 1
    from_noise = (1 - np.diag(share)) @ moments.shared[:, LATE:] / total
    return _Fit(early, coefficients, from_noise, residuals.T @ residuals / (df * total), float(df))


def _slope(fit: _Fit, confidence_level: float) -> Slope:
    """The slopes β at which change − β · late burden does not go with early burden: a quadratic inequality in β."""
    late, change = fit.coefficients - fit.from_noise
    (of_late, of_both), (_, of_change) = fit.covariance
    limit = stats.t.ppf((1 + confidence_level) / 2, fit.df) ** 2
    square, linear, constant = (
        late**2 - limit * of_late,
        late * change - limit * of_both,
        change**2 - limit * of_change,
    )
    estimate = low = high = math.nan
    if square > 0 and late > 0:
        reach = math.sqrt(max(linear**2 - square * constant, 0.0))
        estimate, low, high = change / late, (linear - reach) / square, (linear + reach) / square
    strength = max(late, 0.0) ** 2 / of_late if of_late > 0 else math.inf
    return Slope(float(estimate), float(low), float(high), fit.df, float(strength), len(fit.early))


def _thirds(
    points: pd.DataFrame, groups: list[np.ndarray], weights: np.ndarray, about_line: Panel, confidence_level: float
) -> pd.DataFrame:
    """Mean effects of groups of regions; their errors are those of contrasts with these weights."""
    index = pd.DataFrame({"third": THIRDS, "regions": [len(group) for group in groups]})
    contrasts = Contrasts(index, weights)
    found = estimate_contrasts(contrasts, about_line, confidence_level=confidence_level).frame
    burden, effect = (np.array([points[name].iloc[group].mean() for group in groups]) for name in ("burden", "effect"))
    return index.assign(
        burden=burden,
        estimate=effect,
        se=found["se"],
        df=found["df"],
        ci_low=effect + found["ci_low"] - found["estimate"],
        ci_high=effect + found["ci_high"] - found["estimate"],
    )


def _placebo(alone: Panel, starts: np.ndarray, anticipation: int, confidence_level: float) -> Slope | None:
    """Slope of regions that never had the reform, as if it had begun there when it did in the middle treated region."""
    never = np.flatnonzero(~alone.is_ever)
    if len(never) < MIN_REGIONS:
        return None
    pretended = int(np.sort(starts)[(len(starts) - 1) // 2])
    window = _windows(pretended - anticipation, np.arange(pretended, len(alone.periods)), len(alone.periods))
    return _slope(_fit(_moments(alone, never, np.tile(window, (len(never), 1, 1)))), confidence_level)


def _excludes_zero(slope: Slope) -> bool:
    return slope.ci_low > 0 or slope.ci_high < 0
