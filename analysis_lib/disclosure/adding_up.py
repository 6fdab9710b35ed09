"""Accounts whose printed numbers add up: steps are rounded first, and the remainder takes what rounding moved."""

from __future__ import annotations

import pandas as pd

from analysis_lib.disclosure import policy
from analysis_lib.monitoring.change_account import LAST, MOVED, PLACE, REMAINDER, STEPS, THIS
from analysis_lib.study import Study


def adding_up(account: pd.DataFrame, *, study: Study) -> pd.DataFrame:
    """An account of `monitoring.change_account` with values as they are printed, the remainder what is left of them.

    Rounding moves each number by half a unit at most. Left to themselves, printed steps would miss the printed movement
    by as much as all of that together.
    """
    if account.empty:
        return account
    printed = account.assign(estimate=policy.rounded(account, study)["value"])
    wide = printed.pivot(index=PLACE, columns="category", values="estimate")
    others = [step for step in STEPS if step != REMAINDER and step in wide.columns]
    moved = wide[THIS] - wide[LAST]
    left = {MOVED: moved, REMAINDER: moved - wide[others].sum(axis=1)}  # a step that cannot be told is in another
    keys = pd.MultiIndex.from_frame(printed[PLACE])
    for step, values in left.items():
        printed["estimate"] = printed["estimate"].mask(printed["category"] == step, values.reindex(keys).to_numpy())
    return printed
