"""Every declared way to estimate one effect, side by side (Simonsohn, Simmons and Nelson 2020).

The base period, universal or varying, is no choice here: it changes what is compared before the start only.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Literal

import numpy as np
import pandas as pd

from analysis_lib.effects.difference_in_differences import Contrasts, group_time, imputation, overall
from analysis_lib.effects.inference import estimate_contrasts
from analysis_lib.effects.panel import Panel, make_panel
from analysis_lib.errors import DesignError, UsageError

EVERYTHING = "all"
DRAWS = 199


@dataclass(frozen=True, slots=True)
class Choices:
    """One way to estimate the effect.

    Attributes
    ----------
    estimator, comparison, anticipation
        As in `difference_in_differences`; imputation compares with all cells not yet under the reform.
    takes_out_others : bool
        Whether the effects of other reforms are taken out.
    weighs : bool
        Whether regions count by the officials they stand for, or all alike.
    date : str
        Which date is the start; the panel's own where no other is given.
    window : str
        Which periods are used.
    """

    estimator: Literal["group_time", "imputation"] = "group_time"
    comparison: Literal["never", "not_yet"] = "not_yet"
    anticipation: int = 0
    takes_out_others: bool = True
    weighs: bool = True
    date: str = "local_start"
    window: str = EVERYTHING


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """All estimates.

    Attributes
    ----------
    frame : pandas.DataFrame
        A row for each, smallest first: the choices, ``is_planned``, estimate, se, ci_low, ci_high, p_value.
    impossible : int
        Ways that the rollout does not allow.
    same_sign, beyond_zero : float
        Share with the sign of the planned estimate, and share whose interval lies on that side of zero.
    p_value : float
        Joint test that the reform did nothing anywhere; NaN when not asked for.
    """

    frame: pd.DataFrame
    impossible: int
    same_sign: float
    beyond_zero: float
    p_value: float


@dataclass(frozen=True, slots=True, eq=False)
class Alternatives:
    """Other starts and other periods that a reasonable analyst might have taken.

    Attributes
    ----------
    starts : mapping of str to numpy.ndarray
        Name of a date → starts of all regions of the panel, as in `Panel.starts`.
    windows : mapping of str to tuple of int
        Name → first and last position of the periods used, the last included.
    """

    starts: Mapping[str, np.ndarray] = field(default_factory=dict)
    windows: Mapping[str, tuple[int, int]] = field(default_factory=dict)


NONE = Alternatives()


def specification_curve(
    panel: Panel,
    planned: Choices,
    *,
    alternatives: Alternatives = NONE,
    anticipations: Sequence[int] = (0, 1),
    draws: int = DRAWS,
    seed: int = 20261,
    confidence_level: float = 0.95,
) -> Curve:
    """Estimate the effect in every combination of the choices that the panel leaves open.

    Parameters
    ----------
    draws : int
        Assignments of starts to regions in the joint test; none when zero.

    Raises
    ------
    DesignError
        When the planned way is itself impossible.

    Notes
    -----
    Ways with the same estimate and standard error are one way and count once.

    The joint test assigns the starts to regions anew and estimates again all ways that count regions alike and leave
    other reforms in, so that starts are all that differs between regions. Each estimate is divided by its spread over
    assignments, and the statistic is the distance from zero of the median over ways. It is exact when nothing
    happened in any region and starts could as well have fallen to other regions; without such ways there is none.
    """
    rows, ways, seen = [], [], set()
    everything = _combinations(panel, planned, alternatives, anticipations)
    impossible = 0
    for way in everything:
        try:
            found = estimate(panel, way, alternatives=alternatives, confidence_level=confidence_level)
        except DesignError:
            if way == planned:
                raise
            impossible += 1
            continue
        answer = (f"{found['estimate']:.10g}", f"{found['se']:.10g}")
        if answer in seen:
            continue
        seen.add(answer)
        ways.append(way)
        rows.append(asdict(way) | {"is_planned": way == planned} | found.to_dict())
    wanted = [*asdict(planned), "is_planned", "estimate", "se", "ci_low", "ci_high", "p_value"]
    frame = pd.DataFrame(rows)[wanted]
    p_value = _joint_test(panel, ways, alternatives, draws, seed) if draws else np.nan
    sign = np.sign(frame.loc[frame["is_planned"], "estimate"].iloc[0])
    nearest = np.where(sign > 0, frame["ci_low"], -frame["ci_high"])
    return Curve(
        frame.sort_values("estimate", kind="stable", ignore_index=True),
        impossible,
        float((np.sign(frame["estimate"]) == sign).mean()),
        float((nearest > 0).mean()),
        p_value,
    )


def estimate(
    panel: Panel, way: Choices, *, alternatives: Alternatives = NONE, confidence_level: float = 0.95
) -> pd.Series:
    """The effect on officials under the reform, over the periods in force, in one way: a row of `estimate_contrasts`.

    Raises
    ------
    DesignError
        When the rollout does not allow it.
    UsageError
        When the date or the window is not among the alternatives.
    """
    chosen = prepared(panel, way, alternatives)
    return estimate_contrasts(contrast(chosen, way), chosen, confidence_level=confidence_level).frame.iloc[0]


def contrast(panel: Panel, way: Choices) -> Contrasts:
    """The one contrast whose estimate is the effect, on a prepared panel."""
    return overall(finest(panel, way), panel)


def finest(panel: Panel, way: Choices) -> Contrasts:
    """Effects by start and period, on a prepared panel."""
    if way.estimator == "imputation":
        return imputation(panel, anticipation=way.anticipation)
    return group_time(panel, comparison=way.comparison, anticipation=way.anticipation)


def prepared(panel: Panel, way: Choices, alternatives: Alternatives = NONE) -> Panel:
    """The panel as this way sees it: its starts, its periods, its other reforms and its weights.

    Raises
    ------
    UsageError
        When the date or the window is not among the alternatives, or no region is left.
    """
    starts = alternatives.starts.get(way.date, panel.starts)
    if alternatives.starts and way.date not in {"local_start", *alternatives.starts}:
        raise UsageError(f"no starts by the date {way.date!r}", where="choices", fix="give them as an alternative")
    first, last = 0, len(panel.periods) - 1
    if way.window != EVERYTHING:
        if way.window not in alternatives.windows:
            raise UsageError(f"no window {way.window!r}", where="choices", fix="give it as an alternative")
        first, last = alternatives.windows[way.window]
    used = slice(first, last + 1)
    made = make_panel(
        list(panel.regions),
        list(panel.periods[used]),
        panel.values[:, used],
        starts - first,
        panel.weights if way.weighs else np.ones(len(panel.weights)),
        exposures={name: share[:, used] for name, share in panel.exposures.items()} if way.takes_out_others else {},
        sampling=None if panel.sampling is None else panel.sampling[:, used, used],
        n=panel.n,
    )
    return replace(made, left_out=panel.left_out | made.left_out)


def _combinations(
    panel: Panel, planned: Choices, alternatives: Alternatives, anticipations: Sequence[int]
) -> list[Choices]:
    has_never = not panel.is_ever.all()
    comparisons = ["not_yet", "never"] if has_never else ["not_yet"]
    options = itertools.product(
        [("group_time", each) for each in comparisons] + [("imputation", "not_yet")],
        anticipations,
        [True, False] if panel.exposures else [planned.takes_out_others],
        [True, False] if np.ptp(panel.weights) > 0 else [planned.weighs],
        dict.fromkeys([planned.date, *alternatives.starts]),
        dict.fromkeys([EVERYTHING, planned.window, *alternatives.windows]),
    )
    found = [Choices(*how, *rest) for how, *rest in options]  # pyright: ignore[reportArgumentType]
    return [planned, *(way for way in found if way != planned)]


def _joint_test(panel: Panel, ways: Sequence[Choices], alternatives: Alternatives, draws: int, seed: int) -> float:
    rng = np.random.default_rng(seed)
    orders = [np.arange(len(panel.regions)), *(rng.permutation(len(panel.regions)) for _ in range(draws))]
    columns = [_over_assignments(panel, way, alternatives, orders) for way in ways]
    estimates = np.array([column for column in columns if column is not None and np.ptp(column) > 0])
    if not len(estimates):
        return float("nan")
    scaled = np.median(estimates / estimates.std(axis=1, keepdims=True), axis=0)
    return float((np.abs(scaled) >= np.abs(scaled[0]) * (1 - 1e-9)).mean())


def _over_assignments(
    panel: Panel, way: Choices, alternatives: Alternatives, orders: Sequence[np.ndarray]
) -> np.ndarray | None:
    """Estimates when the region i has the starts of the region order[i]; None where more than starts would move."""
    actual = prepared(panel, way, alternatives)
    if actual.exposures or np.ptp(actual.weights) > 0 or actual.regions != panel.regions:
        return None
    weights = contrast(actual, way).weights[0]  # it is these that change places
    return np.array([(weights[order] * actual.values).sum() for order in orders])
