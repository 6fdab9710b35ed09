"""Signs that answers were dictated: forms handed in one after another, and the very answers of last quarter.

That a whole unit answers too much alike is measured in `duplicates.colleague_p`.
"""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
from scipy import stats

from analysis_lib.quality.answers import Answers, as_codes
from analysis_lib.quality.duplicates import n_shuffles
from analysis_lib.quality.matching import shared_answers, shuffled_units, upper_p_by_size

MIN_UNIT = 3  # two forms one after the other are a coincidence
MIN_SEEN_TWICE = 30  # people in both quarters from which on their own spread is known
_NORMAL_PER_MAD = 1.4826
_EACH_TAIL = 0.25


def same_time_p(seconds: np.ndarray, answers: Answers, *, rng: np.random.Generator) -> np.ndarray:
    """Probability that an honest unit hands in its forms as closely together, by respondent.

    The sign is the median time between one form of a unit and the next, against units formed at random. NaN in units
    with fewer than `MIN_UNIT` times. A unit that fills in its forms at a meeting looks the same: this is a reason to
    ask, not a verdict.
    """
    known = np.isfinite(seconds)
    unit = np.unique(answers.unit[known], return_inverse=True)[1]
    p = np.full(len(seconds), np.nan)
    if not len(unit):
        return p
    size = np.bincount(unit)
    observed = -_median_gap(seconds[known], unit)
    shuffles = n_shuffles(10 * len(unit))
    null = [
        -_median_gap(seconds[known], shuffled)
        for shuffled in itertools.islice(shuffled_units(unit, answers.cell[known], rng), shuffles)
    ]
    by_unit = upper_p_by_size(observed, np.concatenate(null), size, np.tile(size, len(null)))
    p[known] = by_unit[unit]
    return p


def _median_gap(seconds: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """Median time between one form and the next, by unit; NaN below `MIN_UNIT` forms."""
    order = np.lexsort((seconds, unit))
    of_unit = unit[order]
    gap = np.diff(seconds[order])
    within = of_unit[1:] == of_unit[:-1]
    median = np.full(int(unit.max()) + 1, np.nan)
    gaps, owner = gap[within], of_unit[1:][within]
    by_gap = np.lexsort((gaps, owner))
    gaps, owner = gaps[by_gap], owner[by_gap]
    number = np.bincount(owner, minlength=len(median))
    start = np.cumsum(number) - number
    enough = number >= MIN_UNIT - 1
    low, high = start + (number - 1) // 2, start + number // 2
    median[enough] = (gaps[low[enough]] + gaps[high[enough]]) / 2
    return median


def same_as_before_p(now: pd.DataFrame, before: pd.DataFrame, items: list[str]) -> np.ndarray:
    """Probability of repeating as many of one's own answers of last quarter, by respondent; NaN for the new ones.

    People resemble themselves, so the yardstick is how much the others repeat: the arcsine of the root of the share is
    close to normal, with the mean of the middle half, and the spread that fits the median deviation but at least that
    of independent answers, 1 / (2 √items). A few who repeat everything move neither. NaN when fewer than
    `MIN_SEEN_TWICE` people are in both quarters.
    """
    asked = [item for item in items if item in before.columns]
    p = np.full(len(now), np.nan)
    place = pd.Index(before["respondent_id"]).get_indexer(pd.Index(now["respondent_id"]))
    twice = np.flatnonzero(place >= 0)
    if len(twice) < MIN_SEEN_TWICE or not asked:
        return p
    both = np.vstack([now[asked].to_numpy(float)[twice], before[asked].to_numpy(float)[place[twice]]])
    codes = as_codes(both)
    known = ~np.isnan(both[: len(twice)]) & ~np.isnan(both[len(twice) :])
    shared = shared_answers(codes, np.arange(len(twice)), len(twice) + np.arange(len(twice)))
    repeated = np.arcsin(np.sqrt(shared / np.maximum(known.sum(axis=1), 1)))
    middle = float(stats.trim_mean(repeated, _EACH_TAIL))
    spread = _NORMAL_PER_MAD * float(np.median(np.abs(repeated - middle)))
    spread = max(spread, 1 / (2 * np.sqrt(len(asked))))
    p[twice] = stats.norm.sf((repeated - middle) / spread)
    return p
