"""One or few treated regions beside a weighted mean of regions that were never treated.

Synthetic control (Abadie, Diamond and Hainmueller 2010) weighs comparison regions so that they run level with the
treated one before the reform; synthetic difference-in-differences (Arkhangelsky et al. 2021) so that they run parallel
to it, with weights for the periods before as well. For a cohort with N treated regions and T₁ periods in force::

    ω = argmin  mean over t before of (ω₀ + Σ ω_i y_it − ȳ_t)² + ζ² Σ ω_i²      ω_i ≥ 0, Σ ω_i = 1
    λ = argmin  mean over comparison regions of (λ₀ + Σ λ_t y_it − ȳ_i,after)²   λ_t ≥ 0, Σ λ_t = 1
    effect = (ȳ_after − Σ λ_t ȳ_t) − Σ ω_i (ȳ_i,after − Σ λ_t y_it)              ζ = (N T₁)^¼ · sd of first differences

Synthetic control leaves out ω₀ and λ, and all but a trace of ζ. The weights are found as there, by Frank and Wolfe's
steps of exact length, once more after small weights were set to zero; where they stop matters in the fourth digit.

What it rests on: that the weighted mean would have gone on as the treated did. Errors come from giving the reform to
comparison regions (placebos), hence they hold if the treated region varies as the others do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from analysis_lib.effects.panel import Panel
from analysis_lib.errors import DesignError

Kind = Literal["synthetic_difference", "synthetic_control", "difference"]

LEAST_BEFORE = 4  # periods to find weights on
TRACE, LEAST_GAIN = 1e-6, 1e-5  # of the noise: a ridge that makes the weights unique, and what a step must gain
STEPS_BEFORE_CUT, STEPS = 100, 10_000


@dataclass(frozen=True, slots=True, eq=False)
class Synthetic:
    """An effect on few treated regions.

    Attributes
    ----------
    kind : str
        ``synthetic_difference``, ``synthetic_control``, or ``difference`` (all regions and periods alike).
    estimate, ci_low, ci_high, p_value : float
        Mean effect on treated regions over the periods in force; the interval holds the effects that the placebo test
        does not reject, and ``p_value`` is the rank of the estimate's size among the placebos.
    se : float
        Standard deviation of the placebos.
    se_sampling : float
        Part that comes from asking a sample, weights held; NaN where not known.
    contrast : numpy.ndarray
        (R, T) weights of the cells: the estimate is their sum with the panel's values.
    cohorts : pandas.DataFrame
        Per cohort ``start``, ``regions``, ``share`` in the average, ``estimate``, ``rmse_before`` (of the gap to the
        synthetic region before) and ``rmse_placebos`` (its median over the placebos).
    unit_weights, time_weights : pandas.DataFrame
        ω by comparison region and λ by period, a column per cohort, named for its first period in force.
    path : pandas.DataFrame
        ``cohort``, ``period``, ``observed`` and ``synthetic``: the latter set level with the former by λ where the
        method does.
    placebos : numpy.ndarray
        Estimates with the reform given to comparison regions instead.
    n_treated, n_comparison : int
        Regions.
    """

    kind: Kind
    estimate: float
    se: float
    ci_low: float
    ci_high: float
    p_value: float
    se_sampling: float
    contrast: np.ndarray
    cohorts: pd.DataFrame
    unit_weights: pd.DataFrame
    time_weights: pd.DataFrame
    path: pd.DataFrame
    placebos: np.ndarray
    n_treated: int
    n_comparison: int


def synthetic(
    panel: Panel,
    *,
    kind: Kind = "synthetic_difference",
    draws: int = 400,
    seed: int = 20260,
    confidence_level: float = 0.95,
) -> Synthetic:
    """Effect of a reform on few regions; staggered starts cohort by cohort, averaged by treated region-periods.

    Parameters
    ----------
    panel : Panel
        With regions never treated, which alone are compared with.
    kind : str
        See `Synthetic`.
    draws, seed : int
        Placebos: with one treated region every comparison region takes its place once; with more, so many draws.
    confidence_level : float
        Of the interval.

    Raises
    ------
    DesignError
        For no treated region, fewer than `LEAST_BEFORE` periods before, or comparison regions too few for a placebo
        test at this level: 19 with one treated region, for 95 %.
    """
    treated, never = np.flatnonzero(panel.is_ever), np.flatnonzero(~panel.is_ever)
    _refuse_too_little(panel, len(treated), len(never), confidence_level)
    fits = [_fit(panel, np.flatnonzero(panel.starts == start), never, start, kind) for start in panel.cohorts]
    contrast = _average(fits, panel)
    estimate = float(np.sum(contrast * panel.values))
    sets = [never[[i]] for i in range(len(never))]
    if len(treated) > 1:
        rng = np.random.default_rng(seed)
        sets = [rng.choice(never, len(treated), replace=False) for _ in range(draws)]
    placebos, placebo_rmse = map(np.array, zip(*(_placebo(panel, chosen, treated, never, kind) for chosen in sets),
                                               strict=True))  # fmt: skip
    size = np.sort(np.abs(placebos))
    reach = float(size[min(len(size), math.ceil(confidence_level * (len(size) + 1))) - 1])
    names = [panel.periods[start] for start in panel.cohorts]
    return Synthetic(
        kind=kind,
        estimate=estimate,
        se=float(placebos.std()),
        ci_low=estimate - reach,
        ci_high=estimate + reach,
        p_value=float((1 + np.sum(size >= abs(estimate))) / (1 + len(size))),
        se_sampling=_sampling_error(contrast, panel),
        contrast=contrast,
        cohorts=pd.DataFrame(
            {
                "start": names,
                "regions": [len(fit.treated) for fit in fits],
                "share": _shares(fits, panel),
                "estimate": [float(np.sum(fit.contrast(panel) * panel.values)) for fit in fits],
                "rmse_before": [fit.rmse_before(panel) for fit in fits],
                "rmse_placebos": np.median(placebo_rmse, axis=0),
            }
        ),
        unit_weights=pd.DataFrame(
            {name: fit.unit_weights for name, fit in zip(names, fits, strict=True)},
            index=[panel.regions[i] for i in never],
        ),
        time_weights=pd.DataFrame(
            {name: fit.time_weights for name, fit in zip(names, fits, strict=True)}, index=list(panel.periods)
        ),
        path=pd.concat(
            [fit.path(panel).assign(cohort=name) for name, fit in zip(names, fits, strict=True)], ignore_index=True
        ),
        placebos=placebos,
        n_treated=len(treated),
        n_comparison=len(never),
    )


def least_comparisons(confidence_level: float) -> int:
    """Comparison regions without which the rank of one treated region among them cannot be extreme enough."""
    return math.ceil(1 / (1 - confidence_level) - 1e-9) - 1


def _refuse_too_little(panel: Panel, n_treated: int, n_never: int, confidence_level: float) -> None:
    if not n_treated or panel.cohorts[0] < LEAST_BEFORE:
        raise DesignError(
            "no region is treated within the panel, or the first has too short a past",
            where="synthetic control",
            fix=f"at least {LEAST_BEFORE} periods before the reform begins",
        )
    needed = least_comparisons(confidence_level)
    if n_never < n_treated + 2 or math.comb(n_never, n_treated) < needed:
        raise DesignError(
            f"{n_never} regions without the reform are too few to tell an effect on {n_treated} from chance",
            where="synthetic control",
            fix=f"with one treated region, at least {needed} without",
        )


def _placebo(
    panel: Panel, chosen: np.ndarray, treated: np.ndarray, never: np.ndarray, kind: Kind
) -> tuple[float, list[float]]:
    """The estimate with ``chosen`` comparison regions in the places of the treated, and its fits before."""
    stand_in = dict(zip(treated, chosen, strict=True))
    donors = np.setdiff1d(never, chosen)
    fits = [
        _fit(
            panel, np.array([stand_in[region] for region in np.flatnonzero(panel.starts == start)]), donors, start, kind
        )
        for start in panel.cohorts
    ]
    return float(np.sum(_average(fits, panel) * panel.values)), [fit.rmse_before(panel) for fit in fits]


# -- one cohort ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Fit:
    """Weights of one cohort: of its regions and its comparison regions, and of the periods before."""

    treated: np.ndarray
    donors: np.ndarray
    start: int
    treated_weights: np.ndarray
    unit_weights: np.ndarray
    time_weights: np.ndarray

    def contrast(self, panel: Panel) -> np.ndarray:
        """Weights of all cells, shape (R, T)."""
        units = np.zeros(len(panel.regions))
        units[self.treated], units[self.donors] = self.treated_weights, -self.unit_weights
        periods = -self.time_weights
        periods[self.start :] = 1 / (len(periods) - self.start)
        return np.outer(units, periods)

    def path(self, panel: Panel) -> pd.DataFrame:
        """Treated and synthetic region; the latter level with the former over the periods that λ weighs."""
        observed = self.treated_weights @ panel.values[self.treated]
        other = self.unit_weights @ panel.values[self.donors]
        return pd.DataFrame(
            {
                "period": panel.periods,
                "observed": observed,
                "synthetic": other + self.time_weights @ (observed - other),
            }
        )

    def rmse_before(self, panel: Panel) -> float:
        """Root mean square of the gap before; differences in level do not count where the method takes them out."""
        gap = self.treated_weights @ panel.values[self.treated] - self.unit_weights @ panel.values[self.donors]
        before = gap[: self.start]
        return float(np.sqrt(np.mean((before - (before.mean() if self.time_weights.any() else 0)) ** 2)))


def _fit(panel: Panel, treated: np.ndarray, donors: np.ndarray, start: int, kind: Kind) -> _Fit:
    treated_weights = panel.weights[treated] / panel.weights[treated].sum()
    before, after = panel.values[donors, :start], panel.values[donors, start:].mean(axis=1)
    goal = treated_weights @ panel.values[treated, :start]
    noise = float(np.diff(before, axis=1).std(ddof=1))
    times = np.zeros(len(panel.periods))
    if kind == "difference":
        units, times[:start] = panel.weights[donors] / panel.weights[donors].sum(), 1 / start
    elif kind == "synthetic_control":
        units = _weights(before.T, goal, TRACE * noise, noise)
    else:
        ridge = (len(treated) * (len(panel.periods) - start)) ** 0.25 * noise
        units = _weights(before.T - before.T.mean(axis=0), goal - goal.mean(), ridge, noise)
        times[:start] = _weights(before - before.mean(axis=0), after - after.mean(), TRACE * noise, noise)
    return _Fit(treated, donors, start, treated_weights, units, times)


def _weights(columns: np.ndarray, goal: np.ndarray, ridge: float, noise: float) -> np.ndarray:
    """Weights of columns, none negative, adding up to one, that come nearest to the goal."""
    start = np.full(columns.shape[1], 1 / columns.shape[1])
    found = _descend(start, columns, goal, ridge, LEAST_GAIN * noise, STEPS_BEFORE_CUT)
    found = np.where(found <= found.max() / 4, 0.0, found)
    return _descend(found / found.sum(), columns, goal, ridge, LEAST_GAIN * noise, STEPS)


def _descend(
    weights: np.ndarray, columns: np.ndarray, goal: np.ndarray, ridge: float, least_gain: float, steps: int
) -> np.ndarray:
    """Move towards the corner of steepest descent as far as helps, until a step gains next to nothing."""
    penalty = len(goal) * ridge**2
    predicted, last = columns @ weights, np.inf
    for _ in range(steps):
        gradient = columns.T @ (predicted - goal) + penalty * weights
        corner = int(gradient.argmin())
        direction = -weights
        direction[corner] += 1
        change = columns[:, corner] - predicted
        curvature = change @ change + penalty * (direction @ direction)
        if curvature == 0:
            break
        step = min(1.0, max(0.0, -(gradient @ direction) / curvature))
        weights, predicted = weights + step * direction, predicted + step * change
        loss = ridge**2 * (weights @ weights) + np.mean((predicted - goal) ** 2)
        if last - loss <= least_gain**2:
            break
        last = loss
    return weights


# -- cohorts together ---------------------------------------------------------------------------------


def _shares(fits: list[_Fit], panel: Panel) -> np.ndarray:
    """A cohort counts by what its regions stand for, times its periods in force."""
    officials = [panel.weights[panel.starts == fit.start].sum() * (len(panel.periods) - fit.start) for fit in fits]
    return np.array(officials) / np.sum(officials)


def _average(fits: list[_Fit], panel: Panel) -> np.ndarray:
    return np.sum([share * fit.contrast(panel) for share, fit in zip(_shares(fits, panel), fits, strict=True)], axis=0)


def _sampling_error(contrast: np.ndarray, panel: Panel) -> float:
    if panel.sampling is None:
        return math.nan
    return float(np.sqrt(np.einsum("rs,rst,rt->", contrast, panel.sampling, contrast)))
