"""The sample design: which columns say how the sample was drawn, and the variance that follows from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from analysis_lib.errors import DesignError, did_you_mean
from analysis_lib.study import SinglePsu, Study

FULLY_SAMPLED = 1e-7  # a sampling fraction this close to one leaves no variance
DENSE = 4  # possible pairs per row up to which they are listed whole


@dataclass(frozen=True, slots=True)
class SurveyDesign:
    """Names of the columns of a sample design; it holds no data.

    Attributes
    ----------
    stratum, psu, weight : str
        Stratum and primary sampling unit (empty: one stratum, each row its own unit) and sampling weight.
    population : str
        Number of PSUs in the stratum's population; empty: PSUs are treated as drawn with replacement.
    ssu, ssu_population : str
        Second-stage unit, and how many the PSU has. They count only beside ``population``: with replacement at the
        first stage, the first stage carries all variance (Särndal et al. 1992, ch. 4).
    single_psu : str
        What a stratum with one sampled PSU does: ``refuse`` raises; ``certainty`` adds nothing; ``adjust`` adds the
        square of its score; ``average`` adds the mean of the other strata. As R's ``survey.lonely.psu``.
    """

    stratum: str = ""
    psu: str = ""
    weight: str = "weight"
    population: str = ""
    ssu: str = ""
    ssu_population: str = ""
    single_psu: SinglePsu = "refuse"

    @classmethod
    def of_study(cls, study: Study, *, weight: str = "weight") -> SurveyDesign:
        """The design in which ``official_quarters`` of a study were drawn."""
        return cls(stratum="stratum", psu="psu", weight=weight, single_psu=study.config.design.single_psu)


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """The units of one stage of sampling, as arrays.

    Attributes
    ----------
    unit : numpy.ndarray
        Of each row of the sample, its unit's number, shape (rows,).
    parent : numpy.ndarray
        Of each unit, the number of the stratum (first stage) or PSU (second stage) that it was drawn from.
    sampled : numpy.ndarray
        Of each parent, how many units were drawn.
    fraction : numpy.ndarray
        Of each parent, the share of its units that were drawn; zero means with replacement.
    """

    unit: np.ndarray
    parent: np.ndarray
    sampled: np.ndarray
    fraction: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """A sample as drawn: its stages, first to last. A domain never shortens it."""

    stages: tuple[Stage, ...]
    single_psu: SinglePsu

    @property
    def psu(self) -> np.ndarray:
        """PSU number of each row."""
        return self.stages[0].unit

    def variances(self, scores: np.ndarray, group: np.ndarray, unit: np.ndarray, n_groups: int) -> np.ndarray:
        """Variance of the sums of linearised scores, by group.

        Parameters
        ----------
        scores : numpy.ndarray
            Sums of scores over the rows of a group within a last-stage unit, shape (cells, k). A unit without rows in
            a group scores zero there, counts in its stratum all the same, and needs no cell.
        group, unit : numpy.ndarray
            Group and last-stage unit of each cell, shape (cells,).
        n_groups : int
            Number of groups.

        Returns
        -------
        numpy.ndarray
            Shape (n_groups, k).
        """
        rows, group_of_row = self._deviations(scores, group, unit, n_groups)
        return sum_by(group_of_row, rows**2, n_groups)

    def covariance(self, scores: np.ndarray) -> np.ndarray:
        """Covariance matrix of the sums of linearised scores of every row of the sample, shape (rows, k) → (k, k)."""
        unit, n_units = self.stages[-1].unit, len(self.stages[-1].parent)
        rows, _ = self._deviations(
            sum_by(unit, scores, n_units), np.zeros(n_units, dtype=np.int64), np.arange(n_units), 1
        )
        return rows.T @ rows

    @property
    def degrees_of_freedom(self) -> int:
        """PSUs less strata."""
        return len(self.stages[0].parent) - len(self.stages[0].sampled)

    def _deviations(
        self, scores: np.ndarray, group: np.ndarray, unit: np.ndarray, n_groups: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Rows whose squares (and products) add up to the variance (and covariance), and the group of each."""
        first = self.stages[0]
        if len(self.stages) == 1:
            return self._between(first, scores, group, unit, n_groups)
        second = self.stages[1]
        psu = second.parent[unit]
        # The second stage counts by the share of PSUs drawn (Särndal et al. 1992, result 4.3.1).
        weighted = scores * np.sqrt(first.fraction[first.parent[psu]])[:, None]
        parts = [
            self._between(first, scores, group, psu, n_groups),
            self._between(second, weighted, group, unit, n_groups),
        ]
        rows, groups = zip(*parts, strict=True)
        return np.concatenate(rows), np.concatenate(groups)

    def _between(
        self, stage: Stage, scores: np.ndarray, group: np.ndarray, unit: np.ndarray, n_groups: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Deviations √((1 − f) n/(n − 1)) (score − mean score) of the units of each parent, by group."""
        unit_cell, group_of_unit, unit_of_cell = combine(group, unit)
        score = sum_by(unit_cell, scores, len(unit_of_cell))
        parent_cell, group_of_parent, parent = combine(group_of_unit, stage.parent[unit_of_cell])
        sampled, left = stage.sampled[parent][:, None], 1 - stage.fraction[parent][:, None]
        mean = sum_by(parent_cell, score, len(parent)) / sampled
        inflation = np.sqrt(left * sampled / np.maximum(sampled - 1, 1))
        is_single = (sampled == 1) & (left > FULLY_SAMPLED)
        if self.single_psu == "average":
            n_parents = sum_by(group_of_parent, np.ones_like(sampled, dtype=float), n_groups)
            n_single = sum_by(group_of_parent, is_single.astype(float), n_groups)
            # A group of single PSUs only has no variance to lend: it stays unknown.
            unknown = np.full_like(n_parents, np.nan)
            lent = np.divide(n_parents, n_parents - n_single, out=unknown, where=n_parents > n_single)
            inflation = inflation * np.sqrt(lent)[group_of_parent]
        # Units without rows in the group deviate by the mean; they are one row of their number's root.
        absent = sampled - np.bincount(parent_cell, minlength=len(parent))[:, None]
        if self.single_psu == "adjust":
            absent = np.where(is_single, 1, absent)
        rows = [(score - mean[parent_cell]) * inflation[parent_cell], mean * np.sqrt(absent) * inflation]
        return np.concatenate(rows), np.concatenate([group_of_unit, group_of_parent])


def read_sample(frame: pd.DataFrame, design: SurveyDesign) -> Sample:
    """Number the strata and units of a sample; ``frame`` is the whole sample, never a domain of it.

    Raises
    ------
    DesignError
        When a design column is absent or has gaps, population counts do not fit, or a stratum has a single PSU and
        the design refuses it.
    """
    stratum = _numbered(frame, design.stratum) if design.stratum else np.zeros(len(frame), dtype=np.int64)
    psu = _numbered(frame, design.psu, within=stratum) if design.psu else np.arange(len(frame))
    stages = [_stage(frame, psu, stratum, design.population)]
    if design.ssu and design.population:
        ssu = _numbered(frame, design.ssu, within=psu)
        stages.append(_stage(frame, ssu, psu, design.ssu_population))
    for stage, parent_name in zip(stages, [design.stratum, design.psu], strict=False):
        single = (stage.sampled == 1) & (stage.fraction < 1 - FULLY_SAMPLED)
        if design.single_psu == "refuse" and single.any():
            raise DesignError(
                f"{_where_single(frame, stage, single, parent_name)} with a single sampled unit: its variance is unknown",
                where=f"design column {parent_name!r}",
                fix='merge it with a similar stratum, or set single_psu to "certainty", "adjust" or "average"',
            )
    return Sample(tuple(stages), design.single_psu)


def _stage(frame: pd.DataFrame, unit: np.ndarray, parent_of_row: np.ndarray, population: str) -> Stage:
    parent = np.empty(int(unit.max(initial=-1)) + 1, dtype=np.int64)
    parent[unit] = parent_of_row  # all rows of a unit agree
    sampled = np.bincount(parent)
    if not population:
        return Stage(unit, parent, sampled, np.zeros(len(sampled)))
    size = _column(frame, population).astype(float).groupby(parent_of_row).agg(["min", "max"])
    if (size["min"] != size["max"]).any() or (size["min"] < sampled).any() or size.isna().any(axis=None):
        raise DesignError(
            "population counts vary within a stratum, are missing, or are below the number of units drawn",
            where=f"design column {population!r}",
            fix="give every row of a stratum the number of units in its population",
        )
    return Stage(unit, parent, sampled, sampled / size["min"].to_numpy())


def _where_single(frame: pd.DataFrame, stage: Stage, single: np.ndarray, name: str) -> str:
    if not name:
        return "the whole sample is one stratum"
    rows = single[stage.parent[stage.unit]]
    named = sorted(set(frame.loc[rows, name].astype(str)))
    shown = ", ".join(named[:5]) + (f" and {len(named) - 5} more" if len(named) > 5 else "")
    return f"{name} {shown}"


def _numbered(frame: pd.DataFrame, column: str, within: np.ndarray | None = None) -> np.ndarray:
    """Number the values of a column in their order from zero, apart within each number of ``within``."""
    values = _column(frame, column)
    if values.isna().any():
        raise DesignError("some rows have no value", where=f"design column {column!r}", fix="complete the design")
    number, found = pd.factorize(values)
    number = pd.factorize(found, sort=True)[0][number]  # sorting what was found is quicker than sorting rows
    return number if within is None else combine(within, number)[0]


def _column(frame: pd.DataFrame, name: str) -> pd.Series:
    if name not in frame.columns:
        raise DesignError("no such column", where=f"design column {name!r}", fix=did_you_mean(name, frame.columns))
    return frame[name]


# -- sums ---------------------------------------------------------------------------------------------


def combine(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Number the pairs of two codes that occur: the pair of each row, and of each pair its two codes."""
    width = int(second.max(initial=0)) + 1
    key = first.astype(np.int64) * width + second
    n_keys = (int(first.max(initial=0)) + 1) * width
    if n_keys > DENSE * len(key):
        pairs, pair_of_row = np.unique(key, return_inverse=True)
    else:  # the same without sorting
        occurs = np.zeros(n_keys, dtype=bool)
        occurs[key] = True
        pairs, pair_of_row = np.flatnonzero(occurs), (np.cumsum(occurs) - 1)[key]
    return pair_of_row, pairs // width, pairs % width


def sum_by(code: np.ndarray, values: np.ndarray | sparse.csr_array, n_codes: int) -> np.ndarray:
    """Sums of the rows of ``values`` by code, shape (n_codes, …); sparse when they are."""
    if isinstance(values, np.ndarray) and values.shape[1:] == (1,):
        return np.bincount(code, values[:, 0], n_codes).astype(float)[:, None]  # of no rows, it counts in integers
    # A column for each row, with its one at the code: made without sorting, and read in the order of the values.
    column = sparse.csc_array((np.ones(len(code)), code, np.arange(len(code) + 1)), shape=(n_codes, len(code)))
    return column @ values
