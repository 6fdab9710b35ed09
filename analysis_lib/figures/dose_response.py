"""Effects of a reform by thirds of regions, from the least burdened before it to the most, and the slope in words."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from analysis_lib.disclosure.protect import ProtectedTable
from analysis_lib.effects.dose_response import BY_DOSE, PLACEBO, SLOPE, SLOPE_UNIT
from analysis_lib.figures.effect_rows import COLUMNS, draw_effect_rows
from analysis_lib.figures.labels import Labels
from analysis_lib.figures.reform_rows import rows_of, signed_texts
from analysis_lib.study import NATION, Study

THIRDS = {
    "low": {"zh": "原负担最轻的三分之一地区", "en": "Least burdened third of regions"},
    "middle": {"zh": "居中的三分之一地区", "en": "Middle third"},
    "high": {"zh": "原负担最重的三分之一地区", "en": "Most burdened third of regions"},
}

_SLOPES = {
    "more": {
        "zh": "原负担越重的地区，减少得越多：原先每多1小时，变化为这1小时的{}（区间{}）。",
        "en": "The heavier a region's burden before, the more hours fell: {} of each hour more (interval {}).",
    },
    "less": {
        "zh": "原负担越重的地区，减少得越少或增加得越多：原先每多1小时，变化为这1小时的{}（区间{}）。",
        "en": "The heavier a region's burden before, the fewer hours were returned: {} of each hour more (interval {}).",
    },
    "unclear": {
        "zh": "无法判断变化是否与原负担轻重有关：原先每多1小时，变化为这1小时的{}（区间{}）。",
        "en": "Whether the change goes with the burden before cannot be told: {} of each hour more (interval {}).",
    },
    "drifting": {
        "zh": "无法判断变化是否与原负担轻重有关：未实行改革的地区也有同样的走势。",
        "en": "Whether the change goes with the burden before cannot be told: where the reform never came, burdens drew "
        "together or apart as well.",
    },
    "weak": {
        "zh": "无法判断变化是否与原负担轻重有关：改革前各地负担的差别不够稳定，得不出区间。",
        "en": "Whether the change goes with the burden before cannot be told: differences between regions before the "
        "reform were not lasting enough for an interval.",
    },
}


def prepare_dose_response(
    table: ProtectedTable, reform: str, measure: str, *, study: Study, language: str, region: str = NATION
) -> pd.DataFrame:
    """One row per third of regions by their burden before the reform, the least burdened first.

    Returns
    -------
    pandas.DataFrame
        panel, label, unit, value, ci_low, ci_high, mark, text.
    """
    labels = Labels(study, language)
    rows = _rows(table, reform, measure, region)
    rows = rows[rows["part"].isin(list(THIRDS))]
    rows = rows.sort_values("part", key=lambda part: part.map(list(THIRDS).index), ignore_index=True)
    return rows.assign(
        panel=rows["measure"].map(labels.measure),
        label=[THIRDS[part][language] for part in rows["part"]],
        text=signed_texts(rows, labels),
    )[COLUMNS]


def draw_dose_response(frame: pd.DataFrame) -> Figure:
    """Dots in intervals about a line at zero; filled where the interval lies off it."""
    return draw_effect_rows(frame)


def dose_words(
    table: ProtectedTable, reform: str, measure: str, *, study: Study, language: str, region: str = NATION
) -> str:
    """The slope in a sentence; empty where the table has none."""
    found = {row["part"]: row for row in _rows(table, reform, measure, region).to_dict("records")}
    if SLOPE not in found:
        return ""
    slope, placebo = found[SLOPE], found.get(PLACEBO)
    if pd.isna([slope["value"], slope["ci_low"], slope["ci_high"]]).any():
        return _SLOPES["weak"][language]
    if placebo is not None and _is_off_zero(placebo):
        return _SLOPES["drifting"][language]
    word = "unclear"
    if _is_off_zero(slope):
        word = "more" if slope["ci_high"] < 0 else "less"
    labels = Labels(study, language)
    interval = labels.interval(slope["ci_low"], slope["ci_high"], SLOPE_UNIT)
    return _SLOPES[word][language].format(labels.signed(slope["value"], SLOPE_UNIT), interval)


def _rows(table: ProtectedTable, reform: str, measure: str, region: str) -> pd.DataFrame:
    rows = rows_of(table, BY_DOSE, reform, region=region, parts=["part"])
    return rows[rows["measure"] == measure]


def _is_off_zero(row: dict) -> bool:
    return row["ci_low"] > 0 or row["ci_high"] < 0
