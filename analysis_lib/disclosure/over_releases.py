"""C11: what a new release may say of numbers that readers have already, so that two releases tell of nobody.

Whoever holds a number from before and after a few late returns can work out what these few said. A number is therefore
published anew only when the returns of enough people changed in it; until then it stays as it was, and says so. Once a
year all numbers of a quarter are published anew together, if enough people changed in the whole.
"""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from analysis_lib.disclosure import policy
from analysis_lib.quarters import QUARTERS_PER_YEAR, Quarter
from analysis_lib.study import NATION, Study
from analysis_lib.tables.contracts import ESTIMATE_KEY

PERSON = ["respondent_id", "quarter"]
NUMBERS = ["value", "ci_low", "ci_high", "n"]


def changed_officials(then: pd.DataFrame, now: pd.DataFrame) -> pd.DataFrame:
    """Official-quarters that came, went, or say something else than before, as they were and as they are.

    Weights do not count: they move with the returns of others.

    Parameters
    ----------
    then, now : pandas.DataFrame
        Contract ``official_quarters``, of the same quarters and made by the same code.
    """
    own = [column for column in now.columns if column in then.columns and "weight" not in column]
    contents = [
        pd.Series(
            pd.util.hash_pandas_object(frame[own].astype(str), index=False).to_numpy(),
            index=pd.MultiIndex.from_frame(frame[PERSON]),
        )
        for frame in (then, now)
    ]
    before, after = (each.reindex(contents[0].index.union(contents[1].index)) for each in contents)
    changed = before.index[~((before == after) & before.notna() & after.notna())]
    both = [frame[pd.MultiIndex.from_frame(frame[PERSON]).isin(changed)] for frame in (then, now)]
    return pd.concat(both, ignore_index=True)


def count_changed(cells: pd.DataFrame, changed: pd.DataFrame, *, study: Study) -> pd.Series:
    """How many people changed in each cell: of its region, category and quarters (all, where it names none).

    Parameters
    ----------
    cells : pandas.DataFrame
        region, by, category, period.
    changed : pandas.DataFrame
        As `changed_officials`.
    """
    counted: dict[tuple[str, ...], int] = {}
    for key in cells[["region", "by", "category", "period"]].drop_duplicates().itertuples(index=False, name=None):
        region, by, category, period = map(str, key)
        inside = pd.Series(True, index=changed.index)
        if quarters := policy.quarters_in(period):
            inside &= changed["quarter"].isin(quarters)
        if region != NATION:
            level = study.region_changes.level(region)
            inside &= changed[level] == region if level in changed.columns else False
        if by in changed.columns:
            inside &= changed[by] == category
        counted[key] = int(changed.loc[inside, "respondent_id"].nunique())
    keys = zip(*(cells[name] for name in ("region", "by", "category", "period")), strict=True)
    return pd.Series([counted[key] for key in keys], index=cells.index, dtype=int)


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
    limit, hidden = study.config.disclosure.min_respondents, [policy.WITHHELD, policy.NOT_RELIABLE]
    now = rows.loc[published.index]
    is_shown = ~now["mark"].isin(hidden) & ~published["mark"].isin(hidden)
    differs = pd.Series(False, index=now.index)
    for name in NUMBERS:
        one, other = (pd.to_numeric(each[name]).astype(float) for each in (now, published))  # missing where withheld
        differs |= (one != other) & ~(one.isna() & other.isna())
    can_stay = is_shown & differs & (n_in_all > 0)
    a_year_ago = str(report.shift(-QUARTERS_PER_YEAR))
    is_yearly = now["period"].map(lambda text: max(policy.quarters_in(str(text)), default="9999") <= a_year_ago)
    stays = can_stay & (n_changed < limit) & ~(is_yearly & (n_in_all >= limit))
    parent = now["region"].map(study.regions["parent"]).where(now["region"] != NATION, "(none)")
    families = [
        [*(now[name] for name in ESTIMATE_KEY if name != "region"), parent],
        [now[name] for name in ESTIMATE_KEY if name != "category"],
    ]
    for family in families:
        for _, members in now.groupby(family, sort=False):
            others = members.index[~stays[members.index] & can_stay[members.index]]
            if stays[members.index].sum() == 1 and len(others):
                stays[now.loc[others, "n"].astype(float).sort_values(kind="stable").index[0]] = True
    return stays.reindex(rows.index, fill_value=False)


def changed_quarters(then: Iterable[str], now: Iterable[str]) -> set[str]:
    """Quarters of which other drops were read; a drop's id begins with its quarter."""
    return {drop.partition("/")[0] for drop in set(then) ^ set(now)}
