"""Changes beside the harm that they may do: a panel for each distinction, a row for each of its indicators."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis_lib.disclosure.protect import ProtectedTable
from analysis_lib.figures import marks, style
from analysis_lib.figures.labels import Labels
from analysis_lib.figures.reform_rows import BOUNDS, KEPT, signed_texts
from analysis_lib.monitoring.guardrails import BETTER_ABOVE, BY_GUARDRAIL, REQUIRED
from analysis_lib.study import Study

ROW_PX, TOP_PX, BOTTOM_PX, LEFT_PX = 42, 30, 24, 4
LABEL_PX = 13  # how far a row's label stands above its interval
FARTHEST = 4.0  # margins; what lies beyond is cut off
ENDS = {"zh": ("更好", "更差"), "en": ("better", "worse")}
COLUMNS = ["panel", "label", *KEPT, "text", "wanted", "margin", "outcome", "low", "middle", "high", "limit"]
_STYLES = {"kept": (style.ACCENT, None, "o"), "broken": (style.REFORM, None, "D"), "open": (style.NATION, "white", "o")}


def prepare_margins(
    guardrails: ProtectedTable,
    panels: Mapping[str, str],
    names: Mapping[str, str],
    *,
    study: Study,
    language: str,
) -> pd.DataFrame:
    """One row per indicator with a published change.

    Parameters
    ----------
    panels, names : mapping of str to str
        Title of each distinction, and of each indicator by its measure.

    Returns
    -------
    pandas.DataFrame
        panel, label, unit, value, ci_low, ci_high, mark, text, wanted, margin, outcome; and in margins, turned so that
        harm is above zero: low, middle, high, and limit, the place of the margin (−1 for a change that is required).
    """
    table = guardrails.table
    rows = table[(table["by"] == BY_GUARDRAIL) & table["ci_low"].notna() & (table["margin"] > 0)].reset_index(drop=True)
    distinction = rows["category"].str.split(".").str[0]
    turned = np.where(rows["wanted"].isin(BETTER_ABOVE), -1.0, 1.0)
    places = rows[BOUNDS].mul(turned / rows["margin"], axis=0)
    frame = rows.assign(
        panel=distinction.map(panels),
        label=rows["measure"].map(names),
        text=signed_texts(rows, Labels(study, language)),
        low=places[["ci_low", "ci_high"]].min(axis=1),
        middle=places["value"],
        high=places[["ci_low", "ci_high"]].max(axis=1),
        limit=np.where(rows["wanted"].isin(REQUIRED), -1.0, 1.0),
    )
    return frame[COLUMNS]


@style.styled
def draw_margins(frame: pd.DataFrame, *, language: str, limits: tuple[float, float] | None = None) -> Figure:
    """Intervals about zero, each with its margin as a short upright; the label of a row stands above it."""
    parts = [part for _, part in frame.groupby("panel", sort=False)]
    right = style.value_column(list(frame["text"]))
    heights = TOP_PX + ROW_PX * max(len(part) for part in parts) + BOTTOM_PX
    panels = style.new_panels(len(parts), height=heights, left=LEFT_PX, right=right, top=TOP_PX, bottom=BOTTOM_PX)
    most = max(len(part) for part in parts)
    for part, axes in zip(parts, panels, strict=True):
        axes.set_xlim(*(limits or limits_of(frame)))
        axes.set_ylim(most - 0.4, -0.6)
        _draw_panel(axes, part.reset_index(drop=True), ENDS[language])
        style.title(axes, str(part["panel"].iloc[0]), left=LEFT_PX, top=TOP_PX)
    return style.figure_of(panels)


def limits_of(frame: pd.DataFrame) -> tuple[float, float]:
    """Ends of an axis that holds margins and intervals, as far as `FARTHEST`."""
    low, high = min(-1.0, float(frame["low"].min())), max(1.0, float(frame["high"].max()))
    return max(low, -FARTHEST) - 0.2, min(high, FARTHEST) + 0.2


def _draw_panel(axes: Axes, part: pd.DataFrame, ends: tuple[str, str]) -> None:
    places = np.arange(len(part))
    left, right = axes.get_xlim()
    low, high = part["low"].clip(left, right), part["high"].clip(left, right)
    marks.reference(axes, 0)
    marks.dots(axes, part["limit"], places, colour=style.REFORM, marker="|", size=12)
    marks.intervals(axes, places, low, high, colour=[_STYLES[status][0] for status in part["outcome"]])
    middle = part["middle"].where(part["middle"].between(left, right))
    for status, (colour, fill, marker) in _STYLES.items():
        chosen = (part["outcome"] == status).to_numpy(bool)
        marks.dots(axes, middle[chosen], places[chosen], colour=colour, fill=fill, marker=marker)
    for place, label in zip(places, part["label"], strict=True):
        axes.annotate(style.shortened(label, style.PANEL_WIDTH - 2 * LEFT_PX, style.SMALL_PX), (0, place), (0, LABEL_PX),
                      xycoords=axes.get_yaxis_transform(), va="center", textcoords="offset points",
                      fontsize=style.SMALL_PX, bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5})  # fmt: skip
    marks.values(axes, part["text"])
    for text, place, side in zip(ends, (left, right), ("left", "right"), strict=True):
        axes.annotate(text, (place, 0), (0, -4), xycoords=axes.get_xaxis_transform(), ha=side, va="top",
                      textcoords="offset points", fontsize=style.SMALL_PX, color=style.MUTED)  # fmt: skip
