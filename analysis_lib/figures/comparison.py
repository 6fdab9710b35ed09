"""Places or groups side by side: a dot in its interval for each, in code order, against the whole."""

from __future__ import annotations

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from analysis_lib.disclosure.protect import ProtectedTable
from analysis_lib.figures import style
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
    return rows.assign(
        label=names, is_reference=is_reference, text=[labels.cell(row) for _, row in rows.iterrows()]
    ).reset_index(drop=True)[COLUMNS]


@style.styled
def draw_comparison(frame: pd.DataFrame) -> Figure:
    """Dots with intervals on an axis from zero, and a line through the reference."""
    lines, left, row_px = style.label_column(list(frame["label"]))
    right = style.value_column(list(frame["text"]))
    (axes,) = style.new_panels(
        1, height=TOP_PX + len(frame) * row_px + BOTTOM_PX, left=left, right=right, top=TOP_PX, bottom=BOTTOM_PX
    )
    for place, row in enumerate(frame.to_dict("records")):
        is_reference = row["is_reference"]
        colour = style.INK if is_reference else style.ACCENT
        if is_reference:
            axes.axvline(row["value"], color=style.NATION, linewidth=1.2, zorder=0, clip_on=False)
        axes.hlines(place, row["ci_low"], row["ci_high"], color=colour, linewidth=2, clip_on=False)
        axes.plot(row["value"], place, marker="D" if is_reference else "o", markersize=6, color=colour, clip_on=False)
        axes.annotate(row["text"], (1, place), (6, 0), xycoords=axes.get_yaxis_transform(), va="center",
                      textcoords="offset points", fontsize=style.TEXT_PX,
                      fontweight="bold" if is_reference else "normal")  # fmt: skip
    axes.set(xlim=(0, style.largest(frame, ["value", "ci_high"]) * 1.04))
    style.finish_rows(axes, lines)
    axes.locator_params(axis="x", nbins=4)
    axes.tick_params(axis="x", length=0, pad=4)
    axes.grid(axis="x", color=style.GHOST, linewidth=0.8)
    axes.set_axisbelow(True)
    sns.despine(ax=axes, left=True)
    return style.figure_of([axes])
