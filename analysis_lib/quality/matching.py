"""How many answers two returns share, over all pairs at once; and work units formed again at random."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

_ROWS, _COLUMNS = 64, 4096  # of a block of pairs: its counts fit the processor's cache


def best_matches(codes: list[np.ndarray], unit: np.ndarray) -> np.ndarray:
    """The most answers that each respondent shares with anybody of another unit.

    Parameters
    ----------
    codes : list of numpy.ndarray
        Codes by item as `answers.as_codes` makes them; 0 (no answer) matches nothing.
    unit : numpy.ndarray
        Work unit of each respondent; colleagues are compared elsewhere.

    Notes
    -----
    Every pair is looked at once, in blocks: n²/2 pairs, a byte comparison per item. Nothing is sampled or hashed.
    """
    order = np.argsort(unit, kind="stable")
    unit = unit[order]
    left = [item[order] for item in codes]
    right = [_never_missing(item) for item in left]
    best = np.zeros(len(unit), dtype=np.uint8)
    for start in range(0, len(unit), _ROWS):
        rows = slice(start, min(start + _ROWS, len(unit)))
        for first in range(start, len(unit), _COLUMNS):
            columns = slice(first, min(first + _COLUMNS, len(unit)))
            shared = _shared(left, right, rows, columns)
            if unit[rows][-1] >= unit[columns][0]:  # sorted: only here can colleagues meet
                shared[unit[rows][:, None] == unit[None, columns]] = 0
            np.maximum(best[rows], shared.max(axis=1), out=best[rows])
            np.maximum(best[columns], shared.max(axis=0), out=best[columns])
    found = np.empty_like(best)
    found[order] = best
    return found


def best_matches_of(codes: list[np.ndarray], probes: np.ndarray) -> np.ndarray:
    """The most answers that each of a few respondents (positions ``probes``) shares with anybody else."""
    right = [_never_missing(item) for item in codes]
    left = [item[probes] for item in codes]
    best = np.zeros(len(probes), dtype=np.uint8)
    for start in range(0, len(probes), _ROWS):
        rows = slice(start, min(start + _ROWS, len(probes)))
        for first in range(0, len(codes[0]), _COLUMNS):
            columns = slice(first, min(first + _COLUMNS, len(codes[0])))
            shared = _shared(left, right, rows, columns)
            own = probes[rows] - first
            here = (own >= 0) & (own < shared.shape[1])
            shared[np.flatnonzero(here), own[here]] = 0
            np.maximum(best[rows], shared.max(axis=1), out=best[rows])
    return best


def shared_answers(codes: list[np.ndarray], first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """How many answers the respondents of each pair share."""
    shared = np.zeros(len(first), dtype=np.int64)
    for item in codes:
        shared += (item[first] == item[second]) & (item[first] != 0)
    return shared


def _never_missing(item: np.ndarray) -> np.ndarray:
    return np.where(item == 0, np.iinfo(item.dtype).max, item).astype(item.dtype)


def _shared(left: list[np.ndarray], right: list[np.ndarray], rows: slice, columns: slice) -> np.ndarray:
    size = (rows.stop - rows.start, columns.stop - columns.start)
    shared, same = np.zeros(size, dtype=np.uint8), np.empty(size, dtype=bool)
    for mine, theirs in zip(left, right, strict=True):
        np.equal(mine[rows, None], theirs[None, columns], out=same)
        np.add(shared, same.view(np.uint8), out=shared)
    return shared


# -- pairs of colleagues --------------------------------------------------------------------------------


def colleagues(unit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every pair of people of one unit, as two arrays of positions."""
    order = np.argsort(unit, kind="stable")
    size = np.bincount(np.unique(unit, return_inverse=True)[1])
    start = np.cumsum(size) - size
    first, second = [], []
    for members in np.unique(size[size > 1]):
        low, high = np.triu_indices(members, 1)
        base = start[size == members][:, None]
        first.append((base + low).ravel())
        second.append((base + high).ravel())
    if not first:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    return order[np.concatenate(first)], order[np.concatenate(second)]


def shuffled_units(unit: np.ndarray, cell: np.ndarray, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Endless units at random: people change places with people of their own group, sizes and mixtures stay."""
    by_cell = np.argsort(cell, kind="stable")
    while True:
        # Sorting random keys within cells permutes within them: both sides list the cells in the same order.
        permuted = np.lexsort((rng.random(len(unit)), cell))
        shuffled = np.empty_like(unit)
        shuffled[by_cell] = unit[permuted]
        yield shuffled


def upper_p(observed: np.ndarray, null: np.ndarray) -> np.ndarray:
    """Share of a null distribution at or above each value, the value itself counted; NaN for an unknown value.

    >>> upper_p(np.array([5.0, 0.0]), np.array([1.0, 2.0, 3.0])).tolist()
    [0.25, 1.0]
    """
    known = np.sort(null[~np.isnan(null)])
    above = len(known) - np.searchsorted(known, observed, side="left")
    return np.where(np.isnan(observed), np.nan, (1 + above) / (1 + len(known)))


def upper_p_by_size(observed: np.ndarray, null: np.ndarray, size: np.ndarray, null_size: np.ndarray) -> np.ndarray:
    """`upper_p` within units of the same size: the most alike of many pairs is more alike than of few."""
    p = np.full(len(observed), np.nan)
    for number in np.unique(size):
        here = size == number
        p[here] = upper_p(observed[here], null[null_size == number])
    return p
