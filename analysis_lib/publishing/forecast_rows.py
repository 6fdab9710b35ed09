"""Forecasts of a release as rows for the ledger, and how a later release scores them by what came."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from analysis_lib.disclosure.protect import ProtectedTable
from analysis_lib.monitoring.forecasts import (
    BY_FORECAST,
    BY_INNER,
    BY_PUBLISHED,
    BY_PUBLISHED_INNER,
    interval_score,
)
from analysis_lib.study import NATION

Results = Mapping[str, Mapping[str, ProtectedTable]]
FORECASTS, PUBLISHED, MEASURED = "forecasts", "published_forecasts", "forecast_series"
WITHIN, OUTSIDE = "within", "outside"


def forecasts_of(results: Results) -> list[dict[str, Any]]:
    """Forecasts as published: measure, unit, quarter foreseen, quarters ahead, value, intervals; none that is withheld.

    Parameters
    ----------
    results : mapping
        Unit → table name → table.
    """
    found = []
    for table in (tables[FORECASTS].table for tables in results.values() if FORECASTS in tables):
        shown = table[table["value"].notna()]
        inner = {_key(row): row for row in shown[shown["by"] == BY_INNER].to_dict("records")}
        for row in shown[shown["by"] == BY_FORECAST].to_dict("records"):
            narrow = inner.get(_key(row))
            made_in, _, ahead = row["category"].partition(".")
            found.append(
                {name: row[name] for name in ("measure", "unit", "period")}
                | {"made_in": made_in, "ahead": int(ahead)}
                | {name: float(row[name]) for name in ("value", "ci_low", "ci_high")}
                | ({f"inner_{end}": float(narrow[f"ci_{end}"]) for end in ("low", "high")} if narrow else {})
            )
    return found


def scored_forecasts(tables: Mapping[str, ProtectedTable], *, level: float) -> list[dict[str, Any]]:
    """Published forecasts whose quarter has come, beside what came by the data of today; oldest quarters first.

    Parameters
    ----------
    tables : mapping
        Of the nation; ``published_forecasts`` and ``forecast_series`` are read.
    level : float
        Confidence level of the wider interval.

    Returns
    -------
    list of dict
        ``kind`` (forecast), ``measure``, ``unit``, ``period``, ``claimed_in`` (release), ``ahead``, ``value``, ``ci_low``,
        ``ci_high``, ``came``, ``error`` (absolute), ``interval_score``, ``score`` and ``inner``: ``within`` or ``outside``
        of the interval, and of the inner one (empty where none was published).
    """
    if not {PUBLISHED, MEASURED} <= set(tables):
        return []
    said, measured = tables[PUBLISHED].table, tables[MEASURED].table
    measured = measured[(measured["by"] == "") & (measured["region"] == NATION) & measured["value"].notna()]
    came = {(row["measure"], row["period"]): float(row["value"]) for row in measured.to_dict("records")}
    inner = {_key(row): row for row in said[said["by"] == BY_PUBLISHED_INNER].to_dict("records")}
    scores = []
    for row in said[said["by"] == BY_PUBLISHED].sort_values(["period", "measure", "category"]).to_dict("records"):
        truth = came.get((row["measure"], row["period"]))
        if truth is None or pd.isna(row["value"]):
            continue
        ahead, _, release = row["category"].partition(".")
        numbers = {name: float(row[name]) for name in ("value", "ci_low", "ci_high")}
        narrow = inner.get(_key(row))
        scores.append(
            {"kind": "forecast", **{name: row[name] for name in ("measure", "unit", "period")}, "claimed_in": release}
            | {"ahead": int(ahead), **numbers, "came": truth, "error": round(abs(numbers["value"] - truth), 6)}
            | {"interval_score": round(interval_score(numbers["ci_low"], numbers["ci_high"], truth, level), 6)}
            | {"score": _where(row, truth), "inner": _where(narrow, truth) if narrow else ""}
        )
    return scores


def forecast_scores_of(results: Results, *, level: float) -> list[dict[str, Any]]:
    """How a release scores the forecasts of earlier ones, as rows to record beside the scores of claims."""
    national = {name: table for unit, tables in results.items() if "/" not in unit for name, table in tables.items()}
    return scored_forecasts(national, level=level)


def _key(row: Mapping[Any, Any]) -> tuple[str, str, str]:
    return row["measure"], row["category"], row["period"]


def _where(row: Mapping[Any, Any], came: float) -> str:
    return WITHIN if row["ci_low"] <= came <= row["ci_high"] else OUTSIDE
