"""The nested measures in one picture: bars inside the first one's length, each with its interval."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from analysis_lib.disclosure.protect import ProtectedTable
from analysis_lib.figures import marks, style
from analysis_lib.figures.labels import NO_CATEGORY, Labels, the_period
from analysis_lib.study import NATION, Study

ROW_PX, BAR_PX, LEFT_PX, EDGE_PX = 52, 20, 1, 2
VALUE_PX = style.TEXT_PX + 2


def prepare_nested(
    hours: ProtectedTable, *, study: Study, language: str, region: str = NATION, period: str | None = None
) -> pd.DataFrame:
    """One row per nested measure of the study, in its order.

    Returns
    -------
    pandas.DataFrame
        measure, label, unit, value, ci_low, ci_high, mark, text.
    """
    labels = Labels(study, language)
    table = hours.table
    here = (table["region"] == region) & (table["by"] == NO_CATEGORY)
    table = table[here & (table["period"] == the_period(table, period))].set_index("measure")
    keys = [key for key in study.config.estimation.nested if key in table.index]
    rows = table.loc[keys]
    return pd.DataFrame(
        {
            "measure": keys,
            "label": [labels.measure(key) for key in keys],
            **{column: rows[column].to_list() for column in ("unit", "value", "ci_low", "ci_high", "mark")},
            "text": labels.cells(rows),
        }
    )


@style.styled
def draw_nested(frame: pd.DataFrame) -> Figure:
    """Bars from zero; a pale bar of the first measure's length lies behind each, so that parts are seen as parts."""
    right = style.value_column(list(frame["text"]), VALUE_PX)
    (axes,) = style.new_panels(
        1, height=len(frame) * ROW_PX + 2 * EDGE_PX, left=LEFT_PX, right=right, top=EDGE_PX, bottom=EDGE_PX
    )
    axes.set(xlim=(0, style.largest(frame, ["value", "ci_high"])), ylim=(len(frame), 0))
    height, middles = BAR_PX / ROW_PX, [place + 0.68 for place in range(len(frame))]
    colours = [style.SERIES[place % len(style.SERIES)] for place in range(len(frame))]
    marks.bars(axes, middles, frame["value"].head(1).sum(), height=height, colour=style.GHOST)
    marks.bars(axes, middles, frame["value"], height=height, colour=colours)
    marks.intervals_on_bars(axes, middles, frame["ci_low"], frame["ci_high"])
    for middle, label, text, colour in zip(middles, frame["label"], frame["text"], colours, strict=True):
        axes.annotate(style.shortened(label, style.PANEL_WIDTH - LEFT_PX), (0, middle), (0, BAR_PX / 2 + 5),
                      textcoords="offset points", va="bottom", fontsize=style.TEXT_PX)  # fmt: skip
        axes.annotate(text, (1, middle), (6, 0), xycoords=axes.get_yaxis_transform(), va="center",
                      textcoords="offset points", fontsize=VALUE_PX, fontweight="bold", color=colour)  # fmt: skip
    return style.figure_of([axes])
