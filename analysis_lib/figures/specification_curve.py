"""Every reasonable way to estimate one effect: estimates in order, and below each the choices it is made with."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis_lib.disclosure.protect import ProtectedTable
from analysis_lib.figures import marks, style
from analysis_lib.figures.labels import Labels
from analysis_lib.figures.reform_rows import KEPT, about_zero, rows_of, signed_texts
from analysis_lib.study import NATION, Study

PLOT_PX, TOP_PX, GAP_PX, ROW_PX, BOTTOM_PX, RIGHT_PX = 120, 22, 14, 19, 4, 8
CHOICES = ["estimator", "comparison", "date", "others", "weights", "early", "window"]
PLANNED = "planned"
COLUMNS = ["place", "is_planned", *CHOICES, *KEPT, "text", "planned_label"]

_PLANNED = {"zh": "事先选定：{}", "en": "Settled beforehand: {}"}
_NAMES = {
    "group_time": {"zh": "分组双重差分", "en": "group-time"},
    "imputation": {"zh": "插补法", "en": "imputation"},
    "two_way": {"zh": "双向固定效应", "en": "two-way effects"},
    "never": {"zh": "对照：从未改革", "en": "against never"},
    "not_yet": {"zh": "对照：尚未改革", "en": "against not yet"},
    "local_start": {"zh": "当地开始日", "en": "local start"},
    "approved": {"zh": "批准日", "en": "date approved"},
    "issued": {"zh": "印发日", "en": "date issued"},
    "public": {"zh": "公布日", "en": "date public"},
    "others_out": {"zh": "剔除其他改革", "en": "others taken out"},
    "others_in": {"zh": "不剔除其他改革", "en": "others left in"},
    "officials": {"zh": "按人数加权", "en": "by officials"},
    "equal": {"zh": "各地同权", "en": "regions alike"},
    "early_0": {"zh": "自开始起", "en": "from the start"},
    "early_1": {"zh": "提前一季", "en": "a quarter early"},
    "early_2": {"zh": "提前两季", "en": "two quarters early"},
    "all": {"zh": "全部季度", "en": "all quarters"},
    "later": {"zh": "去掉首季", "en": "first quarter out"},
}


def prepare_specification_curve(
    effects: ProtectedTable, reform: str, measure: str, *, study: Study, language: str, region: str = NATION
) -> pd.DataFrame:
    """One row per way to estimate the effect, smallest first; those without a published value are left out.

    Returns
    -------
    pandas.DataFrame
        place, is_planned, the choices in words (`CHOICES`), unit, value, ci_low, ci_high, mark, text,
        planned_label.
    """
    labels = Labels(study, language)
    rows = rows_of(effects, "specification", reform, region=region, parts=["role", *CHOICES])
    rows = rows[(rows["measure"] == measure) & rows["value"].notna()]
    rows = rows.sort_values(["value", "category"], kind="stable", ignore_index=True)
    texts = signed_texts(rows, labels)
    return rows.assign(
        place=range(len(rows)),
        is_planned=rows["role"] == PLANNED,
        **{column: [_NAMES[key][language] if key in _NAMES else key for key in rows[column]] for column in CHOICES},
        text=texts,
        planned_label=[_PLANNED[language].format(text) for text in texts],
    )[COLUMNS]


@style.styled
def draw_specification_curve(frame: pd.DataFrame) -> Figure:
    """Estimates with intervals above, a dot for each choice below; the planned way is dark and named."""
    options = [option for column in CHOICES for option in _options(frame, column)]
    left = style.label_column(options, style.SMALL_PX)[1]
    lower = len(options) * ROW_PX
    height = TOP_PX + PLOT_PX + GAP_PX + lower + BOTTOM_PX
    (axes,) = style.new_panels(
        1, height=height, left=left, right=RIGHT_PX, top=TOP_PX, bottom=GAP_PX + lower + BOTTOM_PX
    )
    figure = style.figure_of([axes])
    box = axes.get_position()
    below = figure.add_axes((box.x0, BOTTOM_PX / height, box.width, lower / height))
    below.set_axis_off()
    for each in (axes, below):
        each.set_xlim(-0.7, len(frame) - 0.3)
    _draw_estimates(axes, frame)
    _draw_choices(below, frame, options)
    return figure


def _options(frame: pd.DataFrame, column: str) -> list[str]:
    """Options of a choice, where there was one to make."""
    found = list(dict.fromkeys(frame[column].sort_values()))
    return found if len(found) > 1 else []


def _draw_estimates(axes: Axes, frame: pd.DataFrame) -> None:
    axes.set_ylim(about_zero(frame))
    marks.numbers_beside(axes, steps=4)
    marks.reference(axes, 0, upright=False)
    planned = frame["is_planned"].to_numpy(bool)
    colours = [style.REFORM if each else style.NATION for each in planned]
    marks.intervals(
        axes, frame["place"], frame["ci_low"], frame["ci_high"], colour=colours, upright=True, width=_width(frame)
    )
    for chosen, look in ((~planned, {"colour": style.ACCENT}), (planned, {"colour": style.REFORM, "marker": "D"})):
        marks.dots(axes, frame["place"][chosen], frame["value"][chosen], size=2 * _width(frame) + 1, **look)
    for row in frame[planned].to_dict("records"):
        axes.annotate(row["planned_label"], (1, 1), (0, 6), xycoords="axes fraction", textcoords="offset points", ha="right",
                      va="bottom", fontsize=style.TEXT_PX, color=style.REFORM)  # fmt: skip


def _draw_choices(axes: Axes, frame: pd.DataFrame, options: list[str]) -> None:
    axes.set_ylim(max(len(options), 1) - 0.5, -0.5)
    for row, option in enumerate(options):
        axes.annotate(option, (0, row), (2 - style.GAP_PX, 0), xycoords=axes.get_yaxis_transform(), ha="right",
                      va="center_baseline", textcoords="offset points", fontsize=style.SMALL_PX)  # fmt: skip
    for is_planned, colour in ((False, style.ACCENT), (True, style.REFORM)):
        part = frame[frame["is_planned"] == is_planned]
        points = [
            (place, options.index(option))
            for column in CHOICES
            for place, option in zip(part["place"], part[column], strict=True)
            if option in options
        ]
        across, up = np.array(points, dtype=float).reshape(-1, 2).T
        marks.dots(axes, across, up, colour=colour, size=_width(frame) + 2)


def _width(frame: pd.DataFrame) -> float:
    """Marks that grow thinner as ways grow more, so that they stay apart."""
    return float(np.clip(60 / len(frame), 0.8, 2.0))
