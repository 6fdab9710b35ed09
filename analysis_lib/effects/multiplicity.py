"""Several measures, one reform: p values that allow for how many were looked at."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd

METHODS = {"holm": "holm", "benjamini_hochberg": "fdr_bh"}


def adjust_measures(
    effects: pd.DataFrame, primary: dict[str, str], *, method: Literal["holm", "benjamini_hochberg"] = "holm"
) -> pd.DataFrame:
    """Add ``is_primary`` and ``p_adjusted``; the primary measure of each reform stands alone, the others are families.

    Parameters
    ----------
    effects : pandas.DataFrame
        With reform, family, measure and p_value, a row for each measure of a reform.
    primary : dict of str to str
        Reform → the measure that its plan named beforehand.
    method : str
        ``holm``: the chance of any false finding in the family (Holm 1979); ``benjamini_hochberg``: the share of false
        ones among the findings (Benjamini and Hochberg 1995).

    Notes
    -----
    A p value that is missing counts for nothing and stays missing.
    """
    from statsmodels.stats.multitest import multipletests

    is_primary = effects["measure"] == effects["reform"].map(primary)
    adjusted = effects["p_value"].astype(float).copy()
    others = effects[~is_primary & adjusted.notna()]
    for _, rows in others.groupby(["reform", "family"]):
        adjusted[rows.index] = np.asarray(multipletests(rows["p_value"], method=METHODS[method])[1])
    return effects.assign(is_primary=is_primary, p_adjusted=adjusted)
