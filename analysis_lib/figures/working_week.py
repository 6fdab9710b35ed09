"""How the working week divides among activity groups: bars with intervals, one panel per category."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from analysis_lib.disclosure.protect import ProtectedTable
from analysis_lib.figures import marks, style
from analysis_lib.figures.labels import NO_CATEGORY, Labels, in_order
from analysis_lib.study import NATION, Study

BAR_SHARE, TOP_PX, BOTTOM_PX = 0.62, 26, 4


def prepare_week(
    week: ProtectedTable, *, study: Study, language: str, region: str = NATION, by: str = NO_CATEGORY
) -> pd.DataFrame:
    """One row per panel and activity group, in the study's order of groups.

    Personal time is left out where the study has burden groups: it would dwarf the rest of the week.

    Returns
    -------
    pandas.DataFrame
        panel, measure, label, kind, unit, value, ci_low, ci_high, mark, text.
    """
    labels = Labels(study, language)
    kinds = labels.group_kinds
    shown = [key for key, kind in kinds.items() if kind != "personal" or "burden" not in kinds.values()]
    table = week.table
    table = table[(table["region"] == region) & table["by"].isin({NO_CATEGORY, by})]
    categories = labels.categories(by, sorted(set(table["category"]) - {NO_CATEGORY}))
    panels = [NO_CATEGORY, *categories] if by else [NO_CATEGORY]
    table = in_order(table, category=panels, measure=shown)
    return pd.DataFrame(
        {
            "panel": [labels.category(by, value) if value else labels.region(region) for value in table["category"]],
            "measure": table["measure"],
            "label": table["measure"].map(labels.measure),
            "kind": table["measure"].map(kinds),
            **{column: table[column] for column in ("unit", "value", "ci_low", "ci_high", "mark")},
            "text": labels.cells(table),
        }
    ).reset_index(drop=True)


@style.styled
def draw_week(frame: pd.DataFrame, *, upper: float | None = None) -> Figure:
    """Horizontal bars from zero; every panel of a page is given the same ``upper`` end of the axis."""
    upper = upper or upper_end(frame)
    names = list(frame["panel"].unique())
    keys = list(frame["label"].unique())
    lines, left, row_px = style.label_column(keys)
    right = style.value_column(list(frame["text"]))
    panels = style.new_panels(
        len(names), height=TOP_PX + len(keys) * row_px + BOTTOM_PX, left=left, right=right, top=TOP_PX, bottom=BOTTOM_PX
    )
    for name, axes in zip(names, panels, strict=True):
        part = frame[frame["panel"] == name]
        places, colours = part["label"].map(keys.index), part["kind"].map(style.KINDS).to_list()
        axes.set_xlim(0, upper)
        marks.rows(axes, lines)
        marks.bars(axes, places, part["value"], height=BAR_SHARE, colour=colours)
        marks.intervals_on_bars(axes, places, part["ci_low"], part["ci_high"])
        marks.values(axes, part.set_index("label")["text"].reindex(keys, fill_value="").to_list())
        marks.left_edge(axes)
        style.title(axes, name, left=left, top=TOP_PX)
    return style.figure_of(panels)


def upper_end(frame: pd.DataFrame) -> float:
    """Largest upper bound of a frame: where the common axis ends."""
    return style.largest(frame, ["value", "ci_high"])
