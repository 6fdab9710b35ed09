"""C11: what a new release may say of numbers that readers have already, so that two releases tell of nobody.

Whoever holds a number from before and after a few late returns can work out what these few said. A number is therefore
published anew only when the returns of enough people changed in it; until then it stays as it was, and says so. Once a
year all numbers of a quarter are published anew together, if enough people changed in the whole.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from analysis_lib.disclosure import policy
from analysis_lib.disclosure.members import DESCRIBED, TAG
from analysis_lib.quarters import QUARTERS_PER_YEAR, Quarter
from analysis_lib.study import NATION, Study
from analysis_lib.tables.contracts import ESTIMATE_KEY

NUMBERS = ["value", "ci_low", "ci_high", "n"]
HIDDEN = (policy.WITHHELD, policy.NOT_RELIABLE)  # marks that stand in the place of a number


@dataclass(frozen=True)
class Published:
    """A number that readers have.

    Attributes
    ----------
    row : mapping
        Its row of a protected table.
    changed : int
        How many people changed in its cell since it was estimated.
    people : int
        How many there are, in the quarters in which anybody changed; 0 where that was not counted.
    """

    row: Mapping[str, Any]
    changed: int
    people: int = 0

    @property
    def is_shown(self) -> bool:
        """Whether readers saw a number, not a mark in its place."""
        return self.row["mark"] not in HIDDEN


@dataclass(frozen=True)
class Readers:
    """What readers of earlier releases have, as far as a new one has to mind it.

    Attributes
    ----------
    numbers : mapping
        Key of a cell (`ESTIMATE_KEY`) → what readers have of it.
    too_near : frozenset
        Cells that must not be told as they are: C10, as `nested.too_near`.
    """

    numbers: Mapping[tuple, Published] = field(default_factory=dict)
    too_near: frozenset[tuple] = frozenset()


def count_changed(cells: pd.DataFrame, changed: pd.DataFrame, *, study: Study) -> pd.Series:
    """How many people changed in each cell: of its region, category and quarters (all, where it names none).

    Parameters
    ----------
    cells : pandas.DataFrame
        measure, region, by, category, period. Of a measure that no roster knows, everybody in the place counts.
    changed : pandas.DataFrame
        As `members.differing`, with their quarter.
    """
    if changed.empty:
        return pd.Series(0, index=cells.index, dtype=int)
    sets, tags = changed[DESCRIBED], changed[TAG].to_numpy(np.uint64)
    known = frozenset().union(*sets)
    alike = {measure: frozenset(each for each in {*sets} if measure in each) for measure in known}
    everybody = np.ones(len(changed), dtype=bool)

    @cache
    def where(column: str, values: Hashable) -> np.ndarray:
        return changed[column].isin(values).to_numpy(bool)  # pyright: ignore[reportArgumentType]

    @cache
    def count(group: frozenset | None, region: str, by: str, category: str, period: str) -> int:
        inside = everybody if group is None else where(DESCRIBED, group)
        if quarters := policy.quarters_in(period):
            inside = inside & where("quarter", tuple(quarters))
        if region != NATION:
            level = study.region_changes.level(region)
            inside = inside & where(level, (region,)) if level in changed.columns else ~everybody
        if by in changed.columns:
            inside = inside & where(by, (category,))
        return len(np.unique(tags[inside]))

    groups = [alike.get(measure) for measure in cells["measure"]]
    places = (cells[name].astype(str) for name in ("region", "by", "category", "period"))
    counts = [count(*key) for key in zip(groups, *places, strict=True)]
    return pd.Series(counts, index=cells.index, dtype=int)


def must_stay_withheld(published: pd.DataFrame, n_changed: pd.Series, *, study: Study) -> pd.Series:
    """Which rows that readers do not have stay withheld: shown now, they would tell of those withheld beside them then.

    Parameters
    ----------
    published : pandas.DataFrame
        Rows as readers have them.
    n_changed : pandas.Series
        People who changed since then in each of these cells.
    """
    return (published["mark"] == policy.WITHHELD) & (n_changed < study.config.disclosure.min_respondents)


def must_stay(
    rows: pd.DataFrame,
    published: pd.DataFrame,
    n_changed: pd.Series,
    n_in_all: pd.Series,
    *,
    study: Study,
    report: Quarter,
) -> pd.Series:
    """Which rows of a table stay as published.

    Parameters
    ----------
    rows : pandas.DataFrame
        A protected table as it would be published now.
    published : pandas.DataFrame
        The same rows as readers have them, by the index of ``rows``; rows they do not have are not in it.
    n_changed, n_in_all : pandas.Series
        People who changed since then in each of these cells, and in the nation over the same quarters.
    report : Quarter
        Quarter of the release: quarters a year before and more are published anew as a whole.

    Returns
    -------
    pandas.Series
        True for a row that stays, by the index of ``rows``. A row that would stay alone among its siblings takes the
        smallest of them with it, for the others and their total would tell of it.
    """
    limit = study.config.disclosure.min_respondents
    now = rows.loc[published.index]
    is_shown = ~now["mark"].isin(HIDDEN) & ~published["mark"].isin(HIDDEN)
    differs = pd.Series(False, index=now.index)
    for name in NUMBERS:
        one, other = (pd.to_numeric(each[name]).astype(float) for each in (now, published))  # missing where withheld
        differs |= (one != other) & ~(one.isna() & other.isna())
    can_stay = is_shown & differs & (n_in_all > 0)
    a_year_ago = str(report.shift(-QUARTERS_PER_YEAR))
    is_yearly = now["period"].map(lambda text: max(policy.quarters_in(str(text)), default="9999") <= a_year_ago)
    is_yearly = is_yearly.astype(bool)  # without rows it would stay a text
    stays = can_stay & (n_changed < limit) & ~(is_yearly & (n_in_all >= limit))
    parent = now["region"].map(study.regions["parent"]).where(now["region"] != NATION, "(none)")
    families = [
        [*(now[name] for name in ESTIMATE_KEY if name != "region"), parent.rename("parent")],
        [now[name] for name in ESTIMATE_KEY if name != "category"],
    ]
    for family in families:
        grouped = stays.groupby(family, sort=False, dropna=False)
        is_alone = (grouped.transform("sum") == 1) & ~stays & can_stay
        least = now.loc[is_alone, "n"].astype(float).sort_values(kind="stable").index
        first = grouped.ngroup().loc[least].drop_duplicates().index
        stays[first] = True
    return stays.reindex(rows.index, fill_value=False)
