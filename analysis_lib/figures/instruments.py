"""One quantity by several instruments: as recalled, by diary, and both combined, each a dot in its interval."""

from __future__ import annotations

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from analysis_lib.disclosure.protect import ProtectedTable
from analysis_lib.figures import style
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
            "text": [labels.cell(row) for _, row in rows.iterrows()],
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
    for place, row in enumerate(frame.to_dict("records")):
        is_shown = row["kind"] == "combined"
        colour = style.ACCENT if is_shown else style.NATION
        axes.hlines(place, row["ci_low"], row["ci_high"], color=colour, linewidth=3)
        axes.plot(row["value"], place, marker="D" if is_shown else "o", markersize=7, color=colour)
        axes.annotate(row["text"], (1, place), (6, 0), xycoords=axes.get_yaxis_transform(), va="center",
                      textcoords="offset points", fontsize=style.TEXT_PX,
                      fontweight="bold" if is_shown else "normal")  # fmt: skip
    bounds = frame[["value", "ci_low", "ci_high"]].to_numpy(float)
    known = bounds[np.isfinite(bounds)]
    if len(known):
        low, high = float(known.min()), float(known.max())
        beyond = MARGIN * ((high - low) or 1.0)
        axes.set(xlim=(low - beyond, high + beyond))
    style.finish_rows(axes, lines)
    axes.locator_params(axis="x", nbins=4)
    axes.tick_params(axis="x", length=0, pad=4)
    axes.grid(axis="x", color=style.GHOST, linewidth=0.8)
    axes.set_axisbelow(True)
    sns.despine(ax=axes, left=True)
    return style.figure_of([axes])
