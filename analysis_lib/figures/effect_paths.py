"""Effects over time: by quarters since the start, or by quarter for each group of regions that started together."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis_lib.disclosure.protect import ProtectedTable
from analysis_lib.figures import marks, style
from analysis_lib.figures.labels import Labels
from analysis_lib.figures.reform_rows import KEPT, about_zero, rows_of, signed_texts
from analysis_lib.quarters import Quarter
from analysis_lib.study import NATION, Study

PLOT_PX, LEFT_PX, RIGHT_PX, TITLE_PX, BOTTOM_PX = 150, 34, 8, 40, 40
MOST_TICKS = 7
WIDE = 4  # times the median width, from which on an interval runs out of the picture
COLUMNS = ["panel", "place", "when", "start", "tick", "is_before", *KEPT, "text", "axis"]

_SINCE = {"zh": "距开始的季度数", "en": "quarters since the start"}
_STARTED = {"zh": "{}开始", "en": "Started in {}"}
_LOOK = {"zh": "第几次查看", "en": "look"}
_LOOK_OF = {"zh": "{}（{}）", "en": "{} ({})"}
_QUARTER = {"zh": "季度", "en": "quarter"}


def prepare_event_study(
    effects: ProtectedTable, reform: str, measures: list[str], *, study: Study, language: str, region: str = NATION
) -> pd.DataFrame:
    """One row per measure and number of quarters since the start, a panel for each measure.

    Returns
    -------
    pandas.DataFrame
        panel, place (quarters since the start), when (the same in words), start (place of its line), tick, is_before,
        unit, value, ci_low, ci_high, mark, text, axis (name of the level axis).
    """
    labels = Labels(study, language)
    rows = rows_of(effects, "event_time", reform, region=region, parts=["time"])
    rows = rows[rows["measure"].isin(measures)].assign(place=rows["time"].astype(int))
    rows = rows.assign(order=rows["measure"].map(measures.index)).sort_values(["order", "place"], ignore_index=True)
    return rows.assign(
        panel=rows["measure"].map(labels.measure),
        when=[f"{place:+d}".replace("-", "−") if place else "0" for place in rows["place"]],
        start=-0.5,  # the start is the beginning of a quarter, whose point stands for its middle
        tick=[f"{place}".replace("-", "−") for place in rows["place"]],
        is_before=rows["place"] < 0,
        text=signed_texts(rows, labels),
        axis=_SINCE[language],
    )[COLUMNS]


def prepare_group_time(
    effects: ProtectedTable, reform: str, measure: str, *, study: Study, language: str, region: str = NATION
) -> pd.DataFrame:
    """One row per group and quarter, a panel for each quarter in which regions started; columns as the event study."""
    labels = Labels(study, language)
    rows = rows_of(effects, "group_time", reform, region=region, parts=["cohort", "quarter"])
    rows = rows[rows["measure"] == measure].sort_values(["cohort", "quarter"], ignore_index=True)
    first = Quarter.parse(rows["quarter"].min()) if len(rows) else None
    return rows.assign(
        panel=[_STARTED[language].format(labels.period(cohort)) for cohort in rows["cohort"]],
        place=[Quarter.parse(text) - first for text in rows["quarter"]] if first else [],
        when=rows["quarter"],
        start=[Quarter.parse(text) - first - 0.5 for text in rows["cohort"]] if first else [],
        tick=[text[:4] if text.endswith("Q1") else "" for text in rows["quarter"]],
        is_before=rows["quarter"] < rows["cohort"],
        text=signed_texts(rows, labels),
        axis=_QUARTER[language],
    )[COLUMNS]


def prepare_looks(
    looks: ProtectedTable, reform: str, measure: str, *, study: Study, language: str, region: str = NATION
) -> pd.DataFrame:
    """One row per look, with the interval that holds however often one looks; columns as the event study."""
    labels = Labels(study, language)
    rows = rows_of(looks, "look", reform, region=region, parts=["look"])
    rows = rows[(rows["measure"] == measure) & rows["look"].str.isdigit()].reset_index(drop=True)
    quarters = [str(period).split("–")[-1] for period in rows["period"]]
    when = [_LOOK_OF[language].format(*each) for each in zip(rows["look"], quarters, strict=True)]
    return rows.assign(
        panel=rows["measure"].map(labels.measure),
        place=rows["look"].astype(int),
        when=when,
        start=0.5,
        tick=rows["look"],
        is_before=False,
        text=signed_texts(rows, labels),
        axis=_LOOK[language],
    )[COLUMNS]


@style.styled
def draw_effect_path(frame: pd.DataFrame, *, limits: tuple[float, float] | None = None) -> Figure:
    """Dots in upright intervals about a line at zero, grey before the start; all panels on one axis.

    An interval that runs out of the picture ends in a triangle at its edge.
    """
    limits = limits or limits_of(frame)
    across = (frame["place"].min() - 0.7, frame["place"].max() + 0.7)
    parts = [(str(name), part) for name, part in frame.groupby("panel", sort=False)]
    panels = style.new_panels(
        len(parts), height=TITLE_PX + PLOT_PX + BOTTOM_PX, left=LEFT_PX, right=RIGHT_PX, top=TITLE_PX, bottom=BOTTOM_PX
    )
    for (name, part), axes in zip(parts, panels, strict=True):
        axes.set(xlim=across, ylim=limits)
        _draw_panel(axes, part)
        style.title(axes, name, left=LEFT_PX, top=TITLE_PX)
    return style.figure_of(panels)


def limits_of(frame: pd.DataFrame) -> tuple[float, float]:
    """Ends of the upright axis: all estimates, and intervals but those many times as wide as most."""
    width = frame["ci_high"] - frame["ci_low"]
    is_usual = width <= WIDE * width.median()
    shown = frame[["ci_low", "ci_high"]].where(is_usual, axis=0)
    return about_zero(frame.assign(ci_low=shown["ci_low"], ci_high=shown["ci_high"]))


def _draw_panel(axes: Axes, part: pd.DataFrame) -> None:
    marks.numbers_beside(axes, steps=4)
    marks.reference(axes, 0, upright=False)
    draw_start(axes, part["start"].iloc[0])
    is_before = part["is_before"].to_numpy(bool)
    colours = [style.NATION if each else style.ACCENT for each in is_before]
    low, high = axes.get_ylim()
    marks.intervals(
        axes,
        part["place"],
        part["ci_low"].clip(low, high),
        part["ci_high"].clip(low, high),
        colour=colours,
        upright=True,
    )
    for beyond, edge, marker in ((part["ci_high"] > high, high, "^"), (part["ci_low"] < low, low, "v")):
        if beyond.any():
            marks.dots(
                axes, part["place"][beyond], [edge] * int(beyond.sum()), colour=style.NATION, marker=marker, size=4
            )
    for chosen, colour in ((is_before, style.NATION), (~is_before, style.ACCENT)):
        marks.dots(axes, part["place"][chosen], part["value"][chosen], colour=colour, size=5)
    ticks = part[part["tick"] != ""]
    step = -(-len(ticks) // MOST_TICKS)
    zero = (
        ticks["place"].tolist().index(0) if 0 in set(ticks["place"]) else 0
    )  # the quarter of the start keeps its number
    ticks = ticks.iloc[zero % step :: step] if step else ticks
    marks.words_below(axes, ticks["place"], list(ticks["tick"]))
    axes.annotate(part["axis"].iloc[0], (1, 0), (0, -20), xycoords="axes fraction", textcoords="offset points", ha="right",
                  va="top", fontsize=style.SMALL_PX, color=style.MUTED)  # fmt: skip


def draw_start(axes: Axes, place: float, colour: str = style.REFORM) -> None:
    """The dashed line where a reform starts."""
    axes.add_artist(Line2D([place, place], [0, 1], transform=axes.get_xaxis_transform(), color=colour, linewidth=1.1,
                           linestyle=(0, (4, 2.5)), clip_on=False))  # fmt: skip
