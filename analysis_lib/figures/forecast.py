"""A fan after the series: the quarters measured, then those to come in a widening band."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis_lib.disclosure.protect import ProtectedTable
from analysis_lib.figures import marks, style
from analysis_lib.figures.labels import NO_CATEGORY, Labels
from analysis_lib.figures.trend import BOTTOM_PX, HEADROOM, LEFT_PX, PLOT_PX, TITLE_PX
from analysis_lib.quarters import Quarter
from analysis_lib.study import NATION, Study


def prepare_forecast(
    series: ProtectedTable, forecasts: ProtectedTable, measures: list[str], *, study: Study, language: str
) -> pd.DataFrame:
    """One row per measure and quarter of the nation, those measured first.

    Returns
    -------
    pandas.DataFrame
        panel, quarter, label (the quarter), place, unit, value, ci_low, ci_high, mark, text, is_forecast.
    """
    labels = Labels(study, language)
    past, made = series.table, forecasts.table
    past = past[(past["by"] == NO_CATEGORY) & (past["region"] == NATION)].assign(is_forecast=False)
    rows = pd.concat([past, made[made["by"] == "forecast"].assign(is_forecast=True)], ignore_index=True)
    foreseen = set(made["measure"])
    rows = rows[rows["measure"].isin([key for key in measures if key in foreseen])]
    rows = rows.assign(order=rows["measure"].map(measures.index)).sort_values(["order", "period"], kind="stable")
    first = Quarter.parse(min(rows["period"])) if len(rows) else None
    return pd.DataFrame(
        {
            "panel": rows["measure"].map(labels.measure),
            "quarter": rows["period"],
            "label": rows["period"],
            "place": [Quarter.parse(text) - first for text in rows["period"]] if first else [],
            **{column: rows[column] for column in ("unit", "value", "ci_low", "ci_high", "mark", "is_forecast")},
            "text": labels.cells(rows),
        }
    ).reset_index(drop=True)


@style.styled
def draw_forecast(frame: pd.DataFrame, *, upper: float | None = None) -> Figure:
    """One panel per measure on a common axis from zero; what is foreseen is grey and hollow."""
    upper = upper or upper_end(frame)
    right = style.value_column(list(frame["text"]))
    parts = [(str(name), part) for name, part in frame.groupby("panel", sort=False)]
    panels = style.new_panels(
        len(parts), height=TITLE_PX + PLOT_PX + BOTTOM_PX, left=LEFT_PX, right=right, top=TITLE_PX, bottom=BOTTOM_PX
    )
    for (name, part), axes in zip(parts, panels, strict=True):
        axes.set(xlim=(-0.3, part["place"].max() + 0.3), ylim=(0, upper))
        _draw_panel(axes, part)
        style.title(axes, name, left=LEFT_PX, top=TITLE_PX)
    return style.figure_of(panels)


def upper_end(frame: pd.DataFrame) -> float:
    """Where the common axis ends: a little above the largest bound."""
    return style.largest(frame, ["value", "ci_high"]) * HEADROOM


def _draw_panel(axes: Axes, part: pd.DataFrame) -> None:
    is_forecast = part["is_forecast"].to_numpy(bool)
    past, fan = part[~is_forecast], part[is_forecast]
    # The fan opens at the last quarter measured, so that it is seen to follow from it.
    joined = pd.concat([past[past["value"].notna()].tail(1), fan], ignore_index=True)
    for rows, colour, line in ((past, style.ACCENT, "solid"), (joined, style.NATION, (0, (3, 2)))):
        axes.fill_between(rows["place"], rows["ci_low"], rows["ci_high"], color=style.tint(colour), linewidth=0)
        axes.add_artist(Line2D(rows["place"], rows["value"], color=colour, linewidth=1.8, linestyle=line))
    marks.dots(axes, past["place"], past["value"], colour=style.ACCENT, size=3)
    marks.dots(axes, fan["place"], fan["value"], colour=style.NATION, fill="white", size=4)
    for row in part[part["value"].notna()].tail(1).to_dict("records"):
        axes.annotate(row["text"], (row["place"], row["value"]), (7, 0), textcoords="offset points", va="center",
                      color=style.MUTED, fontsize=style.TEXT_PX)  # fmt: skip
    marks.numbers_beside(axes, steps=4)
    years = part[part["quarter"].str.endswith("Q1")]
    marks.words_below(axes, years["place"], [text[:4] for text in years["quarter"]])
