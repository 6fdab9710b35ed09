"""The list experiment of fourth quarters: who got the long list, how many items apply to each, and who really does it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis_lib.quarters import Quarter

ASKED_IN = 4  # of the year's quarters
ARMS = ["short", "long"]
ADMITS_FROM = 3  # answers to the direct question, 0 never … 4 very often
_HIDES = 0.15  # share of those who do not admit it who do it all the same
# Four harmless items, none near nobody or everybody; who does the first seldom does the second, so counts spread less.
_HARMLESS = [0.5, 0.45, 0.6, 0.35]
_INSTEAD = 0.8  # how often the second item is simply the opposite of the first


def ask_list(coping: pd.Series, quarter: Quarter, rng: np.random.Generator) -> pd.DataFrame:
    """Arm and count of each official, and whether they do what the sensitive item says.

    Parameters
    ----------
    coping : pandas.Series
        Answers to the direct question.

    Returns
    -------
    pandas.DataFrame
        list_arm and list_count (texts; empty in quarters without the list) and does_it.
    """
    size = len(coping)
    does_it = (coping >= ADMITS_FROM).to_numpy() | (rng.random(size) < _HIDES)
    is_long = rng.random(size) < 0.5
    harmless = rng.random((size, len(_HARMLESS))) < _HARMLESS
    harmless[:, 1] = np.where(rng.random(size) < _INSTEAD, ~harmless[:, 0], harmless[:, 1])
    count = harmless.sum(axis=1) + (is_long & does_it)
    asked = quarter.number == ASKED_IN
    return pd.DataFrame(
        {
            "list_arm": np.where(is_long, ARMS[1], ARMS[0]) if asked else "",
            "list_count": count.astype(str) if asked else "",
            "does_it": does_it,
        },
        index=coping.index,
    )
