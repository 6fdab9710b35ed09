"""C10 over releases: cells whose people are nearly those of a cell that readers have, whatever either is called.

Of two means of the same measure over nearly the same people, a reader works out what the few said who are in one of them
only. Cells come to overlap that much by a new kind of category, a place that moved, a year of which one quarter is
nearly empty. Whether they do is told exactly, from the rosters of `members`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd
from scipy import sparse

from analysis_lib.disclosure import policy
from analysis_lib.disclosure.members import DESCRIBED, TAG, Roster
from analysis_lib.study import NATION, Study
from analysis_lib.tables.contracts import ESTIMATE_KEY

LEVELS = ("mean", "share", "ratio", "total")  # statistics of people, not of models or changes

Rosters = Mapping[str, Roster]  # by quarter


def levels_of(rows: pd.DataFrame) -> pd.DataFrame:
    """The cells among rows that are shown anew and stand for the people of a place and period."""
    is_level = rows["statistic"].isin(LEVELS) & rows["value"].notna() & ~policy.is_change(rows)
    is_level &= ~rows["mark"].str.endswith(policy.KEPT)
    is_level &= rows["period"].map(lambda period: bool(policy.quarters_in(str(period)))).astype(bool)
    return rows.loc[is_level, ESTIMATE_KEY]


def too_near(
    now: pd.DataFrame,
    rosters: Rosters,
    published: Sequence[tuple[pd.DataFrame, Rosters]],
    *,
    study: Study,
) -> set[tuple[str, ...]]:
    """Cells (`ESTIMATE_KEY`) that tell of fewer people than the least, by what they add to a cell that readers have, or get now.

    Parameters
    ----------
    now : pandas.DataFrame
        Cells that would be published, as `levels_of`.
    rosters : mapping of str to Roster
        Quarter → the people that they are of.
    published : sequence of (pandas.DataFrame, mapping)
        Cells that readers have, by release, and the people that those were of.
    study : Study
        With the least number of people, `Disclosure.min_respondents`.

    Notes
    -----
    A cell of exactly the people of one that readers have tells nothing new of anybody. That a cell is near its own past is
    the business of C11 (`over_releases`). Parts of a whole within a release
    are the business of `linked`. Of two new cells that are too near each other, the one of fewer people is named.
    """
    limit = study.config.disclosure.min_respondents
    found: set[tuple[str, ...]] = set()
    for group in _alike(now, rosters, published, study):
        shown = group.measures_of
        for cell, other in group.near(limit):
            if group.places[cell] == group.places[other]:
                continue
            measures = shown[cell] & shown[other]
            for same in group.same_as(cell):
                measures = measures - shown[same]  # readers have it already
            if other < group.n_now:
                is_smaller = (group.size[cell], cell) < (group.size[other], other)
                if group.is_part(cell, other) or group.is_part(other, cell) or not is_smaller:
                    continue
                for same in group.same_as(other):
                    measures = measures - shown[same]
            found |= {(*measure, *group.places[cell]) for measure in measures}
    return found


@dataclass
class _Group:
    """Cells of measures that describe the same people, those of now first."""

    study: Study
    n_now: int
    places: list[tuple[str, ...]]
    measures_of: list[frozenset[tuple[str, str]]]
    matrix: sparse.csc_array  # people of quarters × cells
    tags: np.ndarray  # of people of quarters
    _same: dict[int, list[int]] = field(default_factory=dict)

    @cached_property
    def size(self) -> np.ndarray:
        """People of quarters in each cell."""
        return np.diff(self.matrix.indptr)

    @cached_property
    def _apart(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Pairs of a cell of now and any other that overlap, and how many people of quarters are in one of them only."""
        overlap = (self.matrix[:, : self.n_now].T @ self.matrix).tocoo()
        first, second = overlap.row, overlap.col
        return first, second, self.size[first] + self.size[second] - 2 * overlap.data.astype(np.int64)

    def same_as(self, cell: int) -> list[int]:
        """Cells of readers of the very same people."""
        if not self._same:
            first, second, apart = self._apart
            self._same = {place: [] for place in range(self.n_now)}
            for one, other in zip(
                *(each[(apart == 0) & (second >= self.n_now)] for each in (first, second)), strict=True
            ):
                self._same[int(one)].append(int(other))
        return self._same[cell]

    def near(self, limit: int) -> Iterator[tuple[int, int]]:
        """Cells of now with others from which fewer people tell them than the limit, but somebody does."""
        longest = max((len(policy.quarters_in(place[-1])) for place in self.places), default=1)
        first, second, apart = self._apart
        for cell, other in zip(
            *(each[(apart > 0) & (apart < limit * longest)] for each in (first, second)), strict=True
        ):
            mine, theirs = (self._people(int(each)) for each in (cell, other))
            if len(np.unique(self.tags[np.setxor1d(mine, theirs, assume_unique=True)])) < limit:
                yield int(cell), int(other)

    def _people(self, cell: int) -> np.ndarray:
        return self.matrix.indices[self.matrix.indptr[cell] : self.matrix.indptr[cell + 1]]

    def is_part(self, cell: int, other: int) -> bool:
        """Whether one cell is by its name a part of another, as a county is of its province and a quarter of its year."""
        (region, by, category, period), (whole, by_whole, category_whole, period_whole) = (
            self.places[cell],
            self.places[other],
        )
        return (
            whole in (NATION, region, *self.study.ancestors(region))
            and (by_whole, category_whole) in (("", ""), (by, category))
            and {*policy.quarters_in(period)} <= {*policy.quarters_in(period_whole)}
        )


def _alike(
    now: pd.DataFrame, rosters: Rosters, published: Sequence[tuple[pd.DataFrame, Rosters]], study: Study
) -> Iterator[_Group]:
    sources = [(now, rosters), *published]
    blocks = {id(roster): (quarter, roster) for _, each in sources for quarter, roster in each.items()}
    people = _People({key: _Block(roster.rows, study) for key, (_, roster) in blocks.items()}, blocks)
    known = frozenset.intersection(*(roster.measures for _, roster in blocks.values())) if blocks else frozenset()
    groups: dict[tuple, list[str]] = {}
    for measure in sorted(known & {*now["measure"]}):
        groups.setdefault(tuple(block.describes(measure) for block in people.blocks.values()), []).append(measure)
    for measures in groups.values():
        cells: dict[tuple, set[tuple[str, str]]] = {}
        n_now = 0
        for source, (frame, by_quarter) in enumerate(sources):
            of_group = frame[frame["measure"].isin(measures)]
            for measure, statistic, *place in of_group.itertuples(index=False, name=None):
                quarters = policy.quarters_in(place[-1])
                if not all(quarter in by_quarter for quarter in quarters):
                    continue
                # The same place of the same states is the same cell, whatever release shows it.
                key = (source > 0, *place, *(id(by_quarter[quarter]) for quarter in quarters))
                cells.setdefault(key, set()).add((measure, statistic))
            n_now = n_now or len(cells)
            if not n_now:
                break
        if n_now:
            columns = [people.of(measures[0], key[1:5], key[5:]) for key in cells]
            pointer = np.cumsum([0, *map(len, columns)])
            matrix = sparse.csc_array(
                (np.ones(pointer[-1]), np.concatenate(columns), pointer), shape=(len(people.tags), len(columns))
            )
            matrix.sort_indices()
            shown = [frozenset(each) for each in cells.values()]
            yield _Group(study, n_now, [key[1:5] for key in cells], shown, matrix, people.tags)


class _Block:
    """The people of a quarter in a state, and where each place's are."""

    def __init__(self, rows: pd.DataFrame, study: Study) -> None:
        self.rows, self._study = rows, study
        self._positions: dict[tuple[str, str], dict[tuple[str, ...], np.ndarray]] = {}
        self._described: dict[str, np.ndarray] = {}

    def describes(self, measure: str) -> bytes:
        """Whom a measure describes, as bytes to be compared."""
        return self.described(measure).tobytes()

    def described(self, measure: str) -> np.ndarray:
        """Whom a measure describes."""
        if measure not in self._described:
            sets = {each: measure in each for each in {*self.rows[DESCRIBED]}}
            self._described[measure] = self.rows[DESCRIBED].map(sets).to_numpy(bool)
        return self._described[measure]

    def of(self, measure: str, region: str, by: str, category: str) -> np.ndarray:
        """Positions of the people of a place whom a measure describes."""
        level = "" if region == NATION else self._study.region_changes.level(region)
        columns = [name for name in (level, by) if name]
        if not {*columns} <= {*self.rows.columns}:
            return np.array([], dtype=np.int64)
        if (level, by) not in self._positions:
            found = self.rows.groupby(columns).indices if columns else {(): range(len(self.rows))}
            self._positions[level, by] = {_tuple(key): np.asarray(at) for key, at in found.items()}
        wanted = tuple(name for name, column in ((region, level), (category, by)) if column)
        at = self._positions[level, by].get(wanted, np.array([], dtype=np.int64))
        return at[self.described(measure)[at]]


def _tuple(key: object) -> tuple:
    return key if isinstance(key, tuple) else (key,)


class _People:
    """Everybody of every quarter, numbered over all states of it."""

    def __init__(self, blocks: dict[int, _Block], of: Mapping[int, tuple[str, Roster]]) -> None:
        self.blocks = blocks
        frames = [
            pd.DataFrame({"quarter": quarter, TAG: roster.rows[TAG].to_numpy(np.uint64)})
            for quarter, roster in of.values()
        ]
        both = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame({"quarter": [], TAG: []})
        numbers = both.groupby(["quarter", TAG], sort=False).ngroup().to_numpy()
        ends = np.cumsum([len(each) for each in frames])
        self._numbers = dict(zip(of, np.split(numbers, ends[:-1]), strict=True)) if frames else {}
        self.tags = both[TAG][~both.duplicated()].to_numpy()

    def of(self, measure: str, place: tuple[str, ...], states: tuple[int, ...]) -> np.ndarray:
        """Numbers of the people of a place whom a measure describes, in these states of its quarters."""
        region, by, category, _ = place
        found = [self._numbers[each][self.blocks[each].of(measure, region, by, category)] for each in states]
        return np.sort(np.concatenate(found))
