"""Raw means of regions with and without a reform, quarter by quarter, and the path fitted for no reform."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis_lib.disclosure.protect import ProtectedTable
from analysis_lib.figures import marks, style
from analysis_lib.figures.effect_paths import draw_start
from analysis_lib.figures.labels import Labels
from analysis_lib.figures.reform_rows import KEPT, rows_of
from analysis_lib.quarters import Quarter
from analysis_lib.reforms import read_reforms
from analysis_lib.study import NATION, Study

PLOT_PX, LEFT_PX, RIGHT_PX, KEY_PX, BOTTOM_PX = 160, 30, 10, 17, 26
SWATCH_PX = 20
MARGIN = 0.06  # of what is drawn, left free above and below
SERIES = {
    "treated": {"zh": "改革地区", "en": "Regions with the reform"},
    "without": {"zh": "改革地区，若无改革（拟合）", "en": "The same, had there been no reform (fitted)"},
    "comparison": {"zh": "对照地区", "en": "Comparison regions"},
}
COLOURS = {"treated": style.ACCENT, "without": style.ACCENT, "comparison": style.SERIES[1]}
COLUMNS = ["series", "label", "quarter", "place", "start", *KEPT, "text"]


def prepare_exposure_trends(
    means: ProtectedTable, reform: str, measure: str, *, study: Study, language: str, region: str = NATION
) -> pd.DataFrame:
    """One row per series and quarter.

    Returns
    -------
    pandas.DataFrame
        series (treated, without, comparison), label, quarter, place (quarters since the first), start (place of the
        first start; missing when it is not in the register), unit, value, ci_low, ci_high, mark, text.
    """
    labels = Labels(study, language)
    rows = rows_of(means, "exposure", reform, region=region, parts=["series"])
    rows = rows[(rows["measure"] == measure) & rows["series"].isin(list(SERIES))]
    rows = rows.sort_values(["series", "period"], key=lambda each: each.map(_place_of), ignore_index=True)
    first = Quarter.parse(rows["period"].min()) if len(rows) else None
    start = next((each.first_start(study, region) for each in read_reforms(study) if each.id == reform), None)
    return rows.assign(
        label=[SERIES[each][language] for each in rows["series"]],
        quarter=rows["period"],
        place=[Quarter.parse(text) - first for text in rows["period"]] if first else [],
        start=start - first - 0.5 if start is not None and first else float("nan"),
        text=labels.cells(rows),
    )[COLUMNS]


def _place_of(text: str) -> str:
    return str(list(SERIES).index(text)) if text in SERIES else text


@style.styled
def draw_exposure_trends(frame: pd.DataFrame) -> Figure:
    """Lines in their bands, the fitted path dashed; a key above, in the colours of the lines.

    The upright axis holds what is drawn and not zero: whether lines run alike is seen in their steps.
    """
    parts = [(str(name), part) for name, part in frame.groupby("series", sort=False)]
    top = KEY_PX * len(parts) + 6
    (axes,) = style.new_panels(
        1, height=top + PLOT_PX + BOTTOM_PX, left=LEFT_PX, right=RIGHT_PX, top=top, bottom=BOTTOM_PX
    )
    drawn = frame[["value", "ci_low", "ci_high"]].to_numpy(float)
    low, high = np.nanmin(drawn), np.nanmax(drawn)
    beyond = MARGIN * ((high - low) or 1.0)
    axes.set(xlim=(-0.3, max(frame["place"].max(), 1) + 0.3), ylim=(low - beyond, high + beyond))
    marks.numbers_beside(axes, steps=4)
    for row, (name, part) in enumerate(parts):
        colour, is_fitted = COLOURS[name], name == "without"
        look = {"color": colour, "linewidth": 2, "linestyle": (0, (3, 1.8)) if is_fitted else "-", "clip_on": False}
        if not is_fitted:
            axes.fill_between(part["place"], part["ci_low"], part["ci_high"], color=style.tint(colour), linewidth=0)
        axes.add_artist(Line2D(part["place"], part["value"], marker="" if is_fitted else "o", markersize=3, **look))
        above = top - 4 - KEY_PX * (row + 0.5)
        height = 1 + above / PLOT_PX
        left, width = -LEFT_PX, style.PANEL_WIDTH - LEFT_PX - RIGHT_PX
        axes.add_artist(
            Line2D([left / width, (left + SWATCH_PX) / width], [height, height], transform=axes.transAxes, **look)
        )
        axes.annotate(part["label"].iloc[0], (left / width, height), (SWATCH_PX + 6, 0), xycoords="axes fraction",
                      textcoords="offset points", va="center", fontsize=style.TEXT_PX, color=colour)  # fmt: skip
    start = frame["start"].iloc[0]
    if 0 < start < frame["place"].max():
        draw_start(axes, start)
    quarters = frame.drop_duplicates("quarter").sort_values("place")
    years = quarters[quarters["quarter"].str.endswith("Q1")]
    years = years if len(years) else quarters.head(1)
    marks.words_below(axes, years["place"], [text.removesuffix("Q1") for text in years["quarter"]])
    return style.figure_of([axes])
