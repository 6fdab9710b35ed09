"""Columns of official-quarters that measures read, and what is said when one is not there."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis_lib.errors import UsageError, did_you_mean
from analysis_lib.measures import Measure


def column_values(rows: pd.DataFrame, key: str) -> np.ndarray:
    """A column as floats; one that no quarter holds is unknown."""
    return rows[key].to_numpy(float) if key in rows.columns else np.full(len(rows), np.nan)


def in_universe(rows: pd.DataFrame, measure: Measure) -> np.ndarray:
    """True for the respondents whom a measure describes."""
    inside = np.ones(len(rows), dtype=bool)
    for column, allowed in measure.universe.items():
        refuse_unknown(column, rows, f"measures.toml, [{measure.key}] universe")
        inside &= rows[column].isin(allowed).to_numpy()
    return inside


def refuse_unknown(column: str, frame: pd.DataFrame, where: str) -> None:
    """Raise `UsageError` for a column that the respondents do not have."""
    if column not in frame.columns:
        raise UsageError(
            f"{column!r} is no column of the respondents",
            where=where,
            fix=did_you_mean(column, [str(name) for name in frame.columns]),
        )
