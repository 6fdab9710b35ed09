"""Hours by who required them: bars from zero, each with its interval."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from analysis_lib.disclosure.protect import ProtectedTable
from analysis_lib.figures.labels import NO_CATEGORY, Labels, the_period
from analysis_lib.figures.waterfall import draw_waterfall
from analysis_lib.measures import by_requirer
from analysis_lib.study import NATION, Study


def prepare_requirers(
    hours: ProtectedTable, *, study: Study, language: str, region: str = NATION, period: str | None = None
) -> pd.DataFrame:
    """One row per measure with ``required_by``, in the order of the study; none where it has none.

    Returns
    -------
    pandas.DataFrame
        measure, label, unit, value, ci_low, ci_high, mark, text.
    """
    labels = Labels(study, language)
    table = hours.table
    here = (table["region"] == region) & (table["by"] == NO_CATEGORY)
    table = table[here & (table["period"] == the_period(table, period))].set_index("measure")
    keys = [key for key in by_requirer(study.measures) if key in table.index]
    rows = table.loc[keys]
    return pd.DataFrame(
        {
            "measure": keys,
            "label": [labels.measure(key) for key in keys],
            **{column: rows[column].to_list() for column in ("unit", "value", "ci_low", "ci_high", "mark")},
            "text": labels.cells(rows),
        }
    )


def draw_requirers(frame: pd.DataFrame) -> Figure:
    """The bars of parts, all starting at zero: a part that is withheld moves no other."""
    return draw_waterfall(frame.assign(start=0.0, is_total=False))
