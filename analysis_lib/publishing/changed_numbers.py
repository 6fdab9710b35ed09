"""The numbers of a release one by one, and which of them differ most between two releases."""

from __future__ import annotations

import json
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd

from analysis_lib.figures.labels import Labels
from analysis_lib.publishing.catalogue import Catalogue
from analysis_lib.publishing.releases import Results
from analysis_lib.publishing.titles import category_title, measure_title
from analysis_lib.study import Study
from analysis_lib.tables.contracts import NUMBER_KEY

KEYS = ["unit", "table", "key"]


def cells_of(results: Results, *, level: float) -> list[dict[str, Any]]:
    """One row per published number: unit, table, key, estimate, ci_low, ci_high, se, df, mark.

    Of a protected table no standard error is left; ``se`` is half the interval's width over the normal quantile of its
    level, as far as rounding lets it be known, and ``df`` is not known.
    """
    quantile = NormalDist().inv_cdf(0.5 + level / 2)
    return [
        {
            "unit": unit,
            "table": name,
            "key": json.dumps({each: row[each] for each in NUMBER_KEY if each in row}, ensure_ascii=False),
            "estimate": _number(row["value"]),
            "ci_low": _number(row["ci_low"]),
            "ci_high": _number(row["ci_high"]),
            "se": _number((row["ci_high"] - row["ci_low"]) / (2 * quantile)),
            "df": None,
            "mark": row["mark"],
        }
        for unit, tables in sorted(results.items())
        for name, table in sorted(tables.items())
        for row in table.table.to_dict("records")
    ]


def rank_changes(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> pd.DataFrame:
    """Numbers that differ between two releases, the most surprising first.

    Returns
    -------
    pandas.DataFrame
        Columns unit, table, key, before, after, mark_before, mark_after, change, se, standard_errors. ``se`` is that of
        the difference of two independent estimates, √(se₁² + se₂²): too large where both rest on the same answers, so
        the ranking errs towards calm. What has no interval or stands in one release only comes last.
    """
    frames = [pd.DataFrame(rows, columns=[*KEYS, "estimate", "se", "mark"]) for rows in (before, after)]
    # A key may stand twice in a table of several kinds of estimates.
    numbered = [frame.assign(place=frame.groupby(KEYS).cumcount()) for frame in frames]
    both = numbered[0].merge(numbered[1], on=[*KEYS, "place"], how="outer", suffixes=("_before", "_after"))
    first, second = (both[f"estimate_{side}"].astype(float) for side in ("before", "after"))
    se = np.hypot(both["se_before"].astype(float), both["se_after"].astype(float))
    change = second - first
    table = both[KEYS].assign(
        before=first,
        after=second,
        mark_before=both["mark_before"],
        mark_after=both["mark_after"],
        change=change,
        se=se,
        standard_errors=(change.abs() / se).where(se > 0),
    )
    is_same = (change == 0) | (first.isna() & second.isna() & (both["mark_before"] == both["mark_after"]))
    return (
        table[~is_same]
        .sort_values(["standard_errors", *KEYS], ascending=[False, True, True, True])
        .reset_index(drop=True)
    )


def changes_between(before: Results, after: Results, *, level: float) -> list[dict[str, Any]]:
    """The same as rows of plain values, straight from the tables of two releases."""
    table = rank_changes(cells_of(before, level=level), cells_of(after, level=level))
    return [
        {str(name): None if pd.isna(value) else value for name, value in row.items()}
        for row in table.to_dict("records")
    ]


def in_words(changes: list[dict[str, Any]], *, study: Study, language: str) -> list[dict[str, str]]:
    """Changed numbers for a reader: what each is, both values as printed, and how many standard errors lie between."""
    labels, text = Labels(study, language), Catalogue(language)

    def shown(value: float | None, mark: str | None, unit: str, statistic: str) -> str:
        if value is None:
            return f"[{mark}]" if mark else "–"
        return labels.number(value, unit, statistic)

    told = []
    for row in changes:
        key = json.loads(row["key"])
        names = [
            measure_title(labels, text, key["measure"]),
            labels.region(key["region"]),
            category_title(labels, text, key["by"], key["category"]) if key["category"] else "",
            labels.period(key["period"]),
        ]
        printed = {
            side: shown(row[side], row[f"mark_{side}"], key["unit"], key["statistic"]) for side in ("before", "after")
        }
        errors = row["standard_errors"]
        told.append(
            {
                text("diff.what"): text("alt.separator").join(name for name in names if name),
                **{text(f"diff.{side}"): value for side, value in printed.items()},
                text("diff.standard_errors"): "–" if errors is None else f"{errors:.1f}",
            }
        )
    return told


def _number(value: float) -> float | None:
    return None if pd.isna(value) else float(value)
