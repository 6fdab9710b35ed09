"""C09 and C10: what all the tables of a release tell together, with arithmetic, about a cell that is withheld.

Tables are linked: provinces add up to the nation, counties to their province, levels of office to everybody, quarters
to the year, and a change is a difference of two quarters, whatever the table, page or language in which each stands. A
reader who knows how many people each cell stands for can write all of this as linear equations. For a withheld count,
or mean, the smallest and the largest value that fit everything published are found by linear programming (HiGHS); a
cell is safe when they lie far enough apart.

    parts of a whole      Σ W_part m_part + W_rest m_rest = W_whole m_whole         Σ n_part + n_rest = n_whole
    change                m_later − m_earlier = change

``W`` (Σ weight) is taken as known to the reader, which few readers can know. The rest are people of the whole in none
of its published parts; where they are few, they are withheld like any small cell: this is C10 within a release.

Where a cell is not safe, the smallest published part beside it is withheld too, in every table that shows it.

References
----------
Hundepool et al. 2012, Statistical Disclosure Control, ch. 4: linked tables, the attacker's problem.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.optimize import linprog
from scipy.sparse.csgraph import connected_components

from analysis_lib.disclosure import policy
from analysis_lib.disclosure.over_releases import HIDDEN, Readers
from analysis_lib.disclosure.protect import TEXTS, ProtectedTable
from analysis_lib.errors import PublicationBlocked
from analysis_lib.study import NATION, Study
from analysis_lib.tables.contracts import ESTIMATE_KEY

Results = dict[str, dict[str, ProtectedTable]]

HIGHEST = {"hours_week": 100.0, "hours_day": 24.0, "share": 1.0}  # what nobody's mean exceeds, as any reader knows
HOURS_OF_A_WEEK = 168.0  # the same of measures that are longer than any working week
SIGNED_UNITS = ("score", "coefficient")  # of other units, no mean is below zero
MAX_ROUNDS = 50
SAME_RATIO = 1e-9  # relative: ratios of coefficients no further apart than this are one
UNBOUNDED = 3  # status of a programme without an end
TOLERANCE = 1e-6  # relative: parts that add up to their whole no better than this are parts of something else
NOBODY = Readers()  # to whom something was told before
SYMMETRIC_UNITS = ("hours_week", "hours_day", "score")  # whose interval has the estimate in its middle


@dataclass(frozen=True)
class Narrow:
    """A withheld number that a reader can tell too well.

    Attributes
    ----------
    place : int
        Place of its cell among the cells; of a rest, that of the whole.
    kind : str
        count or mean.
    is_rest : bool
        Whether it is that of the people in none of the published parts.
    width, needed : float
        Between the smallest and the largest value that fit what is published, and what it should be at least.
    """

    place: int
    kind: str
    is_rest: bool
    width: float
    needed: float


def protect_together(
    results: Results,
    evidence: dict[str, pd.DataFrame],
    *,
    study: Study,
    earlier: Sequence[Results] = (),
    readers: Readers = NOBODY,
) -> Results:
    """Withhold, in all tables of a release, what is needed for no withheld cell to be told from the others.

    Parameters
    ----------
    results : dict
        Unit → table name → table.
    evidence : dict of str to pandas.DataFrame
        Unit → what its notebook handed over for this: `handover.read_evidence`.
    earlier : sequence of dict
        Results of releases that readers have, of other quarters.
    readers : Readers
        What readers have of these very cells, and which of them may not be told for that. A cell that readers had before
        stays as it was where another is withheld.

    Raises
    ------
    PublicationBlocked
        When withholding does not help; names table, cell and attained width.
    """
    cells = _Cells.of(results, evidence, study, earlier, readers)
    cells.hold(cells.places_of(readers.too_near))
    known: dict[bytes, float] = {}
    for _ in range(MAX_ROUNDS):
        more = {place for each in cells.narrow(known) for place in cells.companions(each)}
        if not more:
            break
        cells.hold(more)
    together = cells.applied(results)
    if together != results:  # audited as it stands, not as it was meant to be
        cells = _Cells.of(together, evidence, study, earlier, readers)
    _refuse_narrow(cells, known)
    return together


def audit(
    results: Results,
    evidence: dict[str, pd.DataFrame],
    *,
    study: Study,
    earlier: Sequence[Results] = (),
    readers: Readers = NOBODY,
) -> None:
    """Refuse a release whose tables together tell a withheld number too well; parameters as in `protect_together`.

    Raises
    ------
    PublicationBlocked
        Naming table, cell and attained width.
    """
    _refuse_narrow(_Cells.of(results, evidence, study, earlier, readers), {})


def _refuse_narrow(cells: _Cells, known: dict[bytes, float]) -> None:
    narrow = cells.narrow(known)
    if narrow:
        raise PublicationBlocked(
            "\n".join(cells.told(each) for each in narrow[:5]),
            where=cells.tables[narrow[0].place],
            fix="publish fewer or coarser groups: estimation.levels, estimation.categories in study.toml",
        )


def tells_more(older: Results, now: Results) -> bool:
    """Whether an older release shows a number that the one in force withholds for confidentiality."""
    withheld, shown = ({*_cells_with(each, mark)} for each, mark in ((now, True), (older, False)))
    return bool(withheld & shown)


def _cells_with(results: Results, is_withheld: bool) -> Iterator[tuple]:
    for tables in results.values():
        for each in tables.values():
            rows = each.table
            yield from _keys(rows[(rows["mark"] == policy.WITHHELD) if is_withheld else rows["value"].notna()])


# -- cells --------------------------------------------------------------------------------------------


@dataclass
class _Cells:
    """Every number of a release once, whatever the tables that show it, and the equations between them."""

    study: Study
    # Key; unit, value, ci_low, ci_high, n, mark; exact, weight, people, rule; is_ours; value_before, n_before, changed, of (how many).
    frame: pd.DataFrame
    tables: list[str]
    equations: list[_Equation] = field(default_factory=list)
    readers: Readers = NOBODY

    @classmethod
    def of(
        cls,
        results: Results,
        evidence: dict[str, pd.DataFrame],
        study: Study,
        earlier: Sequence[Results],
        readers: Readers,
    ) -> _Cells:
        columns = [*ESTIMATE_KEY, "unit", "value", "ci_low", "ci_high", "n", "mark"]
        shown = [
            table.table[columns].assign(table=name, source=unit, is_ours=is_ours)
            for each, is_ours in [(results, True), *((one, False) for one in earlier)]
            for unit, tables in each.items()
            for name, table in tables.items()
        ]
        behind = [rows.assign(source=unit) for unit, rows in evidence.items() if len(rows)]
        if not shown or not behind:
            return cls(study, pd.DataFrame(columns=[*columns, "is_withheld", "is_kept"]), [])
        frame = pd.concat(shown, ignore_index=True)
        facts = pd.concat(behind, ignore_index=True).rename(columns={"estimate": "exact", "n": "people"})
        frame = frame.merge(facts, on=[*ESTIMATE_KEY, "table", "source"], how="left")
        # One cell may stand in several tables: it is known from any that shows it, and withheld when any withholds it.
        withheld = {*_keys(frame[frame["mark"] == policy.WITHHELD])}
        order = frame.assign(
            has_none=frame["weight"].isna(), not_ours=~frame["is_ours"], has_no_rule=frame["rule"].isin(["", np.nan])
        )
        order = order.sort_values(["not_ours", "has_none", "has_no_rule"], kind="stable")
        cells = order.drop_duplicates(ESTIMATE_KEY).reset_index(drop=True)
        cells["is_withheld"] = _in(cells, withheld) & cells["is_ours"]
        cells["is_kept"] = cells["mark"].str.endswith(policy.KEPT) & cells["is_ours"]
        cells["rule"] = cells["rule"].mask(_in(cells, readers.too_near), "C10")
        before = [readers.numbers.get(key) for key in _keys(cells)]
        had = [each if each and each.is_shown else None for each in before]
        cells["changed"] = [each.changed if each else np.nan for each in had]
        cells["of"] = [each.people or np.nan if each else np.nan for each in had]
        for name in ("value", "n"):
            cells[f"{name}_before"] = [float(each.row[name]) if each else np.nan for each in had]
        found = cls(study, cells, cells["table"].tolist(), readers=readers)
        found.equations = list(_equations(cells, study))
        return found

    def places_of(self, keys: Collection[tuple]) -> list[int]:
        """Places of our own cells by their keys."""
        return self.frame.index[_in(self.frame, keys) & self.frame["is_ours"]].tolist() if keys else []

    def hold(self, places: Iterable[int]) -> None:
        """Tell further cells no more, or as readers have them where they had another number."""
        for place in places:
            self.frame.loc[place, "is_kept" if self._can_stay[place] else "is_withheld"] = True

    @property
    def _can_stay(self) -> np.ndarray:
        return ((self.frame["changed"] > 0) & ~self.frame["is_withheld"].astype(bool)).to_numpy(bool)

    def applied(self, results: Results) -> Results:
        """The tables without the cells that are withheld, wherever they stand."""
        if self.frame.empty:
            return results
        withheld, kept = ({*_keys(self.frame[self.frame[name].astype(bool)])} for name in ("is_withheld", "is_kept"))
        return {
            unit: {name: self._held(table, withheld, kept) for name, table in tables.items()}
            for unit, tables in results.items()
        }

    def _held(self, table: ProtectedTable, withheld: set[tuple], kept: set[tuple]) -> ProtectedTable:
        rows = table.table
        stays = _in(rows, kept) & ~rows["mark"].str.endswith(policy.KEPT) & ~rows["mark"].isin(HIDDEN)
        if is_of_model := not set(TEXTS).isdisjoint(rows.columns):  # what readers have of the cell is another number
            withheld = withheld | {*_keys(rows[stays])}
        table = table.without(_in(rows, withheld))
        if is_of_model or not stays.any():
            return table
        return table.kept(
            pd.DataFrame([self.readers.numbers[key].row for key in _keys(rows[stays])], index=rows.index[stays])
        )

    def told(self, narrow: Narrow) -> str:
        """A too narrow cell in words."""
        key = self.frame.loc[narrow.place, ESTIMATE_KEY]
        name = ", ".join(str(each) for each in key if each)
        rest = " (those in none of its parts)" if narrow.is_rest else ""
        return (
            f"{self.tables[narrow.place]}: {name}{rest}: a withheld {narrow.kind} is known within {narrow.width:.3g}, "
            f"and {narrow.needed:.3g} is the least"
        )

    # -- the audit --------------------------------------------------------------------------------

    def narrow(self, known: dict[bytes, float]) -> list[Narrow]:
        """Withheld counts and means that lie within too little; ``known`` remembers what was found of a system."""
        if not self.equations:
            return []
        return [
            found
            for kind in ("count", "mean")
            for system in _systems(self, kind, self._hidden)
            for found in system.narrow(known)
        ]

    def companions(self, narrow: Narrow) -> list[int]:
        """The smallest part still shown beside it, or where none is left, beside the nearest of those withheld with it."""
        seen: set[int] = set()
        reached = {narrow.place}
        while reached:
            found = self._beside(reached, narrow)
            if found:
                return found
            seen |= reached
            hidden = self._hidden
            linked = [each for each in self.equations if each.members & reached]
            reached = {place for each in linked for place in each.members if hidden[place]} - seen
        return []

    def _beside(self, places: set[int], narrow: Narrow) -> list[int]:
        """The smallest part shown in each equation where one of these is alone; elsewhere only if it is alone nowhere."""
        frame, hidden = self.frame, self._hidden
        is_shown = ~hidden & frame["is_ours"].to_numpy(bool) & (frame["changed"] != 0).to_numpy()  # else it is known
        is_shown &= (frame["region"] + frame["by"] != NATION).to_numpy() | self._can_stay
        people = frame["people"].fillna(0).to_numpy()
        alone: list[int] = []
        beside: list[int] = []
        for equation in self.equations:
            is_rest = narrow.is_rest and equation.whole == narrow.place
            members = equation.members & places
            if (narrow.is_rest and places == {narrow.place} and not is_rest) or not members:
                continue
            if equation.is_change and (narrow.kind == "count" or hidden[equation.whole]):
                continue
            # A change that is withheld leaves both of its quarters.
            parts = [] if equation.is_change else equation.parts
            others = [place for place in parts if is_shown[place] and place not in members]
            if not others and is_shown[equation.whole] and equation.whole not in members:
                others = [equation.whole]
            if others:
                unknown = equation.rest_people > 0 or sum(hidden[each] for each in equation.members) > 1
                (beside if unknown and not is_rest else alone).append(min(others, key=lambda each: people[each]))
        return alone or beside

    @property
    def _hidden(self) -> np.ndarray:
        """Cells whose number of now readers do not get."""
        return (self.frame["is_withheld"] | self.frame["is_kept"] | self.frame["value"].isna()).to_numpy(bool)


def _keys(table: pd.DataFrame) -> Iterator[tuple]:
    return table[ESTIMATE_KEY].itertuples(index=False, name=None)


def _in(table: pd.DataFrame, keys: Collection[tuple]) -> pd.Series:
    return pd.Series([key in keys for key in _keys(table)], index=table.index, dtype=bool)


# -- equations ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Equation:
    """Parts that add up to a whole, or a change (the whole) that is its first part less its second."""

    whole: int
    parts: list[int]
    is_change: bool = False
    rest_weight: float = 0.0
    rest_people: float = 0.0

    @property
    def members(self) -> set[int]:
        return {self.whole, *self.parts}


def _equations(cells: pd.DataFrame, study: Study) -> Iterable[_Equation]:
    """Every way in which cells of a measure add up."""
    parts: dict[tuple, list[int]] = {}
    places = {key: place for place, key in enumerate(_keys(cells))}
    parents = study.regions["parent"].replace("", NATION).to_dict()
    pooled = {
        period: policy.quarters_in(period)
        for period in cells["period"].unique()
        if policy.POOLED_DASH in period and policy.CHANGE_ARROW not in period
    }
    has_weight = ((cells["weight"] > 0) & cells["is_ours"]).to_numpy()  # a silent region weighs nothing
    for (measure, statistic, region, by, category, period), place in places.items():
        if not has_weight[place]:
            continue
        above = parents.get(region)
        while above is not None:
            whole = places.get((measure, statistic, above, by, category, period))
            if whole is not None and has_weight[whole]:
                parts.setdefault((whole, "region"), []).append(place)
                break
            above = parents.get(above)
        if by:
            whole = places.get((measure, statistic, region, "", "", period))
            if whole is not None and has_weight[whole]:
                parts.setdefault((whole, "category", by), []).append(place)
        for label, quarters in pooled.items():
            whole = places.get((measure, statistic, region, by, category, label)) if period in quarters else None
            if whole is not None and has_weight[whole]:
                parts.setdefault((whole, "period"), []).append(place)
    yield from _partitions(cells, parts)
    yield from _changes(cells, places, study)


def _partitions(cells: pd.DataFrame, parts: dict[tuple, list[int]]) -> Iterable[_Equation]:
    """Parts that do add up to their whole, with what is left."""
    weight, exact, people = (cells[name].to_numpy(float) for name in ("weight", "exact", "people"))
    sums = np.where(weight > 0, weight * np.nan_to_num(exact), 0.0)
    for (whole, *_), members in parts.items():
        rest_weight = weight[whole] - weight[members].sum()
        rest_sum = sums[whole] - sums[members].sum()
        rest_people = people[whole] - people[members].sum()
        if abs(rest_weight) <= TOLERANCE * weight[whole]:
            rest_weight = 0.0
        near = abs(rest_sum) <= TOLERANCE * max(weight[whole], abs(sums[whole]))
        if not weight[whole] > 0 or rest_weight < 0 or rest_people < 0 or (rest_weight == 0 and not near):
            continue  # nobody, or parts of something else
        yield _Equation(whole, members, rest_weight=rest_weight, rest_people=rest_people)


def _changes(cells: pd.DataFrame, places: dict[tuple, int], study: Study) -> Iterable[_Equation]:
    """Changes between two periods that are both known."""
    exact = cells["exact"].fillna(cells["value"]).to_numpy(float)
    half = _half_step(cells, study)
    for (*key, period), place in places.items():
        first, arrow, last = period.partition(policy.CHANGE_ARROW)
        later, before = (places.get((*key, end)) for end in (last, first))
        if not arrow or later is None or before is None:
            continue
        slack = half[later] + half[before] + half[place]
        if abs(exact[later] - exact[before] - exact[place]) <= slack:
            yield _Equation(place, [later, before], is_change=True)


# -- linear programmes --------------------------------------------------------------------------------


@dataclass(frozen=True)
class _System:
    """Equations that share unknown numbers, with what a reader knows of each number in them.

    Variables are numbered; ``low`` and ``high`` are what a reader knows of each by itself, ``true`` what it is.
    """

    kind: str
    matrix: sparse.csr_array
    right: np.ndarray
    low: np.ndarray
    high: np.ndarray
    true: np.ndarray
    is_unknown: np.ndarray
    targets: list[tuple[int, Narrow]]  # variable, and what to say of it with the width that is needed

    def narrow(self, known: dict[bytes, float]) -> Iterator[Narrow]:
        """Targets that lie within too little; ``known`` remembers systems that many measures have in common."""
        same = hashlib.sha256(b"".join(each.tobytes() for each in self._parts)).digest()
        for variable, target in self.targets:
            key = same + variable.to_bytes(8) + np.float64(target.needed).tobytes()
            if key not in known:
                width = max(self._traded(variable), self._reached(variable))
                known[key] = width if width >= target.needed else self._width(variable, target.needed)
            if known[key] < target.needed:
                yield replace(target, width=known[key])

    @property
    def _parts(self) -> tuple[np.ndarray, ...]:
        matrix = self.matrix
        return (matrix.data, matrix.indices, matrix.indptr, self.right, self.low, self.high)

    @cached_property
    def _columns(self) -> list[dict[int, float]]:
        """Of each number the equations that it stands in, with its coefficients."""
        columns: list[dict[int, float]] = [{} for _ in self.low]
        entries = self.matrix.tocoo()
        for equation, variable, size in zip(entries.row.tolist(), entries.col.tolist(), entries.data, strict=True):
            columns[variable][equation] = float(size)
        return columns

    @cached_property
    def _free(self) -> dict[int, int]:
        """Equation → an unknown number that stands in it alone, and so takes whatever the others leave."""
        room = np.where(self.is_unknown, self.high - self.low, -1.0)
        free: dict[int, int] = {}
        for variable in np.argsort(room, kind="stable").tolist():
            if self.is_unknown[variable] and len(self._columns[variable]) == 1:
                free[next(iter(self._columns[variable]))] = variable
        return free

    def _traded(self, variable: int) -> float:
        """A width that is surely attained, found without a programme; 0 where none is found.

        The number moves against one other unknown number of its equations, as siblings do, and what either of them
        upsets elsewhere is made good by numbers that stand in one equation alone.
        """
        mine, free = self._columns[variable], self._free
        tied = [equation for equation in mine if free.get(equation, variable) == variable]
        if not tied:
            return self._room({variable: 1.0})
        others = [one for one, columns in enumerate(self._columns) if one != variable and tied[0] in columns]
        best = 0.0
        for other in others:
            theirs = self._columns[other]
            shared = [equation for equation in mine if equation in theirs]
            ratios = [-mine[equation] / theirs[equation] for equation in shared]
            if self.is_unknown[other] and {*tied} <= {*shared} and np.ptp(ratios) <= SAME_RATIO * abs(ratios[0]):
                best = max(best, self._room({variable: 1.0, other: ratios[0]}))
        return best

    def _room(self, moves: dict[int, float]) -> float:
        """How far numbers can move together from what is true, others making good for them."""
        upset: dict[int, float] = defaultdict(float)
        for one, speed in moves.items():
            for equation, size in self._columns[one].items():
                upset[equation] += size * speed
        speeds = dict(moves)
        for equation, left in upset.items():
            if abs(left) > SAME_RATIO * max(abs(speed) for speed in moves.values()):
                free = self._free.get(equation)
                if free is None or free in moves:
                    return 0.0
                speeds[free] = -left / self._columns[free][equation]
        up = down = np.inf
        for one, speed in speeds.items():
            above, below = self.high[one] - self.true[one], self.true[one] - self.low[one]
            up = min(up, (above if speed > 0 else below) / abs(speed))
            down = min(down, (below if speed > 0 else above) / abs(speed))
        return up + down

    @cached_property
    def _fitting(self) -> tuple[np.ndarray, np.ndarray]:
        """Smallest and largest value of each number among the solutions that were found so far: all of them fit."""
        return self.true.copy(), self.true.copy()

    def _reached(self, variable: int) -> float:
        """A width that solutions for other numbers attain; it spares most programmes."""
        smallest, largest = self._fitting
        return float(largest[variable] - smallest[variable])

    def _width(self, variable: int, needed: float) -> float:
        """Largest less smallest value of a variable that fits everything known; a part of it where that is enough."""
        width = 0.0
        for sign in (1.0, -1.0):
            objective = np.zeros(len(self.low))
            objective[variable] = sign
            found = linprog(
                objective,
                A_eq=self.matrix,
                b_eq=self.right,
                bounds=np.column_stack([self.low, self.high]),
                method="highs",
            )
            if found.status == UNBOUNDED:
                return np.inf
            if not found.success:
                raise PublicationBlocked(
                    f"what is published cannot be audited: {found.message}", where="disclosure", fix="report this"
                )
            for extreme, of in zip(self._fitting, (np.minimum, np.maximum), strict=True):
                of(extreme, found.x, out=extreme)
            width += abs(sign * found.fun - self.true[variable])
            if width >= needed:
                break
        return width


def _systems(cells: _Cells, kind: str, hidden: np.ndarray) -> Iterator[_System]:
    """The systems that hold a number to be protected."""
    facts = _Facts.of(cells, kind, hidden)
    equations = [each for each in cells.equations if kind == "mean" or not each.is_change]
    of_cell: dict[int, list[int]] = defaultdict(list)
    for number, equation in enumerate(equations):
        for place in equation.members:
            of_cell[place].append(number)
    links = [(numbers[0], other) for place, numbers in of_cell.items() if facts.is_unknown[place] for other in numbers]
    if links:
        first, second = np.array(links).T
        graph = sparse.coo_array((np.ones(len(links)), (first, second)), shape=(len(equations),) * 2)
        _, group = connected_components(graph, directed=False)
    else:
        group = np.arange(len(equations))
    with_targets = {
        int(group[number])
        for number, each in enumerate(equations)
        if facts.has_small_rest(each) or any(facts.is_target[place] for place in each.members)
    }
    members: dict[int, list[int]] = defaultdict(list)
    for number in range(len(equations)):
        if int(group[number]) in with_targets:
            members[int(group[number])].append(number)
    for numbers in members.values():
        # What is shown is known more closely from the other equations that it stands in.
        near = {other for number in numbers for place in equations[number].members for other in of_cell[place]}
        yield facts.system([equations[number] for number in numbers], [equations[each] for each in near - {*numbers}])


@dataclass(frozen=True)
class _Facts:
    """Of every cell: what a reader knows of its number by itself, what it is, and whether it is to be protected."""

    kind: str
    low: np.ndarray
    high: np.ndarray
    true: np.ndarray
    weight: np.ndarray
    is_unknown: np.ndarray
    is_target: np.ndarray
    part: np.ndarray  # share of the people behind a number that is at stake: those who changed, of one that stays
    limit: float  # of people, below which a rest is to be protected
    least: float  # width that a protected number needs: people, or a share of the mean of the whole
    highest: np.ndarray  # of a mean, whatever is published
    lowest: np.ndarray

    @classmethod
    def of(cls, cells: _Cells, kind: str, hidden: np.ndarray) -> _Facts:
        frame, limits = cells.frame, cells.study.config.disclosure
        withheld, rule = frame["is_withheld"].to_numpy(bool), frame["rule"].fillna("")
        is_change = policy.is_change(frame).to_numpy()
        highest = frame["unit"].map(HIGHEST).fillna(np.inf)
        is_longer = frame.groupby("measure")["exact"].transform("max") > highest  # sleep and all that is no work
        highest = highest.mask(is_longer & (frame["unit"] == "hours_week"), HOURS_OF_A_WEEK).to_numpy(float)
        lowest = np.where(frame["unit"].isin(SIGNED_UNITS) | is_change, -np.inf, 0.0)
        highest = np.where(is_change, np.inf, highest)
        kept, changed = frame["is_kept"].to_numpy(bool), frame["changed"].to_numpy(float)
        is_told = changed == 0  # by what readers have, for good
        people = frame["of"].fillna(frame["people"]).fillna(0).clip(lower=1).to_numpy(float)
        part = np.where(np.isfinite(changed), changed, 0.0) / people
        part = np.minimum(part, 1.0)
        if kind == "count":
            true, step = frame["people"].fillna(0).to_numpy(float), limits.round_counts_to / 2
            unknown = withheld | kept | frame["n"].isna().to_numpy()
            value = frame["n"].fillna(0).to_numpy(float)
            low, high = np.maximum(value - step, 0.0), value + step
            bounds = np.zeros(len(frame)), np.full(len(frame), np.inf)
            before, room = frame["n_before"].to_numpy(float), step + changed
            target, least = withheld & (rule == "C01").to_numpy() & ~is_told, limits.min_count_width
        else:
            true, step = frame["exact"].fillna(frame["value"]).to_numpy(float), _half_step(frame, cells.study)
            unknown, value = hidden, frame["value"].to_numpy(float)
            middle = (frame["ci_low"] + frame["ci_high"]).to_numpy(float) / 2
            middle = np.where(frame["unit"].isin(SYMMETRIC_UNITS) & np.isfinite(middle), middle, value)
            low, high = np.maximum(value, middle) - step, np.minimum(value, middle) + step
            bounds = lowest, highest
            # Those who did not change say what they said; the others may say anything.
            before, room = frame["value_before"].to_numpy(float), step + _times(part, highest - lowest)
            target = withheld & (rule != "").to_numpy() & ~is_told
            # The nation's number as it is now is the one of now less the change from it, which readers cannot do without.
            is_national = (frame["region"] + frame["by"] == NATION).to_numpy(bool)
            few = (changed > 0) & (changed < limits.min_respondents) & ~is_national
            target |= kept & (few | (rule == "C10").to_numpy())
            target &= np.isfinite(true) & ~is_change
            least = limits.min_mean_width
            true = np.where(np.isfinite(true), true, 0.0)
        bounds = np.fmax(bounds[0], before - room), np.fmin(bounds[1], before + room)
        low, high = (np.where(unknown, bound, each) for bound, each in zip(bounds, (low, high), strict=True))
        # What is true is never ruled out, whatever rounding made of the middle of an interval.
        low, high = np.minimum(low, true), np.maximum(high, true)
        weight = frame["weight"].fillna(0.0).to_numpy(float)
        part = np.where(kept & (rule != "C10").to_numpy(), part, 1.0)
        limit = float(limits.min_respondents)
        return cls(kind, low, high, true, weight, unknown, target, part, limit, least, highest, lowest)

    def has_small_rest(self, equation: _Equation) -> bool:
        """Whether a few people of the whole are in none of its parts."""
        has_weight = self.kind == "count" or equation.rest_weight > 0
        return has_weight and not equation.is_change and 0 < equation.rest_people < self.limit

    def system(self, equations: list[_Equation], near: list[_Equation]) -> _System:
        """Equations with their variables; targets are those of the first ones."""
        number: dict[int, int] = {}
        for equation in (*equations, *near):
            for place in sorted(equation.members):
                number.setdefault(place, len(number))
        places = list(number)
        low, high, true = (list(each[places]) for each in (self.low, self.high, self.true))
        unknown = list(self.is_unknown[places])
        rows: list[tuple[int, int, float]] = []
        targets = {
            number[place]: Narrow(place, self.kind, False, 0.0, self._needed(equation) * self.part[place])
            for equation in equations
            for place in equation.members
            if self.is_target[place]
        }
        for row, equation in enumerate((*equations, *near)):
            if equation.is_change:
                rows += [(row, number[equation.whole], -1.0)]
                rows += [(row, number[place], sign) for place, sign in zip(equation.parts, (1.0, -1.0), strict=True)]
                continue
            rows += [(row, number[place], self._coefficient(place, equation)) for place in equation.parts]
            rows += [(row, number[equation.whole], -self._coefficient(equation.whole, equation))]
            rest = equation.rest_people if self.kind == "count" else equation.rest_weight
            if rest > 0:
                variable = len(low)
                rows += [(row, variable, 1.0 if self.kind == "count" else rest / self.weight[equation.whole])]
                low.append(min(0.0, self._rest(equation)) if self.kind == "count" else self.lowest[equation.whole])
                high.append(np.inf if self.kind == "count" else self.highest[equation.whole])
                true.append(self._rest(equation))
                unknown.append(True)
                if row < len(equations) and self.has_small_rest(equation):
                    needed = self._needed(equation)
                    targets[variable] = Narrow(equation.whole, self.kind, True, 0.0, needed)
        # A part of nobody, with its weight of zero, says nothing of a mean.
        at, variable, value = zip(*(entry for entry in rows if entry[2] != 0), strict=True)
        shape = (len(equations) + len(near), len(low))
        matrix = sparse.csr_array((value, (at, variable)), shape=shape)
        numbers = np.array(true)
        # Rounding of floats must not make what is true impossible.
        return _System(self.kind, matrix, matrix @ numbers, np.minimum(low, numbers), np.maximum(high, numbers), numbers,
                       np.array(unknown), list(targets.items()))  # fmt: skip

    def _coefficient(self, place: int, equation: _Equation) -> float:
        return 1.0 if self.kind == "count" else self.weight[place] / self.weight[equation.whole]

    def _rest(self, equation: _Equation) -> float:
        if self.kind == "count":
            return equation.rest_people
        parts = self.weight[equation.parts] @ self.true[equation.parts]
        return (self.weight[equation.whole] * self.true[equation.whole] - parts) / equation.rest_weight

    def _needed(self, equation: _Equation) -> float:
        if self.kind == "count":
            return self.least
        whole = equation.parts[0] if equation.is_change else equation.whole
        return self.least * abs(self.true[whole])


def _times(part: np.ndarray, span: np.ndarray) -> np.ndarray:
    """A part of a span; none of it where the part is none, however long the span."""
    return np.where(part > 0, part, 1.0) * np.where(part > 0, span, 0.0)


def _half_step(frame: pd.DataFrame, study: Study) -> np.ndarray:
    """Half of the last decimal that is published."""
    return 0.5 * 10.0 ** -policy.decimals_of(frame, study).to_numpy(float)
