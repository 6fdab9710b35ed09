"""Near-duplicate respondents and copied diaries, held against what honest people share by chance in this wave.

There is no fixed share of equal answers from which two returns count as copied: how alike honest officials are depends
on the number of questions, their answers and how alike their work is. So the most alike other return of each
respondent is compared with the most alike one in simulated honest waves of the same size (`null_wave`), and the most
alike colleague with the most alike one in units formed at random from officials of the same group.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd

from analysis_lib.quality.answers import Answers, as_codes
from analysis_lib.quality.matching import (
    best_matches,
    best_matches_of,
    colleagues,
    shared_answers,
    shuffled_units,
    upper_p,
    upper_p_by_size,
)
from analysis_lib.quality.null_wave import honest_waves
from analysis_lib.time_use.activities import Classification

SLOT_MINUTES = 10
SLOTS = 1440 // SLOT_MINUTES
NULL_PER_ALARM = 20  # simulated honest respondents beyond the cut: its error is then about a fifth of it
_NULL_PAIRS = 5_000_000  # pairs looked at in shuffled units
_FEWEST_SHUFFLES, _MOST_SHUFFLES = 5, 2000


def stranger_p(answers: Answers, *, false_alarm: float, rng: np.random.Generator) -> np.ndarray:
    """Probability that an honest respondent has somebody of another unit as alike as each respondent has."""
    codes, n = as_codes(answers.values), len(answers.cell)
    wanted = math.ceil(NULL_PER_ALARM / false_alarm)
    probes_per_wave = min(n, wanted)
    null = [
        best_matches_of(as_codes(wave), rng.permutation(n)[:probes_per_wave])
        for wave in itertools.islice(honest_waves(answers, rng), math.ceil(wanted / max(probes_per_wave, 1)))
    ]
    return upper_p(best_matches(codes, answers.unit).astype(float), np.concatenate(null).astype(float))


def colleague_p(answers: Answers, *, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Probability of a colleague as alike, and of a whole unit as alike, as each respondent has; NaN without colleagues.

    Returns
    -------
    tuple of numpy.ndarray
        By respondent: of the most alike colleague, and of the mean over all pairs of the unit (too little variance).
    """
    codes = as_codes(answers.values)

    def alike(unit: np.ndarray, pairs: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        first, second = pairs
        shared = shared_answers(codes, first, second).astype(float)
        best = np.full(len(unit), np.nan)
        np.fmax.at(best, first, shared)
        np.fmax.at(best, second, shared)
        n_pairs = np.bincount(unit[first], minlength=unit.max() + 1)
        total = np.bincount(unit[first], shared, minlength=unit.max() + 1)
        return best, np.divide(total, n_pairs, out=np.full(len(total), np.nan), where=n_pairs > 0)

    size = np.bincount(answers.unit)
    n_pairs = int((size * (size - 1) // 2).sum())
    best, mean = alike(answers.unit, colleagues(answers.unit))
    if not n_pairs:
        return best, best
    null_best, null_mean, null_size = [], [], []
    for unit in itertools.islice(shuffled_units(answers.unit, answers.cell, rng), n_shuffles(n_pairs)):
        found = alike(unit, strangers_only(colleagues(unit), answers.unit))
        null_best.append(found[0])
        null_mean.append(found[1])
        null_size.append(size[unit])
    best_p = upper_p_by_size(best, np.concatenate(null_best), size[answers.unit], np.concatenate(null_size))
    mean_p = upper_p_by_size(mean, np.concatenate(null_mean), size, np.tile(size, len(null_mean)))
    return best_p, mean_p[answers.unit]


def strangers_only(pairs: tuple[np.ndarray, np.ndarray], unit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs without those who are colleagues in truth: copies within a unit must not pass for chance."""
    first, second = pairs
    apart = unit[first] != unit[second]
    return first[apart], second[apart]


def n_shuffles(n_pairs: int) -> int:
    """How often units are formed at random: often where they are few, seldom where they are many."""
    return min(_MOST_SHUFFLES, max(_FEWEST_SHUFFLES, _NULL_PAIRS // max(n_pairs, 1)))


# -- diaries --------------------------------------------------------------------------------------------


def day_slots(episodes: pd.DataFrame, days: pd.DataFrame, classification: Classification) -> np.ndarray:
    """Main activity in each ten minutes of each diary day, shape (days, 144).

    Parameters
    ----------
    days : pandas.DataFrame
        respondent_id and diary_date of the days, in the order wanted.

    Returns
    -------
    numpy.ndarray
        Place of the activity in ``activities.csv`` from 1 on; 0 where the time is unknown. The same numbers in every
        quarter.
    """
    key = ["respondent_id", "diary_date"]
    day = pd.MultiIndex.from_frame(days[key]).get_indexer(pd.MultiIndex.from_frame(episodes[key]))
    told = {code: classification.listed(str(code)) for code in episodes["activity"].unique()}
    code = classification.activities.index.get_indexer(pd.Index(episodes["activity"].map(told))) + 1
    # A slot belongs to the episode that holds its middle.
    first, last = (
        -((SLOT_MINUTES // 2 - episodes[edge].to_numpy()) // SLOT_MINUTES) for edge in ("start_minute", "end_minute")
    )
    length = np.where(day >= 0, last - first, 0)
    slot = np.repeat(first, length) + np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length)
    slots = np.zeros((len(days), SLOTS), dtype=np.uint16)
    slots[np.repeat(day, length), slot] = np.repeat(code, length)
    return slots


def work_codes(classification: Classification) -> np.ndarray:
    """Of each number in `day_slots`, whether it is work: of any kind but personal."""
    return np.array([False, *(classification.activities["kind"] != "personal")])


def same_work(slots: np.ndarray, is_work: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Share of the slots in which either works that both spend on the same work; NaN where neither works."""
    mine, theirs = slots[first], slots[second]
    either = is_work[mine] | is_work[theirs]
    both = (mine == theirs) & is_work[mine]
    total = either.sum(axis=1)
    return np.divide(both.sum(axis=1), total, out=np.full(len(first), np.nan), where=total > 0)


def copied_day_p(
    slots: np.ndarray, is_work: np.ndarray, unit: np.ndarray, cell: np.ndarray, *, rng: np.random.Generator
) -> np.ndarray:
    """Probability of a colleague's diary day as alike as the most alike one, among days of the same type.

    Parameters
    ----------
    unit : numpy.ndarray
        Work unit and day type of each day in one number.
    cell : numpy.ndarray
        Group of alike people and day type of each day in one number: days change places within it.
    """

    def most_alike(pairs: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        best = np.full(len(unit), np.nan)
        first, second = pairs
        for start in range(0, len(first), 100_000):  # pairs of days at a time: 144 slots each
            here = slice(start, start + 100_000)
            same = same_work(slots, is_work, first[here], second[here])
            np.fmax.at(best, first[here], same)
            np.fmax.at(best, second[here], same)
        return best

    unit = np.unique(unit, return_inverse=True)[1]
    size = np.bincount(unit)
    n_pairs = int((size * (size - 1) // 2).sum())
    observed = most_alike(colleagues(unit))
    if not n_pairs:
        return observed
    shuffles = [
        (most_alike(strangers_only(colleagues(labels), unit)), size[labels])
        for labels in itertools.islice(shuffled_units(unit, cell, rng), n_shuffles(20 * n_pairs))
    ]
    null, null_size = (np.concatenate(part) for part in zip(*shuffles, strict=True))
    return upper_p_by_size(observed, null, size[unit], null_size)


def is_identical(slots: np.ndarray, *, min_stretches: int, also: np.ndarray | None = None) -> np.ndarray:
    """Whether a day equals another day slot by slot: of ``also``, or of the same table.

    Two days off are alike without any copying, so a day with fewer than ``min_stretches`` different stretches is never
    called identical.
    """
    eventful = 1 + (slots[:, 1:] != slots[:, :-1]).sum(axis=1) >= min_stretches
    mine = _as_keys(slots)
    if also is not None:
        return np.isin(mine, _as_keys(also)) & eventful
    _, of_key, times = np.unique(mine, return_inverse=True, return_counts=True)
    return (times[of_key] > 1) & eventful


def _as_keys(slots: np.ndarray) -> np.ndarray:
    rows = np.ascontiguousarray(slots)
    return rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).ravel()
