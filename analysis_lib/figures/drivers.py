"""What hours lost go with, and the parts of a difference: a dot in its interval for each, about a line at zero."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis_lib.disclosure.protect import ProtectedTable
from analysis_lib.figures import marks, style
from analysis_lib.figures.labels import Labels
from analysis_lib.study import NATION, Study
from analysis_lib.survey.decomposition import COMPOSITION, RATE, UNANSWERED
from analysis_lib.survey.driver_plan import DriverPlan, read_drivers
from analysis_lib.survey.drivers import BY_DRIVER

TOP_PX, BOTTOM_PX = 26, 26
MARGIN = 0.06  # of the axis, beyond the outermost bounds
COLUMNS = ["panel", "label", "unit", "value", "ci_low", "ci_high", "mark", "text", "is_total"]

_AGAINST = {"zh": "{}（比{}）", "en": "{} against {}"}
_MIX = {"zh": "{}构成", "en": "Mix by {}"}
_COMPOSITION = {"zh": "情形变化合计", "en": "Circumstances, all together"}
_OF_RATE = {"zh": "用时不同：{}", "en": "Other hours: {}"}
_REST = {"zh": "其余", "en": "rest"}
_PARTS = {
    RATE: {"zh": "情形相同而用时不同", "en": "Same circumstances, other hours"},
    UNANSWERED: {"zh": "未答者", "en": "Answers missing"},
    "": {"zh": "合计差异", "en": "Whole difference"},
}


def prepare_drivers(
    drivers: ProtectedTable, *, study: Study, language: str, region: str = NATION, period: str | None = None
) -> pd.DataFrame:
    """One row per outcome and term, in the order of ``drivers.toml``; a panel for each outcome.

    Parameters
    ----------
    drivers : ProtectedTable
        Effects of `analysis_lib.survey.drivers.what_drives`.
    period : str, optional
        Label of the period; the only one of the table when left out.

    Returns
    -------
    pandas.DataFrame
        panel, label, unit, value, ci_low, ci_high, mark, text, is_total; no rows without a ``drivers.toml``.
    """
    labels, plan = Labels(study, language), read_drivers(study)
    if plan is None:
        return _framed([], labels)
    table = drivers.table
    table = table[(table["region"] == region) & (table["period"] == (period or table["period"].max()))]
    found = {(row["measure"], row["category"]): row for row in table.to_dict("records")}
    rows = []
    for outcome in plan.outcomes:
        for name, term in plan.terms.items():
            prefix = f"{name}."
            values = [
                key.removeprefix(prefix) for measure, key in found if measure == outcome and key.startswith(prefix)
            ]
            keys = [prefix + value for value in labels.categories(term.column, values)] if term.reference else [name]
            rows += [
                found[outcome, key] | {"label": _effect_label(key, plan, labels), "is_total": False}
                for key in keys
                if (outcome, key) in found
            ]
    return _framed(rows, labels)


def prepare_parts(
    parts: ProtectedTable, outcome: str, *, study: Study, language: str, region: str = NATION, period: str | None = None
) -> pd.DataFrame:
    """Circumstances term by term, other hours in the same circumstances, those without answers, and the whole.

    Columns as `prepare_drivers`. What terms contribute to the hours in the same circumstances is left to the table: it
    hangs on where a number counts from.
    """
    labels, plan = Labels(study, language), read_drivers(study)
    if plan is None:
        return _framed([], labels)
    table = parts.table
    table = table[(table["region"] == region) & (table["measure"] == outcome)]
    table = table[table["period"] == (period or table["period"].max())]
    found = {(row["by"], row["category"]): row for row in table.to_dict("records")}
    keys = [(COMPOSITION, name) for name in plan.terms] + [(RATE, ""), (UNANSWERED, ""), ("", "")]
    rows = [
        found[by, category] | {"label": _part_label(by, category, plan, labels), "is_total": by == ""}
        for by, category in keys
        if (by, category) in found
    ]
    return _framed(rows, labels)


def prepare_all_parts(
    parts: ProtectedTable, *, study: Study, language: str, region: str = NATION, period: str | None = None
) -> pd.DataFrame:
    """As `prepare_parts`, for every outcome, a panel for each."""
    outcomes = list(dict.fromkeys(parts.table["measure"])) or [""]
    asked = {"study": study, "language": language, "region": region, "period": period}
    return pd.concat([prepare_parts(parts, outcome, **asked) for outcome in outcomes], ignore_index=True)


def term_title(by: str, category: str, labels: Labels) -> str:
    """Name of a row of effects or parts; empty for a row of another table, or without a ``drivers.toml``."""
    plan = read_drivers(labels.study) if by in (BY_DRIVER, COMPOSITION, RATE, UNANSWERED) else None
    if plan is None:
        return ""
    if by == BY_DRIVER:
        return _effect_label(category, plan, labels)
    if by == COMPOSITION and not category:
        return _COMPOSITION[labels.language]
    if by != RATE or not category:
        return _part_label(by, category, plan, labels)
    name = _part_label(COMPOSITION, category, plan, labels) if category in plan.terms else _REST[labels.language]
    return _OF_RATE[labels.language].format(name)


def _effect_label(key: str, plan: DriverPlan, labels: Labels) -> str:
    name, _, value = key.partition(".")
    term = plan.terms[name]
    if not term.reference:
        return str(getattr(term, f"title_{labels.language}"))
    named = (labels.category(term.column, category) for category in (value, term.reference))
    return _AGAINST[labels.language].format(*named)


def _part_label(by: str, category: str, plan: DriverPlan, labels: Labels) -> str:
    if by != COMPOSITION:
        return _PARTS[by][labels.language]
    term = plan.terms[category]
    if term.reference:
        return _MIX[labels.language].format(labels.column(term.column))
    return str(getattr(term, f"name_{labels.language}"))


def _framed(rows: list[dict[Any, Any]], labels: Labels) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=pd.Index(["measure", *COLUMNS]))
    return frame.assign(
        panel=frame["measure"].map(labels.measure),
        text=[_text(row, labels) for _, row in frame.iterrows()],
    )[COLUMNS]


def _text(row: pd.Series, labels: Labels) -> str:
    if pd.isna(row["value"]):
        return f"[{row['mark']}]"
    return labels.signed(row["value"], row["unit"]) if row["value"] else labels.number(0.0, row["unit"])


@style.styled
def draw_drivers(frame: pd.DataFrame, *, limits: tuple[float, float] | None = None) -> Figure:
    """Panels with one axis; an interval that holds zero is grey, the whole difference is a diamond.

    ``limits`` are lowest and highest number, for a panel that is drawn apart from its family.
    """
    names = list(frame["panel"].unique())
    keys = list(frame["label"].unique())
    lines, left, row_px = style.label_column(keys)
    right = style.value_column(list(frame["text"]))
    panels = style.new_panels(
        len(names), height=TOP_PX + len(keys) * row_px + BOTTOM_PX, left=left, right=right, top=TOP_PX, bottom=BOTTOM_PX
    )
    bounds = frame[["value", "ci_low", "ci_high"]].fillna(0.0)
    low, high = limits or (min(0.0, bounds.to_numpy().min()), max(0.0, bounds.to_numpy().max()))
    beyond = MARGIN * ((high - low) or 1.0)
    for name, axes in zip(names, panels, strict=True):
        axes.set_xlim(low - beyond, high + beyond)
        marks.rows(axes, lines)
        marks.numbers_below(axes, steps=4)
        marks.reference(axes, 0)
        _draw_rows(axes, frame[frame["panel"] == name].set_index("label").reindex(keys))
        style.title(axes, name, left=left, top=TOP_PX)
    return style.figure_of(panels)


def _draw_rows(axes: Axes, part: pd.DataFrame) -> None:
    apart = ((part["ci_low"] > 0) | (part["ci_high"] < 0)).to_numpy(bool)
    is_total = part["is_total"].eq(True).to_numpy(bool)
    colours = np.where(is_total, style.INK, np.where(apart, style.ACCENT, style.NATION))
    marks.intervals(axes, range(len(part)), part["ci_low"], part["ci_high"], colour=colours.tolist())
    for total in (True, False):
        for is_apart in (True, False):
            chosen = np.flatnonzero((is_total == total) & (apart == is_apart))
            if len(chosen):
                colour = str(colours[chosen[0]])
                marks.dots(axes, part["value"].iloc[chosen], chosen, colour=colour, marker="D" if total else "o",
                           fill=colour if is_apart else "white")  # fmt: skip
    marks.values(axes, part["text"].fillna("").to_list(), bold=is_total)
