"""Measures quarter by quarter: a line in its interval band, dated reforms, the last value written at its end."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis_lib.disclosure.policy import BREAK
from analysis_lib.disclosure.protect import ProtectedTable
from analysis_lib.figures import marks, style
from analysis_lib.figures.labels import NO_CATEGORY, Labels, in_order
from analysis_lib.quarters import QUARTERS_PER_YEAR, Quarter
from analysis_lib.reforms import read_reforms
from analysis_lib.study import NATION, Study

PLOT_PX, LEFT_PX, TITLE_PX, BOTTOM_PX = 150, 30, 30, 26
REFORM_PX = 16  # a line of text for each reform, between title and plot
HEADROOM = 1.06


def reform_lines(study: Study, *, language: str, region: str = NATION) -> pd.DataFrame:
    """When each reform first came into force in a region, in order of time: quarter, label."""
    dated = [(reform.first_start(study, region), reform.titles[language]) for reform in read_reforms(study)]
    rows = [(str(start), title) for start, title in dated if start is not None]
    return pd.DataFrame(rows, columns=["quarter", "label"]).sort_values("quarter", kind="stable", ignore_index=True)


def prepare_trend(
    series: ProtectedTable, measures: list[str], *, study: Study, language: str, region: str = NATION
) -> pd.DataFrame:
    """One row per measure and quarter of the series, with the nation's value beside a region's.

    Returns
    -------
    pandas.DataFrame
        panel (the measure's title), measure, series (its place among the measures), quarter, place (quarters since
        the first), unit, value, ci_low, ci_high, mark, text, nation.
    """
    labels = Labels(study, language)
    table = series.table
    table = table[table["measure"].isin(measures) & (table["by"] == NO_CATEGORY)]
    nation = table[table["region"] == NATION].set_index(["measure", "period"])["value"]
    rows = table[table["region"] == region]
    rows = in_order(rows, measure=measures, period=sorted(set(rows["period"])))
    first = Quarter.parse(min(rows["period"])) if len(rows) else None
    beside = nation.reindex(pd.MultiIndex.from_frame(rows[["measure", "period"]])).to_numpy()
    return pd.DataFrame(
        {
            "panel": rows["measure"].map(labels.measure),
            "measure": rows["measure"],
            "series": rows["measure"].map(measures.index),
            "quarter": rows["period"],
            "place": [Quarter.parse(text) - first for text in rows["period"]] if first else [],
            **{column: rows[column] for column in ("unit", "value", "ci_low", "ci_high", "mark")},
            "text": labels.cells(rows),
            "nation": beside if region != NATION else float("nan"),
        }
    ).reset_index(drop=True)


@style.styled
def draw_trend(frame: pd.DataFrame, *, reforms: pd.DataFrame | None = None, upper: float | None = None) -> Figure:
    """One panel per measure on a common axis from zero."""
    upper = upper or upper_end(frame)
    names = list(frame["panel"].unique())
    drawn = _within(frame, reforms)
    top = TITLE_PX + REFORM_PX * len(drawn)
    right = style.value_column(list(frame["text"]))
    panels = style.new_panels(
        len(names), height=top + PLOT_PX + BOTTOM_PX, left=LEFT_PX, right=right, top=top, bottom=BOTTOM_PX
    )
    for name, axes in zip(names, panels, strict=True):
        part = frame[frame["panel"] == name]
        _draw_panel(axes, part, upper, style.SERIES[int(part["series"].iloc[0]) % len(style.SERIES)])
        _draw_reforms(axes, drawn)
        style.title(axes, name, left=LEFT_PX, top=top)
    return style.figure_of(panels)


def upper_end(frame: pd.DataFrame) -> float:
    """Where the common axis ends: a little above the largest bound."""
    return style.largest(frame, ["value", "ci_high", "nation"]) * HEADROOM


def _draw_panel(axes: Axes, part: pd.DataFrame, upper: float, colour: str) -> None:
    axes.set(xlim=(-0.3, max(part["place"].max(), 1) + 0.3), ylim=(0, upper))
    # A line across a change of instrument that nothing links would compare what cannot be compared.
    for _, piece in part.groupby(part["mark"].str.startswith(BREAK).cumsum()):
        axes.fill_between(piece["place"], piece["ci_low"], piece["ci_high"], color=style.tint(colour), linewidth=0)
        if piece["nation"].notna().any():
            axes.add_artist(Line2D(piece["place"], piece["nation"], color=style.NATION, linewidth=1.4))
        # Withheld quarters are gaps: matplotlib breaks a line at missing values, where seaborn would bridge them.
        axes.add_artist(Line2D(piece["place"], piece["value"], color=colour, linewidth=2, marker="o", markersize=3))
    last = part[part["value"].notna()].tail(1)
    for row in last.to_dict("records"):
        axes.annotate(row["text"], (row["place"], row["value"]), (7, 0), textcoords="offset points", va="center",
                      color=colour, fontweight="bold", fontsize=style.TEXT_PX)  # fmt: skip
    years = part[part["quarter"].str.endswith("Q1") | (part["place"] == 0)]
    crowded = len(years) > 1 and years["place"].iloc[1] - years["place"].iloc[0] < QUARTERS_PER_YEAR - 1
    years = years.iloc[1:] if crowded else years
    marks.numbers_beside(axes, steps=4)
    marks.words_below(axes, years["place"], [text[:4] if text.endswith("Q1") else text for text in years["quarter"]])


def _within(frame: pd.DataFrame, reforms: pd.DataFrame | None) -> list[tuple[float, str]]:
    """Place on the axis and label of each reform that falls between the first and the last quarter drawn."""
    if reforms is None or frame.empty:
        return []
    first, last = Quarter.parse(frame["quarter"].min()), Quarter.parse(frame["quarter"].max())
    return [
        # A reform starts with its quarter; a quarter's point stands for the middle of it.
        (Quarter.parse(row["quarter"]) - first - 0.5, row["label"])
        for row in reforms.to_dict("records")
        if first < Quarter.parse(row["quarter"]) <= last
    ]


def _draw_reforms(axes: Axes, reforms: list[tuple[float, str]]) -> None:
    """A dashed line for each reform, ending below its label: the earliest has the top row."""
    panel_end = axes.bbox.x0 - LEFT_PX + style.PANEL_WIDTH
    for row, (place, label) in enumerate(reversed(reforms)):
        label = style.shortened(label, style.PANEL_WIDTH, style.SMALL_PX)
        end = 1 + (row * REFORM_PX + 3) / PLOT_PX
        axes.add_artist(Line2D([place, place], [0, end], transform=axes.get_xaxis_transform(), color=style.REFORM,
                               linewidth=1.1, linestyle=(0, (4, 2.5)), clip_on=False))  # fmt: skip
        from_end = panel_end - axes.transData.transform((place, 0))[0]
        moved = min(0, from_end - style.text_width(label, style.SMALL_PX))  # a late reform's label ends with the panel
        axes.annotate(label, (place, end), (moved, 7), xycoords=axes.get_xaxis_transform(), va="center",
                      textcoords="offset points", color=style.REFORM, fontsize=style.SMALL_PX,
                      bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5})  # fmt: skip
