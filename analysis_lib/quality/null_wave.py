"""Waves of honest answers, simulated from the wave at hand: the yardstick for everything that looks too alike.

Within each group of alike people (county, township, village officials, say) a Gaussian copula keeps the distribution of
every question exactly and the correlations between them closely: normal scores with the correlations that, after
rounding to the answers that people really gave, come out as those of the data (NORTA; Cario and Nelson 1997). People
are independent of each other, which is what copying breaks.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import special, stats

from analysis_lib.quality.answers import Answers

_TUNING_ROUNDS = 4
_TUNING_PEOPLE = 4000
_SMALLEST_EIGENVALUE = 1e-6
MIN_CELL = 30  # a smaller group has too few people for correlations of its own and joins the rest


def honest_waves(answers: Answers, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Endless waves, each like ``answers.values`` in shape, groups and missing answers."""
    groups = _groups(answers.cell)
    factors = {label: _tuned(answers.values[rows], rng) for label, rows in groups.items()}
    while True:
        wave = np.full(answers.values.shape, np.nan)
        for label, rows in groups.items():
            wave[rows] = _drawn(answers.values[rows], factors[label], len(rows), rng)
        wave[np.isnan(answers.values)] = np.nan
        yield wave


def _groups(cell: np.ndarray) -> dict[int, np.ndarray]:
    """Rows by group; groups below `MIN_CELL` are pooled."""
    size = np.bincount(cell)
    label = np.where(size[cell] >= MIN_CELL, cell, -1)
    return {int(number): np.flatnonzero(label == number) for number in np.unique(label)}


def _tuned(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Factor of the normal correlations whose rounded draws correlate as the data do."""
    target = _score_correlation(values)
    normal = target.copy()
    for _ in range(_TUNING_ROUNDS):
        drawn = _drawn(values, _factor(normal), _TUNING_PEOPLE, rng)
        normal = np.clip(normal + target - _score_correlation(drawn), -0.995, 0.995)
        np.fill_diagonal(normal, 1.0)
    return _factor(normal)


def _drawn(values: np.ndarray, factor: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Answers at the quantiles of correlated normal scores: an item's answers are those that people gave."""
    share = special.ndtr(rng.standard_normal((size, len(factor))) @ factor.T)
    drawn = np.full(share.shape, np.nan)
    for item in range(values.shape[1]):
        given = np.sort(values[~np.isnan(values[:, item]), item])
        if len(given):
            drawn[:, item] = given[np.minimum((share[:, item] * len(given)).astype(int), len(given) - 1)]
    return drawn


def _score_correlation(values: np.ndarray) -> np.ndarray:
    """Correlations of normal scores; a missing answer scores zero, an item without variation correlates with none."""
    known = ~np.isnan(values)
    ranks = stats.rankdata(values, axis=0, nan_policy="omit")
    scores = np.where(known, special.ndtri(np.nan_to_num(ranks, nan=0.5) / (known.sum(axis=0) + 1)), 0.0)
    scores -= scores.sum(axis=0) / np.maximum(known.sum(axis=0), 1) * known
    size = np.sqrt((scores**2).sum(axis=0))
    size[size == 0] = 1.0
    correlation = scores.T @ scores / np.outer(size, size)
    correlation = np.clip(correlation, -0.995, 0.995)
    np.fill_diagonal(correlation, 1.0)
    return correlation


def _factor(correlation: np.ndarray) -> np.ndarray:
    """F with F Fᵀ the nearest correlation matrix: negative eigenvalues are cut off, the diagonal is made one again."""
    value, vector = np.linalg.eigh(correlation)
    factor = vector * np.sqrt(np.maximum(value, _SMALLEST_EIGENVALUE))
    return factor / np.sqrt((factor**2).sum(axis=1, keepdims=True))
