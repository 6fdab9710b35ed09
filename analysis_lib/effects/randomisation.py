"""Randomisation inference: what the estimate would have been had other regions got the reform.

Right with any number of regions, as it rests on nothing but the regions being exchangeable: without the reform each
could as well have been given the start of any other (Fisher 1935; MacKinnon and Webb 2020, for few treated ones).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from math import comb
from typing import Literal

import numpy as np

from analysis_lib.effects.difference_in_differences import Contrasts
from analysis_lib.effects.inference import cohort_of, cohort_residuals, cohort_scores
from analysis_lib.effects.panel import Panel
from analysis_lib.errors import DesignError, UsageError

FEW_REGIONS = 4  # with or without the reform: the fewest at which intervals by cohort were tried, and held
MIN_DEGREES_OF_FREEDOM = 5  # of a standard error that an estimate is divided by
TIE = 1e-9
FAR = 1e4  # times the spread of the estimate: where no effect is compatible with the data any more


@dataclass(frozen=True, slots=True)
class Randomised:
    """A test and an interval.

    Attributes
    ----------
    estimate, p_value : float
        The contrast, and the two-sided p value of no effect in any region.
    ci_low, ci_high : float
        Constant effects that the test does not reject; NaN where even the most extreme data could not reject any.
    smallest_p : float
        The smallest p value that so many regions allow.
    assignments : int
        Assignments compared, the actual one among them.
    is_exhaustive : bool
        Whether these are all that there are; a seeded sample otherwise.
    """

    estimate: float
    p_value: float
    ci_low: float
    ci_high: float
    smallest_p: float
    assignments: int
    is_exhaustive: bool


def choose_inference(panel: Panel) -> Literal["cohort", "randomisation"]:
    """Which inference a panel allows: randomisation with fewer than ``FEW_REGIONS`` regions on either side.

    Those without the reform are the ones that never get it, or else the last to get it. In simulation intervals by
    cohort held the truth in 96 of 100 cases with four regions on each side; with fewer they were not tried.
    """
    cohort = cohort_of(panel)
    n_comparison = int((cohort == cohort.max()).sum())
    return "randomisation" if min(n_comparison, len(cohort) - n_comparison) < FEW_REGIONS else "cohort"


def randomise(
    build: Callable[[Panel], Contrasts],
    panel: Panel,
    *,
    confidence_level: float = 0.95,
    assignments: int = 2000,
    seed: int = 20261,
) -> Randomised:
    """Test a contrast by assigning the starts to regions anew, and find its interval by inverting the test.

    Parameters
    ----------
    build : callable
        The contrast (one) of a panel; it may depend on the rollout alone.
    assignments : int
        All distinct assignments are compared when there are at most so many, else a sample of so many.

    Raises
    ------
    UsageError
        When ``build`` gives more than one contrast.

    Notes
    -----
    The statistic is the contrast over its standard error by cohort, so that the test also keeps its size when regions
    with and without the reform vary differently, in large samples (Chung and Romano 2013); the contrast itself where
    that error would have fewer than ``MIN_DEGREES_OF_FREEDOM``. For an effect δ that is the same in every region and
    period in force, values without the reform are ``values − δ in_force``. Numerator and standard error of every
    assignment are linear in them, so each is computed once and the test inverted without further ones. Assignments in
    which ``build`` finds another reform in the way are left out.
    """
    original = build(panel)
    if len(original.index) != 1:
        raise UsageError("randomisation inference is for one contrast", where="inference", fix="test one at a time")
    everybody, is_exhaustive = _assignments(cohort_of(panel), assignments, np.random.default_rng(seed))
    _, left = cohort_residuals(panel)
    is_studentised = left.sum() >= MIN_DEGREES_OF_FREEDOM
    found = [
        _statistic(weights, assigned, panel, is_studentised=is_studentised)
        for weights, assigned in _rebuilt(build, original, panel, everybody)
    ]
    test = _Test(*np.array(found).T)
    estimate, alpha, scale = float(test.contrast[0]), 1 - confidence_level + TIE, test.scale
    smallest, low, high = 1 / len(found), np.nan, np.nan
    if abs(test.slope[0]) > TIE:
        smallest = float(test.p_values(np.array([estimate - FAR * scale, estimate + FAR * scale])).max())
        if smallest <= alpha and scale > 0:
            low, high = test.limit(-scale, alpha), test.limit(scale, alpha)
    p_value = float(test.p_values(np.zeros(1))[0])
    return Randomised(estimate, p_value, low, high, smallest, len(found), is_exhaustive)


@dataclass(frozen=True, slots=True, eq=False)
class _Test:
    """For each assignment, the actual one first: contrast − δ slope, over the root of level − 2 δ cross + δ² curve."""

    contrast: np.ndarray
    slope: np.ndarray
    level: np.ndarray
    cross: np.ndarray
    curve: np.ndarray

    @property
    def scale(self) -> float:
        """A length in which to look for the limits of the interval."""
        return float(max(np.std(self.contrast), abs(self.contrast[0])))

    def p_values(self, effects: np.ndarray) -> np.ndarray:
        """Share of assignments that look at least as extreme as the actual one, were these the effects."""
        effects = effects[:, None]
        squares = (self.contrast - effects * self.slope) ** 2
        variances = np.maximum(self.level - 2 * effects * self.cross + effects**2 * self.curve, 0.0)
        actual, expected = squares * variances[:, :1], squares[:, :1] * variances
        return (actual >= expected * (1 - np.sqrt(TIE))).mean(axis=1)

    def limit(self, scale: float, alpha: float) -> float:
        """The effect farthest from the estimate, in the direction of ``scale``, whose p value is above ``alpha``."""
        centre = self.contrast[0] / self.slope[0]
        steps = centre + scale * np.geomspace(1 / FAR, FAR, 400)
        inside = np.flatnonzero(self.p_values(steps) > alpha)
        last = int(inside[-1]) if len(inside) else -1
        kept, beyond = (steps[last] if last >= 0 else centre), steps[last + 1]
        for _ in range(50):
            middle = (kept + beyond) / 2
            if self.p_values(np.array([middle]))[0] > alpha:
                kept = middle
            else:
                beyond = middle
        return float(kept)


def _assignments(cohort: np.ndarray, most: int, rng: np.random.Generator) -> tuple[np.ndarray, bool]:
    """Starts given to regions anew, the actual ones first, shape (assignments, R); and whether these are all."""
    possible, remaining = 1, len(cohort)
    for size in np.unique(cohort, return_counts=True)[1].tolist():
        possible *= comb(remaining, size)
        remaining -= size
    if possible <= most:
        every = np.array(list(_arrangements(sorted(cohort.tolist()))))
        is_actual = (every == cohort).all(axis=1)
        return np.concatenate([every[is_actual], every[~is_actual]]), True
    drawn = rng.permuted(np.tile(cohort, (most - 1, 1)), axis=1)
    return np.concatenate([cohort[None], drawn]), False


def _arrangements(values: list[int]) -> Iterator[list[int]]:
    """Distinct orders of values."""
    if not values:
        yield []
    for first in sorted(set(values)):
        rest = values.copy()
        rest.remove(first)
        yield from ([first, *others] for others in _arrangements(rest))


def _rebuilt(
    build: Callable[[Panel], Contrasts], original: Contrasts, panel: Panel, assignments: np.ndarray
) -> Iterator[tuple[np.ndarray, Panel]]:
    """The contrast's weights under each assignment, (1, R, T), with the panel so assigned."""
    cohort = cohort_of(panel)
    # Where regions are alike but for their start, weights follow the start and need not be built again.
    follow_starts = not panel.exposures and np.ptp(panel.weights) == 0
    of_start = {start: original.weights[:, cohort == start][:, 0] for start in np.unique(cohort).tolist()}
    for starts in assignments:
        assigned = replace(panel, starts=starts)
        if follow_starts:
            yield np.stack([of_start[start] for start in starts.tolist()], axis=1), assigned
            continue
        try:
            yield build(assigned).weights, assigned
        except DesignError:
            continue


def _statistic(weights: np.ndarray, assigned: Panel, panel: Panel, *, is_studentised: bool) -> list[float]:
    """Contrast and its slope, and the variance's coefficients."""
    shapes = panel.values, panel.in_force.astype(float)
    contrast, slope = (float((weights[0] * values).sum()) for values in shapes)
    if not is_studentised:
        return [contrast, slope, 1.0, 0.0, 0.0]
    of_values, of_reform = (
        np.concatenate([scores[0] for scores, _ in cohort_scores(weights, replace(assigned, values=values))])
        for values in shapes
    )
    products = (of_values @ of_values, of_values @ of_reform, of_reform @ of_reform)
    return [contrast, slope, *map(float, products)]
