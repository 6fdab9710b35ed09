"""How many answered: response and diary rates as bars out of a hundred, by region."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from analysis_lib.disclosure.protect import ProtectedTable
from analysis_lib.figures import marks, style
from analysis_lib.figures.labels import NO_CATEGORY, Labels, in_order
from analysis_lib.study import NATION, Study

RATES = ["response_rate", "diary_rate"]
_TITLES = {
    "response_rate": {"zh": "问卷回收率", "en": "Questionnaire response"},
    "diary_rate": {"zh": "日志回收率", "en": "Diary response"},
}
TOP_PX, BOTTOM_PX, BAR_SHARE = 26, 4, 0.5


def prepare_response(
    response: ProtectedTable, *, study: Study, language: str, regions: list[str] | None = None
) -> pd.DataFrame:
    """One row per rate and region: the nation, then regions in their own order.

    Returns
    -------
    pandas.DataFrame
        panel, label, value, mark, text.
    """
    labels = Labels(study, language)
    table = response.table
    order = [NATION, *(study.regions.index if regions is None else regions)]
    table = in_order(table[table["by"] == NO_CATEGORY], measure=RATES, region=list(dict.fromkeys(order)))
    return pd.DataFrame(
        {
            "panel": [_TITLES[key][language] for key in table["measure"]],
            "label": table["region"].map(labels.region),
            "value": table["value"],
            "mark": table["mark"],
            "text": labels.cells(table),
        }
    ).reset_index(drop=True)


@style.styled
def draw_response(frame: pd.DataFrame) -> Figure:
    """Bars out of a hundred per cent; the pale part is those who did not answer."""
    names = list(frame["panel"].unique())
    keys = list(frame["label"].unique())
    lines, left, row_px = style.label_column(keys)
    right = style.value_column(list(frame["text"]))
    panels = style.new_panels(
        len(names), height=TOP_PX + len(keys) * row_px + BOTTOM_PX, left=left, right=right, top=TOP_PX, bottom=BOTTOM_PX
    )
    for name, axes in zip(names, panels, strict=True):
        part = frame[frame["panel"] == name].set_index("label").reindex(keys)
        axes.set_xlim(0, 1)
        marks.rows(axes, lines)
        for value, colour in ((1.0, style.GHOST), (part["value"], style.ACCENT)):
            marks.bars(axes, range(len(keys)), value, height=BAR_SHARE, colour=colour)
        marks.values(axes, part["text"].fillna(""))
        style.title(axes, name, left=left, top=TOP_PX)
    return style.figure_of(panels)
