"""Rows of a reform's effects, taken out of a protected table, with the parts of their category."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis_lib.disclosure.protect import ProtectedTable
from analysis_lib.figures.labels import Labels

BOUNDS = ["value", "ci_low", "ci_high"]
KEPT = ["unit", *BOUNDS, "mark"]


def rows_of(table: ProtectedTable, by: str, reform: str, *, region: str, parts: list[str]) -> pd.DataFrame:
    """Rows of one kind and one reform; ``parts`` name what follows the reform in their categories.

    The last part keeps whatever dots it holds. A category with fewer parts is of another kind and left out.
    """
    frame, prefix = table.table, f"{reform}."
    frame = frame[(frame["by"] == by) & (frame["region"] == region) & frame["category"].str.startswith(prefix)]
    split = [text.removeprefix(prefix).split(".", len(parts) - 1) for text in frame["category"]]
    is_whole = np.array([len(each) == len(parts) for each in split], dtype=bool)
    named = pd.DataFrame([each for each in split if len(each) == len(parts)], columns=pd.Index(parts), dtype=str)
    return frame[is_whole].drop(columns=parts, errors="ignore").reset_index(drop=True).join(named)


def reforms_in(table: ProtectedTable, by: str) -> list[str]:
    """Reforms of which a table has published rows of a kind, in its order; the others have nothing to draw."""
    frame = table.table
    told = frame[(frame["by"] == by) & frame["value"].notna()]["category"]
    return list(dict.fromkeys(category.split(".")[0] for category in told))


def signed_texts(frame: pd.DataFrame, labels: Labels) -> list[str]:
    """Effects as text: with a sign, zero without one, withheld ones as their mark."""
    texts = []
    for row in frame.to_dict("records"):
        if pd.isna(row["value"]):
            texts.append(f"[{row['mark']}]")
        else:
            text = labels.signed(row["value"], row["unit"]) if row["value"] else labels.number(0.0, row["unit"])
            texts.append(f"{text} [{row['mark']}]" if row["mark"] else text)
    return texts


def about_zero(frame: pd.DataFrame, margin: float = 0.06) -> tuple[float, float]:
    """Ends of an axis that holds all values, their bounds and zero, and a little beyond."""
    bounds = frame[BOUNDS].fillna(0.0).to_numpy(float)
    low, high = min(0.0, bounds.min(initial=0.0)), max(0.0, bounds.max(initial=0.0))
    beyond = margin * ((high - low) or 1.0)
    return low - beyond, high + beyond
