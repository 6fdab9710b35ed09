"""How fast estimates settle: what each vintage of a quarter said, held against what is known last.

A vintage is what was known on a day on which the drops that count changed. Between a provisional figure and the last
one lie late returns, corrections of drops and withdrawals; how long it takes until they no longer matter tells when a
figure may be published and how much a reader may lean on it before.
"""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd

from analysis_lib.quarters import Quarter
from analysis_lib.tables.store import Store

MOST_VINTAGES = 8


def vintage_days(store: Store, quarter: Quarter, *, at_most: int = MOST_VINTAGES) -> list[dt.date]:
    """Days on which the drops of a quarter that count became others, oldest first.

    Parameters
    ----------
    at_most : int
        More days than this are thinned evenly; the first and the last always stay.
    """
    states = store.states(quarter)
    days = {each.drop.received for each in states}
    days |= {each.drop.withdrawn.since for each in states if each.drop.withdrawn}
    days = {day for day in days if store.known_on is None or day <= store.known_on}
    read = {day: [drop.id for drop in store.as_of(day).drops(quarter)] for day in sorted(days)}
    changing = [day for day, before in zip(read, [[], *read.values()], strict=False) if read[day] != before]
    if len(changing) <= at_most:
        return changing
    kept = np.unique(np.linspace(0, len(changing) - 1, at_most).round().astype(int))
    return [changing[place] for place in kept]


def settling(values: pd.DataFrame, *, smallest_change: float, since: dt.date) -> pd.DataFrame:
    """When each measure settled: from which day on no vintage was farther from the last one than is allowed.

    Parameters
    ----------
    values : pandas.DataFrame
        One row per measure and vintage: measure, day, estimate, ci_low, ci_high, n. A vintage that was too thin to
        be estimated has no estimate, and is never within anything.
    smallest_change : float
        Smallest change that matters, in the unit of the measures.
    since : datetime.date
        Day from which days are counted: the end of the quarter.

    Returns
    -------
    pandas.DataFrame
        Per measure: ``vintages``; ``first`` and ``last`` estimate there was; ``largest_revision`` of any vintage against the last;
        ``within_interval_days`` and ``within_smallest_days``, days since the end of the quarter from which every
        vintage stays inside the last interval, and within the smallest change of the last estimate; the same as
        ``…_vintages``, counted from 1; ``share_at_first``, respondents behind the first estimate over those behind the last.

    Notes
    -----
    With one vintage a measure is settled from it on: nothing later is known that could speak against it. The last
    vintage is always within, so days are never missing where it has an estimate; without one they are.
    """
    ordered = values.sort_values(["measure", "day"], kind="stable")
    rows = [
        _settled(str(measure), vintages.reset_index(drop=True), smallest_change, since)
        for measure, vintages in ordered.groupby("measure", sort=False)
    ]
    return pd.DataFrame(rows)


def _settled(measure: str, vintages: pd.DataFrame, smallest_change: float, since: dt.date) -> dict[str, object]:
    last = vintages.iloc[-1]
    estimated = vintages[vintages["estimate"].notna()]
    off = (vintages["estimate"] - last["estimate"]).abs()
    row: dict[str, object] = {
        "measure": measure,
        "vintages": len(vintages),
        "first": estimated["estimate"].iloc[0] if len(estimated) else np.nan,
        "last": last["estimate"],
        "largest_revision": off.max(),
        "share_at_first": estimated["n"].iloc[0] / last["n"] if len(estimated) and last["n"] else np.nan,
    }
    within = {
        "interval": vintages["estimate"].between(last["ci_low"], last["ci_high"]),
        "smallest": off <= smallest_change,
    }
    for name, holds in within.items():
        # From the last vintage backwards: a figure that wandered out again had not settled.
        stays = int(np.argmin(np.append(holds.to_numpy()[::-1], False)))
        is_known = stays > 0
        first = len(vintages) - stays
        row[f"within_{name}_days"] = (vintages["day"].iloc[first] - since).days if is_known else pd.NA
        row[f"within_{name}_vintages"] = first + 1 if is_known else pd.NA
    return row
