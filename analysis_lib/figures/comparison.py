"""Places or groups side by side: a dot in its interval for each, in code order, against the whole."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis_lib.disclosure.protect import ProtectedTable
from analysis_lib.figures import marks, style
from analysis_lib.figures.labels import NO_CATEGORY, Labels, the_period
from analysis_lib.study import NATION, Study

TOP_PX, BOTTOM_PX = 4, 26
COLUMNS = ["label", "unit", "value", "ci_low", "ci_high", "mark", "text", "is_reference"]


def prepare_regions(
    hours: ProtectedTable,
    measure: str,
    *,
    study: Study,
    language: str,
    regions: list[str],
    reference: str = NATION,
    period: str | None = None,
) -> pd.DataFrame:
    """One row per region in the order given (never ranked), then the region they are compared with.

    Returns
    -------
    pandas.DataFrame
        label, unit, value, ci_low, ci_high, mark, text, is_reference.
    """
    labels = Labels(study, language)
    table = _of(hours, measure, period)
    table = table[table["by"] == NO_CATEGORY].set_index("region")
    codes = [code for code in [*regions, reference] if code in table.index]
    rows = table.loc[codes]
    return _labelled(rows, [labels.region(code) for code in codes], [code == reference for code in codes], labels)


def prepare_categories(
    hours: ProtectedTable,
    measure: str,
    *,
    study: Study,
    language: str,
    by: str,
    region: str = NATION,
    period: str | None = None,
) -> pd.DataFrame:
    """One row per category of a column, then the whole region; columns as `prepare_regions`."""
    labels = Labels(study, language)
    table = _of(hours, measure, period)
    table = table[(table["region"] == region) & table["by"].isin({by, NO_CATEGORY})].set_index("category")
    values = [*labels.categories(by, sorted(set(table.index) - {NO_CATEGORY})), NO_CATEGORY]
    rows = table.loc[[value for value in values if value in table.index]]
    names = [labels.category(by, value) if value else labels.region(region) for value in rows.index]
    return _labelled(rows, names, [value == NO_CATEGORY for value in rows.index], labels)


def _of(hours: ProtectedTable, measure: str, period: str | None) -> pd.DataFrame:
    table = hours.table
    return table[(table["measure"] == measure) & (table["period"] == the_period(table, period))]


def _labelled(rows: pd.DataFrame, names: list[str], is_reference: list[bool], labels: Labels) -> pd.DataFrame:
    return rows.assign(label=names, is_reference=is_reference, text=labels.cells(rows)).reset_index(drop=True)[COLUMNS]


@style.styled
def draw_comparison(frame: pd.DataFrame) -> Figure:
    """Dots with intervals on an axis from zero, and a line through the reference."""
    lines, left, row_px = style.label_column(list(frame["label"]))
    right = style.value_column(list(frame["text"]))
    (axes,) = style.new_panels(
        1, height=TOP_PX + len(frame) * row_px + BOTTOM_PX, left=left, right=right, top=TOP_PX, bottom=BOTTOM_PX
    )
    axes.set_xlim(0, style.largest(frame, ["value", "ci_high"]) * 1.04)
    is_reference = frame["is_reference"].to_numpy(bool)
    colours = [style.INK if each else style.ACCENT for each in is_reference]
    marks.rows(axes, lines)
    marks.numbers_below(axes, steps=4)
    marks.intervals(axes, range(len(frame)), frame["ci_low"], frame["ci_high"], colour=colours)
    for chosen, marker, colour in ((~is_reference, "o", style.ACCENT), (is_reference, "D", style.INK)):
        marks.dots(axes, frame["value"][chosen], np.flatnonzero(chosen), colour=colour, marker=marker)
    for value in frame["value"][is_reference]:
        marks.reference(axes, value)
    marks.values(axes, frame["text"], bold=is_reference)
    return style.figure_of([axes])
