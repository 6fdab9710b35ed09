"""What readers see instead of codes: names, units, numbers and periods in a language."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd
from babel.dates import format_date
from babel.numbers import format_decimal

from analysis_lib.disclosure.policy import CHANGE_ARROW, POOLED_DASH
from analysis_lib.errors import InputRejected
from analysis_lib.measures import Measure
from analysis_lib.quarters import Quarter
from analysis_lib.reforms import read_reforms
from analysis_lib.study import Study, read_reference_csv
from analysis_lib.survey.bottom_up import bottom_up_titles
from analysis_lib.time_use.activities import all_measures, read_classification

NO_CATEGORY = ""

_UNITS = {
    "hours_week": {"zh": "每周小时数", "en": "hours a week"},
    "hours_day": {"zh": "每天小时数", "en": "hours a day"},
    "share": {"zh": "百分比", "en": "per cent"},
    "count": {"zh": "次数", "en": "number"},
    "score": {"zh": "分值", "en": "score"},
    "fte": {"zh": "折合全职人数", "en": "full-time equivalents"},
    "minutes": {"zh": "分钟", "en": "minutes"},
    "index": {"zh": "指数", "en": "index"},
    "coefficient": {"zh": "系数", "en": "coefficient"},
    "fit": {"zh": "拟合指数", "en": "index of fit"},
}
_DECIMALS = {"coefficient": 2, "fit": 3}
_QUANTITIES = {
    "hours_week": {"zh": "每周{}小时", "en": "{} hours a week"},
    "hours_day": {"zh": "每天{}小时", "en": "{} hours a day"},
    "share": {"zh": "{}", "en": "{}"},
    "count": {"zh": "{}", "en": "{}"},
    "score": {"zh": "{}分", "en": "{} points"},
    "fte": {"zh": "{}人", "en": "{} full-time equivalents"},
    "minutes": {"zh": "{}分钟", "en": "{} minutes"},
    "index": {"zh": "{}", "en": "{}"},
    "coefficient": {"zh": "{}", "en": "{}"},
    "fit": {"zh": "{}", "en": "{}"},
}
_QUARTER_PATTERNS = {"zh": "y年QQQQ", "en": "QQQQ 'of' y"}
_INTERVALS = {"zh": "{}至{}", "en": "{} to {}"}


@dataclass(frozen=True)
class Labels:
    """Names and formats of a study in a language.

    Attributes
    ----------
    study : Study
        The study that names its measures, regions and categories.
    language : str
        ``zh`` or ``en``.
    """

    study: Study
    language: str

    # -- names ------------------------------------------------------------------------------------------

    @cached_property
    def measures(self) -> dict[str, Measure]:
        """Every measure with its titles, those of groups and activities included."""
        return all_measures(self.study)

    @cached_property
    def reform_titles(self) -> dict[str, str]:
        """Title of each reform of the register, by its id."""
        return {reform.id: reform.titles[self.language] for reform in read_reforms(self.study)}

    @cached_property
    def _claims(self) -> dict[str, str]:
        return {
            key: str(getattr(claim, f"what_{self.language}"))
            for reform in read_reforms(self.study)
            for key, claim in reform.keyed_claims
            if not claim.measure
        }

    @cached_property
    def group_kinds(self) -> dict[str, str]:
        """Measure ``group_…`` → kind of the group, in the order in which groups are shown."""
        kinds = read_classification(self.study).groups["kind"]
        return {f"group_{group}": str(kind) for group, kind in kinds.items()}

    @cached_property
    def _categories(self) -> dict[tuple[str, str], str]:
        path = self.study.reference / "categories.csv"
        if not path.is_file():
            return {}
        frame = read_reference_csv(path, ["column", "value", "name_zh", "name_en"])
        return dict(zip(zip(frame["column"], frame["value"], strict=True), frame[f"name_{self.language}"], strict=True))

    @cached_property
    def _of_bottom_up(self) -> dict[str, tuple[str, str]]:
        return bottom_up_titles(self.study)

    def measure(self, key: str) -> str:
        """Title of a measure, of a number of the bottom-up account, or of what a claim is about."""
        if key not in self.measures and key in self._claims:
            return self._claims[key]
        if key not in self.measures and key in self._of_bottom_up:
            return self._of_bottom_up[key][("zh", "en").index(self.language)]
        if key not in self.measures:
            raise InputRejected(f"{key!r} is no measure of the study", where="results", fix="run the quarter again")
        return str(getattr(self.measures[key], f"title_{self.language}"))

    def why(self, key: str) -> str:
        """What a measure means, in a sentence; empty when the study does not say."""
        return str(getattr(self.measures[key], f"why_{self.language}"))

    def region(self, code: str) -> str:
        """Name of a region or of the nation."""
        return self.study.region_name(code, self.language)

    def category(self, column: str, value: str) -> str:
        """Name of a category of ``categories.csv``; an unlisted one is shown as the data have it."""
        return self._categories.get((column, value), value) if value else ""

    def column(self, column: str) -> str:
        """Name of a category column: the row of ``categories.csv`` without a value."""
        return self._categories.get((column, NO_CATEGORY), column)

    def categories(self, column: str, values: list[str]) -> list[str]:
        """Values in the order of ``categories.csv``, unlisted ones after them."""
        order = [value for listed, value in self._categories if listed == column and value]
        return sorted(values, key=lambda value: (order.index(value) if value in order else len(order), value))

    # -- periods ----------------------------------------------------------------------------------------

    def period(self, text: str) -> str:
        """A quarter in words; pooled periods and changes keep their short form."""
        if POOLED_DASH in text or CHANGE_ARROW in text:
            return text
        return format_date(Quarter.parse(text).first_day, _QUARTER_PATTERNS[self.language], locale=self.language)

    def day(self, day: dt.date) -> str:
        """A day in words."""
        return format_date(day, format="long", locale=self.language)

    # -- numbers ----------------------------------------------------------------------------------------

    def unit(self, unit: str) -> str:
        """Name of a unit, for axes and table heads."""
        return _UNITS[unit][self.language]

    def number(self, value: float, unit: str, statistic: str = "mean") -> str:
        """A published number as text, with a true minus sign.

        >>> Labels(study, "en").number(-0.9, "hours_week")  # doctest: +SKIP
        '−0.9'
        """
        if unit == "share":
            text = format_decimal(round(value * 100), format="#,##0", locale=self.language) + "%"
        elif unit in ("fte", "index") or statistic == "count":
            text = format_decimal(round(value), format="#,##0", locale=self.language)
        else:
            decimals = _DECIMALS.get(unit, self.study.config.disclosure.hours_decimals)
            text = format_decimal(value, format=f"#,##0.{'0' * decimals}".rstrip("."), locale=self.language)
        return text.replace("-", "−")

    def signed(self, value: float, unit: str) -> str:
        """A change as text: always with its sign."""
        return f"+{self.number(value, unit)}" if value > 0 else self.number(value, unit)

    def quantity(self, value: float, unit: str, statistic: str = "mean") -> str:
        """A number with its unit, as in a sentence."""
        return _QUANTITIES[unit][self.language].format(self.number(value, unit, statistic))

    def interval(self, low: float, high: float, unit: str) -> str:
        """Both bounds of an interval."""
        return _INTERVALS[self.language].format(self.number(low, unit), self.number(high, unit))

    def cells(self, frame: pd.DataFrame) -> list[str]:
        """Texts of the rows of a frame."""
        return [self.cell(row) for row in frame.to_dict("records")]

    def cell(self, row: Mapping[Any, Any] | pd.Series) -> str:
        """Text of a table cell: the number, with its mark in brackets if it has one."""
        if pd.isna(row["value"]):
            return f"[{row['mark']}]"
        text = self.number(row["value"], row["unit"], row["statistic"])
        return f"{text} [{row['mark']}]" if row["mark"] else text


def the_period(frame: pd.DataFrame, period: str | None = None) -> str:
    """The period asked for, or the only quarter that is neither pooled nor a change.

    >>> the_period(pd.DataFrame({"period": ["2026Q3", "2025Q4–2026Q3"]}))
    '2026Q3'
    """
    if period is not None:
        return period
    quarters = [text for text in frame["period"].unique() if POOLED_DASH not in text and CHANGE_ARROW not in text]
    return str(max(quarters, default=""))


def in_order(frame: pd.DataFrame, **orders: list[str]) -> pd.DataFrame:
    """Rows whose values are listed, sorted by the listed orders; the first named column varies slowest.

    >>> in_order(pd.DataFrame({"measure": ["b", "a", "c"]}), measure=["a", "b"])["measure"].to_list()
    ['a', 'b']
    """
    for column, order in reversed(orders.items()):
        places = frame[column].map({value: place for place, value in enumerate(order)})
        frame = frame.loc[places.dropna().sort_values(kind="stable").index]
    return frame
