"""Effects of a reform side by side: by burden before it, and as claimed, counted, measured and felt."""

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

TOP_PX, BOTTOM_PX = 26, 26
THIRDS = {
    "low": {"zh": "原负担最轻的三分之一", "en": "Least burdened third"},
    "middle": {"zh": "居中的三分之一", "en": "Middle third"},
    "high": {"zh": "原负担最重的三分之一", "en": "Most burdened third"},
}
SERIES = {
    "claimed": {"zh": "官方宣称", "en": "Claimed"},
    "counted": {"zh": "实际计数", "en": "Counted"},
    "measured_relative": {"zh": "实测效应", "en": "Measured"},
    "felt": {"zh": "主观感受", "en": "Felt"},
}
COLUMNS = ["panel", "label", *KEPT, "text"]

_RELATIVE = {"zh": "相对变化", "en": "Relative change"}
_FELT = {"zh": "感受（−2更轻，+2更重）", "en": "Felt (−2 lighter, +2 heavier)"}
_OF = {"zh": "{}：{}", "en": "{}: {}"}
_SLOPES = {
    "larger": {"zh": "原负担越重，减少得越多。", "en": "The heavier the burden before, the more hours fell."},
    "smaller": {"zh": "原负担越重，减少得越少。", "en": "The heavier the burden before, the less hours fell."},
    "unclear": {
        "zh": "看不出变化与原负担轻重有关。",
        "en": "It cannot be told whether the change goes with the burden before.",
    },
}


def prepare_dose_response(
    effects: ProtectedTable, reform: str, measures: list[str], *, study: Study, language: str, region: str = NATION
) -> pd.DataFrame:
    """One row per measure and third of officials by their burden before the reform, a panel for each measure.

    Returns
    -------
    pandas.DataFrame
        panel, label, unit, value, ci_low, ci_high, mark, text.
    """
    labels = Labels(study, language)
    rows = rows_of(effects, "dose", reform, region=region, parts=["third"])
    rows = rows[rows["measure"].isin(measures) & rows["third"].isin(list(THIRDS))]
    rows = _ordered(rows, measures, list(THIRDS), "third")
    return rows.assign(
        panel=rows["measure"].map(labels.measure),
        label=[THIRDS[third][language] for third in rows["third"]],
        text=signed_texts(rows, labels),
    )[COLUMNS]


def dose_words(frame: pd.DataFrame, *, language: str) -> str:
    """The slope of one panel in words: thirds differ only where the intervals of the outer two lie apart."""
    known = {row["label"]: row for row in frame.dropna(subset=["ci_low", "ci_high"]).to_dict("records")}
    least, most = (known.get(THIRDS[third][language]) for third in ("low", "high"))
    if least is None or most is None:
        return _SLOPES["unclear"][language]
    word = (
        "larger" if most["ci_high"] < least["ci_low"] else "smaller" if most["ci_low"] > least["ci_high"] else "unclear"
    )
    return _SLOPES[word][language]


def prepare_four_series(
    series: ProtectedTable, reform: str, *, study: Study, language: str, region: str = NATION
) -> pd.DataFrame:
    """One row per series and measure: relative changes in a panel, feelings on their own scale in another.

    Claims have no interval. Numbers that are no relative change, such as claimed or measured hours, are left to the
    table: they share no axis with the rest. Columns as `prepare_dose_response`.
    """
    labels = Labels(study, language)
    rows = rows_of(series, "four_series", reform, region=region, parts=["series", "about"])
    rows = rows[((rows["unit"] == "share") & (rows["series"] != "felt")) | (rows["series"] == "felt")]
    rows = rows.assign(series=rows["series"].replace("measured", "measured_relative"))
    rows = _ordered(
        rows[rows["series"].isin(list(SERIES))], list(dict.fromkeys(rows["measure"])), list(SERIES), "series"
    )
    rows = rows.sort_values("series", key=lambda each: each.map(list(SERIES).index), kind="stable", ignore_index=True)
    names = [_named(measure, labels) for measure in rows["measure"]]
    titles = [SERIES[each][language] for each in rows["series"]]
    return rows.assign(
        panel=np.where(rows["series"] == "felt", _FELT[language], _RELATIVE[language]),
        label=[_OF[language].format(title, name) if name else title for title, name in zip(titles, names, strict=True)],
        text=signed_texts(rows, labels),
    )[COLUMNS]


def _ordered(rows: pd.DataFrame, measures: list[str], groups: list[str], column: str) -> pd.DataFrame:
    keys = rows.assign(_measure=rows["measure"].map(measures.index), _group=rows[column].map(groups.index))
    return keys.sort_values(["_measure", "_group"], kind="stable", ignore_index=True)


def _named(measure: str, labels: Labels) -> str:
    """Title of what a claim or rating is about; a claim about something that the study does not measure has none."""
    return labels.measure(measure) if measure in labels.measures else ""


@style.styled
def draw_effect_rows(frame: pd.DataFrame, *, one_axis: bool = True) -> Figure:
    """Dots in intervals about a line at zero, a panel for each family; ``one_axis`` when panels share a unit."""
    parts = [(str(name), part) for name, part in frame.groupby("panel", sort=False)]
    most = max(len(part) for _, part in parts)
    _, left, row_px = style.label_column(list(frame["label"]))
    right = style.value_column(list(frame["text"]))
    panels = style.new_panels(
        len(parts), height=TOP_PX + most * row_px + BOTTOM_PX, left=left, right=right, top=TOP_PX, bottom=BOTTOM_PX
    )
    for (name, part), axes in zip(parts, panels, strict=True):
        axes.set_xlim(about_zero(frame if one_axis else part))
        _draw_panel(axes, part, blank=most - len(part))
        style.title(axes, style.shortened(name, style.PANEL_WIDTH, style.TITLE_PX), left=left, top=TOP_PX)
    return style.figure_of(panels)


def draw_four_series(frame: pd.DataFrame) -> Figure:
    """As `draw_effect_rows`, each panel on its own scale."""
    return draw_effect_rows(frame, one_axis=False)


def _draw_panel(axes: Axes, part: pd.DataFrame, *, blank: int) -> None:
    lines, _, _ = style.label_column(list(part["label"]))
    is_share = (part["unit"] == "share").all()
    apart = ((part["ci_low"] > 0) | (part["ci_high"] < 0)).to_numpy(bool)
    told = (part["ci_low"].isna() & part["value"].notna()).to_numpy(bool)
    marks.rows(axes, [*lines, *[""] * blank])
    marks.numbers_below(axes, steps=3, as_percent=bool(is_share))
    marks.reference(axes, 0)
    colours = [style.ACCENT if each else style.NATION for each in apart]
    marks.intervals(axes, range(len(part)), part["ci_low"], part["ci_high"], colour=colours)
    for chosen, colour, fill, marker in (
        (told, style.INK, None, "D"),  # somebody's word, with nothing behind it that could vary
        (apart & ~told, style.ACCENT, None, "o"),
        (~apart & ~told, style.NATION, "white", "o"),
    ):
        marks.dots(axes, part["value"][chosen], np.flatnonzero(chosen), colour=colour, fill=fill, marker=marker)
    marks.values(axes, part["text"])
