"""Small areas: a panel for each region above them; full dots are direct estimates, hollow ones come from the model."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis_lib.disclosure.protect import ProtectedTable
from analysis_lib.figures import marks, style
from analysis_lib.figures.labels import Labels
from analysis_lib.study import Study

TOP_PX, BOTTOM_PX = 26, 26
KINDS = {"direct": {"zh": "直接", "en": "direct"}, "model": {"zh": "模型", "en": "model"}, "": {"zh": "", "en": ""}}
COLUMNS = [
    "panel", "label", "unit", "value", "ci_low", "ci_high", "n", "mark", "text", "kind", "kind_text", "shrinkage",
]  # fmt: skip


def prepare_areas(areas: ProtectedTable, measure: str, *, study: Study, language: str) -> pd.DataFrame:
    """One row per area in code order, never ranked.

    Returns
    -------
    pandas.DataFrame
        panel (the region above), label, unit, value, ci_low, ci_high, n, mark, text, kind, kind_text, and shrinkage: the
        weight of the area's own diaries in its model estimate.
    """
    labels = Labels(study, language)
    table = areas.table
    table = table[table["measure"] == measure].set_index("region")
    if table.empty:
        return pd.DataFrame(columns=COLUMNS)
    codes = [code for code in study.regions.index if code in table.index]
    rows = table.loc[codes]
    return rows.assign(
        panel=[labels.region(str(study.regions.at[code, "parent"])) for code in codes],
        label=[labels.region(code) for code in codes],
        text=labels.cells(rows),
        kind_text=[KINDS[kind][language] for kind in rows["kind"]],
    ).reset_index(drop=True)[COLUMNS]


@style.styled
def draw_areas(frame: pd.DataFrame, *, upper: float | None = None) -> Figure:
    """Panels on a common axis from zero; beside each area its value and kind."""
    upper = upper or upper_end(frame)
    parts = [(str(name), part) for name, part in frame.groupby("panel", sort=False)]
    rows = max(len(part) for _, part in parts)
    _, left, row_px = style.label_column(list(frame["label"]))
    right = style.value_column([f"{text} {kind}" for text, kind in zip(frame["text"], frame["kind_text"], strict=True)])
    panels = style.new_panels(
        len(parts), height=TOP_PX + rows * row_px + BOTTOM_PX, left=left, right=right, top=TOP_PX, bottom=BOTTOM_PX
    )
    for (name, part), axes in zip(parts, panels, strict=True):
        _draw_panel(axes, part, upper)
        style.title(axes, name, left=left, top=TOP_PX)
    return style.figure_of(panels)


def upper_end(frame: pd.DataFrame) -> float:
    """Where the common axis ends: a little above the largest bound."""
    return style.largest(frame, ["value", "ci_high"]) * 1.04


def _draw_panel(axes: Axes, part: pd.DataFrame, upper: float) -> None:
    axes.set_xlim(0, upper)
    is_direct = (part["kind"] == "direct").to_numpy(bool)
    marks.rows(axes, style.label_column(list(part["label"]))[0])
    marks.numbers_below(axes, steps=3)
    marks.intervals(axes, range(len(part)), part["ci_low"], part["ci_high"], colour=style.ACCENT)
    for chosen, fill in ((is_direct, style.ACCENT), (~is_direct, "white")):
        marks.dots(axes, part["value"][chosen], np.flatnonzero(chosen), colour=style.ACCENT, fill=fill)
    marks.values(axes, [f"{text} {kind}" for text, kind in zip(part["text"], part["kind_text"], strict=True)])
