"""From the value last published to the one of today, step by step, on an axis that spans them."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis_lib.disclosure.protect import ProtectedTable
from analysis_lib.figures import marks, style
from analysis_lib.figures.labels import Labels
from analysis_lib.monitoring.change_account import BY_ACCOUNT, LAST, STEPS, THIS
from analysis_lib.study import NATION, Study

TOP_PX, BOTTOM_PX, BAR_SHARE = 4, 26, 0.5
MARGIN = 0.06  # of the axis, beyond the outermost bounds
LEAST_SPAN = 0.5  # hours: a movement of nothing is not drawn as a landslide


def prepare_movement(
    account: ProtectedTable,
    measure: str,
    titles: dict[str, str],
    *,
    study: Study,
    language: str,
    region: str = NATION,
) -> pd.DataFrame:
    """Rows of one account in its order: last value, steps, value of today.

    Parameters
    ----------
    titles : dict of str to str
        What each step is called.

    Returns
    -------
    pandas.DataFrame
        step, label, unit, start (where the step begins), value, ci_low, ci_high, mark, text, outcome, is_total; no rows
        where the measure has no account, or a withheld one.
    """
    labels = Labels(study, language)
    table = account.table
    here = (table["by"] == BY_ACCOUNT) & (table["measure"] == measure) & (table["region"] == region)
    rows = table[here].set_index("category")
    rows = rows.loc[[step for step in [LAST, *STEPS, THIS] if step in rows.index]]
    if rows["value"].isna().any():
        rows = rows.iloc[:0]
    is_total = np.array([step in (LAST, THIS) for step in rows.index], dtype=bool)
    value = rows["value"].to_numpy(float)
    steps = np.where(is_total, 0.0, value)
    first = value[0] if len(value) else 0.0
    return pd.DataFrame(
        {
            "step": list(rows.index),
            "label": [titles[step] for step in rows.index],
            "start": np.where(is_total, 0.0, first + steps.cumsum() - steps),
            **{name: rows[name].to_list() for name in ("unit", "value", "ci_low", "ci_high", "mark", "outcome")},
            "text": [
                labels.cell(row) if total else labels.signed(row["value"], row["unit"])
                for row, total in zip(rows.to_dict("records"), is_total, strict=True)
            ],
            "is_total": is_total,
        }
    )


@style.styled
def draw_movement(frame: pd.DataFrame) -> Figure:
    """Both ends as diamonds in their intervals, steps as bars between them; the axis does not start at zero."""
    lines, left, row_px = style.label_column(list(frame["label"]))
    right = style.value_column(list(frame["text"]))
    (axes,) = style.new_panels(
        1, height=TOP_PX + len(frame) * row_px + BOTTOM_PX, left=left, right=right, top=TOP_PX, bottom=BOTTOM_PX
    )
    places, is_total = np.arange(len(frame)), frame["is_total"].to_numpy(bool)
    start, value = frame["start"].to_numpy(float), frame["value"].to_numpy(float)
    low, high = start + frame["ci_low"].to_numpy(float), start + frame["ci_high"].to_numpy(float)
    bounds = np.concatenate([start[~is_total], start + value, low, high])
    least, most = float(np.nanmin(bounds)), float(np.nanmax(bounds))
    beyond = max(MARGIN * (most - least), (LEAST_SPAN - (most - least)) / 2)
    axes.set(xlim=(least - beyond, most + beyond))
    marks.rows(axes, lines)
    marks.numbers_below(axes, steps=4)
    marks.bars(
        axes, places[~is_total], value[~is_total], start=start[~is_total], height=BAR_SHARE, colour=style.SERIES[1]
    )
    marks.intervals(axes, places[is_total], low[is_total], high[is_total], colour=style.ACCENT, width=3)
    marks.intervals_on_bars(axes, places[~is_total], low[~is_total], high[~is_total])
    marks.dots(axes, value[is_total], places[is_total], colour=style.ACCENT, marker="D", size=7)
    marks.values(axes, frame["text"], bold=is_total)
    return style.figure_of([axes])
