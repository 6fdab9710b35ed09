"""From what is counted to what the diaries hold: bars that start where the one above ends."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis_lib.disclosure.protect import ProtectedTable
from analysis_lib.figures import marks, style
from analysis_lib.figures.labels import NO_CATEGORY, Labels
from analysis_lib.study import NATION, Study
from analysis_lib.survey.bottom_up import diary_headline

TOP_PX, BOTTOM_PX, BAR_SHARE = 4, 26, 0.56
TOTAL, GAP = "bottom_up_total", "bottom_up_gap"
STEPS = [f"{GAP}_counts", f"{GAP}_minutes", f"{GAP}_not_counted", f"{GAP}_remainder"]
COLUMNS = ["measure", "label", "unit", "start", "value", "ci_low", "ci_high", "mark", "text", "is_total"]


def prepare_waterfall(bottom_up: ProtectedTable, *, study: Study, language: str, region: str = NATION) -> pd.DataFrame:
    """The bottom-up hours, each part of the gap, and the hours of the diaries.

    Returns
    -------
    pandas.DataFrame
        measure, label, unit, start (where the bar begins, in hours), value, ci_low, ci_high, mark, text, is_total. No
        rows where the study counts nothing.
    """
    labels = Labels(study, language)
    table = bottom_up.table
    table = table[(table["region"] == region) & (table["by"] == NO_CATEGORY)].set_index("measure")
    keys = [key for key in [TOTAL, *STEPS, diary_headline(study)] if key in table.index]
    rows = table.loc[keys]
    is_total = np.array([key not in STEPS for key in keys], dtype=bool)
    value = rows["value"].to_numpy(float)
    steps = np.where(is_total, 0.0, np.nan_to_num(value))
    start = np.where(is_total, 0.0, np.nan_to_num(value[:1]).sum() + steps.cumsum() - steps)
    return pd.DataFrame(
        {
            "measure": keys,
            "label": [labels.measure(key) for key in keys],
            "start": start,
            **{column: rows[column].to_list() for column in ("unit", "value", "ci_low", "ci_high", "mark")},
            "text": [
                labels.cell(row) if total or pd.isna(row["value"]) else labels.signed(row["value"], row["unit"])
                for (_, row), total in zip(rows.iterrows(), is_total, strict=True)
            ],
            "is_total": is_total,
        }
    )[COLUMNS]


@style.styled
def draw_waterfall(frame: pd.DataFrame) -> Figure:
    """Horizontal bars, totals dark and parts lighter, each with its interval at its end."""
    lines, left, row_px = style.label_column(list(frame["label"]))
    right = style.value_column(list(frame["text"]))
    (axes,) = style.new_panels(
        1, height=TOP_PX + len(frame) * row_px + BOTTOM_PX, left=left, right=right, top=TOP_PX, bottom=BOTTOM_PX
    )
    ends = frame["start"] + frame["ci_high"].fillna(frame["value"])
    axes.set(xlim=(min(0.0, (frame["start"] + frame["ci_low"]).min()), (ends.max() or 1.0) * 1.04))
    places, is_total = range(len(frame)), frame["is_total"].to_numpy(bool)
    colours = [style.ACCENT if each else style.SERIES[1] for each in is_total]
    marks.rows(axes, lines)
    marks.numbers_below(axes, steps=4)
    marks.bars(axes, places, frame["value"], start=frame["start"], height=BAR_SHARE, colour=colours)
    marks.intervals_on_bars(axes, places, frame["start"] + frame["ci_low"], frame["start"] + frame["ci_high"])
    marks.values(axes, frame["text"], bold=is_total)
    return style.figure_of([axes])
