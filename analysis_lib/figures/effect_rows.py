"""Effects of reforms side by side: on every measure, by reform, and as claimed, counted, measured and felt."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis_lib.disclosure.protect import ProtectedTable
from analysis_lib.effects.results import BY_EFFECT
from analysis_lib.figures import marks, style
from analysis_lib.figures.labels import Labels
from analysis_lib.figures.reform_rows import KEPT, about_zero, rows_of, signed_texts
from analysis_lib.reforms import Reform
from analysis_lib.study import NATION, Study

TOP_PX, BOTTOM_PX = 26, 26
SERIES = {
    "claimed": {"zh": "官方宣称", "en": "Claimed"},
    "counted": {"zh": "实际计数", "en": "Counted"},
    "measured_relative": {"zh": "实测效应", "en": "Measured"},
    "felt": {"zh": "主观感受", "en": "Felt"},
}
_REMAINDERS = {"rest": {"zh": "其余", "en": "All else"}, "whole": {"zh": "合计", "en": "The whole"}}
COLUMNS = ["panel", "label", *KEPT, "text"]

_RELATIVE = {"zh": "相对变化", "en": "Relative change"}
_FELT = {"zh": "感受（−2更轻，+2更重）", "en": "Felt (−2 lighter, +2 heavier)"}
_OF = {"zh": "{}：{}", "en": "{}: {}"}


def prepare_measures(
    effects: ProtectedTable, reform: str, *, study: Study, language: str, region: str = NATION
) -> pd.DataFrame:
    """One row per measure of hours: the planned effect of a reform, those first on which it is judged.

    Returns
    -------
    pandas.DataFrame
        panel (one without a name), label, unit, value, ci_low, ci_high, mark, text.
    """
    labels = Labels(study, language)
    rows = planned_rows(effects, reform, region=region)
    rows = rows[rows["unit"] == labels.measures[study.config.estimation.headline].unit].reset_index(drop=True)
    return rows.assign(
        panel="", label=[labels.measure(key) for key in rows["measure"]], text=signed_texts(rows, labels)
    )[COLUMNS]


def prepare_reforms(
    effects: ProtectedTable, reforms: Sequence[Reform], *, study: Study, language: str, region: str = NATION
) -> pd.DataFrame:
    """The planned effect of every reform on its primary measure and on the hours that it means to cut, a panel each."""
    frames = []
    for reform in reforms:
        keys = [reform.primary_in(study), *reform.measures]
        rows = planned_rows(effects, reform.id, region=region)
        rows = rows[rows["measure"].isin(keys)].reset_index(drop=True)
        labels = Labels(study, language)
        names = [labels.measure(key) for key in rows["measure"]]
        frames.append(rows.assign(panel=reform.titles[language], label=names, text=signed_texts(rows, labels)))
    return pd.concat(frames, ignore_index=True)[COLUMNS] if frames else pd.DataFrame(columns=COLUMNS)


def prepare_account(
    accounts: ProtectedTable, label: str, *, study: Study, language: str, region: str = NATION
) -> pd.DataFrame:
    """One row per part of the working week and its change by an account, the whole last; columns as `prepare_measures`."""
    labels = Labels(study, language)
    rows = rows_of(accounts, "account", label, region=region, parts=["partition", "part"])
    rows = rows[(rows["partition"] == "work") & ~rows["part"].str.contains(".", regex=False)].reset_index(drop=True)
    names = [_REMAINDERS[key][language] if key in _REMAINDERS else labels.measure(key) for key in rows["measure"]]
    return rows.assign(panel="", label=names, text=signed_texts(rows, labels))[COLUMNS]


def planned_rows(effects: ProtectedTable, reform: str, *, region: str = NATION) -> pd.DataFrame:
    """The planned estimate of each measure, which stands before the others of that measure."""
    return rows_of(effects, BY_EFFECT, reform, region=region, parts=["how"]).drop_duplicates(
        "measure", ignore_index=True
    )


def prepare_four_series(
    series: ProtectedTable, reform: str, *, study: Study, language: str, region: str = NATION
) -> pd.DataFrame:
    """One row per series and measure: relative changes in a panel, feelings on their own scale in another.

    Claims have no interval. Numbers that are no relative change, such as claimed or measured hours, are left to the
    table: they share no axis with the rest. Columns as `prepare_measures`.
    """
    labels = Labels(study, language)
    rows = rows_of(series, "four_series", reform, region=region, parts=["series", "about"])
    rows = rows[((rows["unit"] == "share") & (rows["series"] != "felt")) | (rows["series"] == "felt")]
    rows = rows.assign(series=rows["series"].replace("measured", "measured_relative"))
    rows = _ordered(
        rows[rows["series"].isin(list(SERIES))], list(dict.fromkeys(rows["measure"])), list(SERIES), "series"
    )
    rows = rows.sort_values("series", key=lambda each: each.map(list(SERIES).index), kind="stable", ignore_index=True)
    titles = [SERIES[each][language] for each in rows["series"]]
    return rows.assign(
        panel=np.where(rows["series"] == "felt", _FELT[language], _RELATIVE[language]),
        label=[
            _OF[language].format(title, labels.measure(key)) for title, key in zip(titles, rows["measure"], strict=True)
        ],
        text=signed_texts(rows, labels),
    )[COLUMNS]


def _ordered(rows: pd.DataFrame, measures: list[str], groups: list[str], column: str) -> pd.DataFrame:
    keys = rows.assign(_measure=rows["measure"].map(measures.index), _group=rows[column].map(groups.index))
    return keys.sort_values(["_measure", "_group"], kind="stable", ignore_index=True)


@style.styled
def draw_effect_rows(
    frame: pd.DataFrame, *, one_axis: bool = True, limits: tuple[float, float] | None = None
) -> Figure:
    """Dots in intervals about a line at zero, a panel for each family; ``one_axis`` when panels share a unit."""
    parts = [(str(name), part) for name, part in frame.groupby("panel", sort=False)]
    most = max(len(part) for _, part in parts)
    _, left, row_px = style.label_column(list(frame["label"]))
    right = style.value_column(list(frame["text"]))
    panels = style.new_panels(
        len(parts), height=TOP_PX + most * row_px + BOTTOM_PX, left=left, right=right, top=TOP_PX, bottom=BOTTOM_PX
    )
    for (name, part), axes in zip(parts, panels, strict=True):
        axes.set_xlim(limits or about_zero(frame if one_axis else part))
        _draw_panel(axes, part, blank=most - len(part))
        style.title(axes, name, left=left, top=TOP_PX)
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
