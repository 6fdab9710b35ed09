"""The usual indices of careless answers (Curran 2016), each held against honest answers simulated for the wave.

===============  ==========================================================  ==========
index            what it is                                                  suspicious
===============  ==========================================================  ==========
longstring       longest run of equal answers, added over scale blocks       high
variability      standard deviation of a person's scale answers (IRV)        low
consistency      even against odd items, correlated over blocks of questions low
distance         Mahalanobis distance of the scale answers                   high
===============  ==========================================================  ==========

Published cuts fit the questionnaires that they were found on; the simulated wave has the questions, answers and
correlations of this one. Someone who left out half of the items of an index is not judged by it.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd

from analysis_lib.quality.answers import BLOCK_ITEMS, Answers
from analysis_lib.quality.duplicates import NULL_PER_ALARM
from analysis_lib.quality.matching import upper_p
from analysis_lib.quality.null_wave import honest_waves

ANSWERED_SHARE = 0.5
MIN_BLOCKS = 3  # a correlation over fewer says nothing
_LEAST_SPREAD = 1e-9


def careless_p(answers: Answers, *, false_alarm: float, rng: np.random.Generator) -> pd.DataFrame:
    """Probability that an honest respondent looks as careless, by index; NaN where an index cannot be had."""
    observed = indices(answers.values, answers)
    n = len(answers.cell)
    waves = math.ceil(NULL_PER_ALARM / false_alarm / max(n, 1))
    null = [indices(wave, answers) for wave in itertools.islice(honest_waves(answers, rng), waves)]
    return pd.DataFrame(
        {name: upper_p(value, np.concatenate([wave[name] for wave in null])) for name, value in observed.items()}
    )


def indices(values: np.ndarray, answers: Answers) -> dict[str, np.ndarray]:
    """Every index, turned so that high is suspicious; ``answers`` says which items stand together."""
    scales = list(answers.scales.values())
    items = [item for block in scales for item in block]
    nothing = np.full(len(values), np.nan)
    if not items:
        return dict.fromkeys(["longstring", "variability", "consistency", "distance"], nothing)
    answered = (~np.isnan(values[:, items])).mean(axis=1) >= ANSWERED_SHARE
    found = {
        "longstring": sum((longstring(values[:, block]) for block in scales), start=np.zeros(len(values))),
        "variability": -np.sqrt(np.mean([_spread(values[:, block]) ** 2 for block in scales], axis=0)),
        "consistency": -even_odd(values, list(answers.blocks.values())),
        "distance": mahalanobis(values[:, items], answers.values[:, items]),
    }
    return {name: np.where(answered, value, np.nan) for name, value in found.items()}


def longstring(block: np.ndarray) -> np.ndarray:
    """Longest run of equal answers in each row; a missing answer ends a run.

    >>> longstring(np.array([[3.0, 3, 3, 2], [1, 2, np.nan, 2]])).tolist()
    [3.0, 1.0]
    """
    run = np.where(np.isnan(block[:, 0]), 0.0, 1.0)
    longest = run.copy()
    for before, now in itertools.pairwise(block.T):
        run = np.where(np.isnan(now), 0.0, np.where(now == before, run + 1, 1.0))
        longest = np.maximum(longest, run)
    return longest


def _spread(block: np.ndarray) -> np.ndarray:
    """Standard deviation (n − 1) of the answers in each row; zero for fewer than two."""
    known = ~np.isnan(block)
    n = known.sum(axis=1)
    mean = np.where(known, block, 0.0).sum(axis=1) / np.maximum(n, 1)
    squares = np.where(known, (block - mean[:, None]) ** 2, 0.0).sum(axis=1)
    return np.sqrt(squares / np.maximum(n - 1, 1))


def even_odd(values: np.ndarray, blocks: list[list[int]]) -> np.ndarray:
    """Correlation, over blocks, of each person's mean of the even items with that of the odd ones; items standardised.

    NaN with fewer than `MIN_BLOCKS` blocks of `BLOCK_ITEMS` items that have an answer in both halves.
    """
    known = ~np.isnan(values)
    n = np.maximum(known.sum(axis=0), 1)
    centred = np.where(known, values - np.where(known, values, 0.0).sum(axis=0) / n, 0.0)
    scale = np.sqrt((centred**2).sum(axis=0) / n)
    z = centred / np.where(scale > 0, scale, 1.0)
    halves = []
    for start in (0, 1):
        means = []
        for block in (block for block in blocks if len(block) >= BLOCK_ITEMS):
            half = block[start::2]
            count = known[:, half].sum(axis=1)
            means.append(np.where(count > 0, z[:, half].sum(axis=1) / np.maximum(count, 1), np.nan))
        halves.append(np.array(means).reshape(-1, len(values)))
    both = ~np.isnan(halves[0]) & ~np.isnan(halves[1])
    n_blocks = both.sum(axis=0)
    even, odd = (np.where(both, half, 0.0) for half in halves)
    even, odd = (np.where(both, half - half.sum(axis=0) / np.maximum(n_blocks, 1), 0.0) for half in (even, odd))
    size = np.sqrt((even**2).sum(axis=0) * (odd**2).sum(axis=0))
    judged = (n_blocks >= MIN_BLOCKS) & (size > _LEAST_SPREAD)
    return np.divide((even * odd).sum(axis=0), size, out=np.full(len(values), np.nan), where=judged)


def mahalanobis(values: np.ndarray, wave: np.ndarray) -> np.ndarray:
    """Squared distance of each row from the mean of ``wave`` in units of its covariance; a gap stands at the mean."""
    known = ~np.isnan(wave)
    mean = np.where(known, wave, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    centred_wave = np.where(known, wave - mean, 0.0)
    precision = np.linalg.pinv(centred_wave.T @ centred_wave / max(len(wave) - 1, 1))
    centred = np.where(np.isnan(values), 0.0, values - mean)
    return ((centred @ precision) * centred).sum(axis=1)
