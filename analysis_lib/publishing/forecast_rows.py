"""Forecasts of a release as rows for the ledger, so that what came can be held against what was published then."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from analysis_lib.disclosure.protect import ProtectedTable

FORECASTS = "forecasts"


def forecasts_of(results: Mapping[str, Mapping[str, ProtectedTable]]) -> list[dict[str, Any]]:
    """Forecasts as published: measure, unit, quarter foreseen, quarters ahead, value and interval; none that is withheld.

    Parameters
    ----------
    results : mapping
        Unit → table name → table.
    """
    tables = [tables[FORECASTS].table for tables in results.values() if FORECASTS in tables]
    return [
        {
            "measure": row["measure"],
            "unit": row["unit"],
            "period": row["period"],
            "made_in": row["category"].partition(".")[0],
            "ahead": int(row["category"].partition(".")[2]),
            **{name: float(row[name]) for name in ("value", "ci_low", "ci_high")},
        }
        for table in tables
        for row in table.to_dict("records")
        if pd.notna(row["value"])
    ]
