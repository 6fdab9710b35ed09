"""One quantity by several instruments: as recalled, by diary, and both combined, each a dot in its interval."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis_lib.disclosure.protect import ProtectedTable
from analysis_lib.figures import marks, style
from analysis_lib.figures.labels import NO_CATEGORY, Labels, the_period
from analysis_lib.study import NATION, Study

TOP_PX, BOTTOM_PX, ROW_PX = 4, 26, 34
MARGIN = 0.06  # of the axis, beyond the outermost bounds
KINDS = {
    "questionnaire": {"zh": "全体人员凭记忆", "en": "Everybody, by memory"},
    "diary": {"zh": "部分人员记日志", "en": "Some, by diary"},
    "combined": {"zh": "二者合并", "en": "Both combined"},
}


def prepare_instruments(
    hours: ProtectedTable, *, study: Study, language: str, region: str = NATION, period: str | None = None
) -> pd.DataFrame:
    """One row per measure of ``side_by_side``, in its order; none where the study names none.

    Returns
    -------
    pandas.DataFrame
        measure, kind, label, unit, value, ci_low, ci_high, n, mark, text.
    """
    labels = Labels(study, language)
    table = hours.table
    here = (table["region"] == region) & (table["by"] == NO_CATEGORY)
    table = table[here & (table["period"] == the_period(table, period))].set_index("measure")
    keys = [key for key in study.config.estimation.side_by_side if key in table.index]
    rows, kinds = table.loc[keys], [study.measures[key].kind for key in keys]
    return pd.DataFrame(
        {
            "measure": keys,
            "kind": kinds,
            "label": [KINDS[kind][language] if kind in KINDS else labels.measure(key)
                      for key, kind in zip(keys, kinds, strict=True)],
            **{column: rows[column].to_list() for column in ("unit", "value", "ci_low", "ci_high", "n", "mark")},
            "text": labels.cells(rows),
        }
    )  # fmt: skip


@style.styled
def draw_instruments(frame: pd.DataFrame) -> Figure:
    """Dots in intervals on an axis that spans them: lengths are compared, not distances from zero."""
    lines, left, _ = style.label_column(list(frame["label"]))
    right = style.value_column(list(frame["text"]))
    (axes,) = style.new_panels(
        1, height=TOP_PX + len(frame) * ROW_PX + BOTTOM_PX, left=left, right=right, top=TOP_PX, bottom=BOTTOM_PX
    )
    bounds = frame[["value", "ci_low", "ci_high"]].to_numpy(float)
    known = bounds[np.isfinite(bounds)]
    if len(known):
        low, high = float(known.min()), float(known.max())
        beyond = MARGIN * ((high - low) or 1.0)
        axes.set(xlim=(low - beyond, high + beyond))
    is_shown = (frame["kind"] == "combined").to_numpy(bool)
    colours = [style.ACCENT if each else style.NATION for each in is_shown]
    marks.rows(axes, lines)
    marks.numbers_below(axes, steps=4)
    marks.intervals(axes, range(len(frame)), frame["ci_low"], frame["ci_high"], colour=colours, width=3)
    for chosen, marker, colour in ((~is_shown, "o", style.NATION), (is_shown, "D", style.ACCENT)):
        marks.dots(axes, frame["value"][chosen], np.flatnonzero(chosen), colour=colour, marker=marker, size=7)
    marks.values(axes, frame["text"], bold=is_shown)
    return style.figure_of([axes])
