"""Sentences made from protected tables: findings, changes and comparisons, never a cause.

Every word about change or certainty is chosen here, from the interval that is printed beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import pandas as pd

from analysis_lib.disclosure.policy import CHANGE_ARROW
from analysis_lib.disclosure.protect import ProtectedTable
from analysis_lib.figures.labels import NO_CATEGORY, Labels, the_period
from analysis_lib.measures import ShareMeasure
from analysis_lib.monitoring.change_account import BY_ACCOUNT
from analysis_lib.publishing.catalogue import Catalogue
from analysis_lib.publishing.titles import category_title, measure_title
from analysis_lib.study import NATION, Study

ChangeWord = Literal["lower", "higher", "little_change", "cannot_tell"]


def change_word(ci_low: float, ci_high: float, smallest_change: float | None) -> ChangeWord:
    """The word for a change, from its interval alone.

    Parameters
    ----------
    ci_low, ci_high : float
        The interval as printed.
    smallest_change : float or None
        Smallest change that matters, in the same unit; None where the study names none: then an interval that
        covers zero never reads "little change".

    >>> change_word(-1.7, -0.4, 0.5), change_word(-0.2, 0.3, 0.5), change_word(-0.9, 1.1, 0.5)
    ('lower', 'little_change', 'cannot_tell')
    """
    if ci_high < 0:
        return "lower"
    if ci_low > 0:
        return "higher"
    is_narrow = smallest_change is not None and (ci_high - ci_low) / 2 < smallest_change
    return "little_change" if is_narrow else "cannot_tell"


def compare_word(row: pd.Series, other: pd.Series) -> Literal["higher", "lower", "within"]:
    """How a place stands to another: a difference is one only where the printed intervals lie apart."""
    if row["ci_low"] > other["ci_high"]:
        return "higher"
    if row["ci_high"] < other["ci_low"]:
        return "lower"
    return "within"


@dataclass(frozen=True)
class Writer:
    """Writes the sentences of a study in a language.

    Attributes
    ----------
    study : Study
        The study described.
    language : str
        ``zh`` or ``en``.
    """

    study: Study
    language: str

    @cached_property
    def labels(self) -> Labels:
        """Names and numbers in the language."""
        return Labels(self.study, self.language)

    @cached_property
    def text(self) -> Catalogue:
        """Texts in the language."""
        return Catalogue(self.language)

    @property
    def level(self) -> str:
        """Coverage of the intervals, as printed."""
        return self.labels.number(self.study.config.estimation.confidence_level, "share")

    def finding(self, row: pd.Series | None, *, region: str, period: str) -> str:
        """The headline measure of a place and quarter in one sentence, for the first heading."""
        study = self.study.config
        words = {
            "period": self.labels.period(period),
            "population": getattr(study.study, f"population_{self.language}"),
            "title": self.labels.measure(study.estimation.headline),
            "place": self.labels.region(region),
        }
        if row is None or pd.isna(row["value"]):
            return self.text("finding.hidden", **words)
        quantity = self.labels.quantity(row["value"], row["unit"], row["statistic"])
        return self.text("finding.national" if region == NATION else "finding.regional", **words, quantity=quantity)

    def value(self, row: pd.Series) -> str:
        """A measure with its value and interval."""
        title = self.labels.measure(row["measure"])
        if pd.isna(row["value"]):
            return self.text("point.hidden", title=title, mark=row["mark"])
        return self.text("point.value", title=title, **self.words(row))

    def change(self, row: pd.Series | None, *, base: str = "") -> str:
        """A change against an earlier quarter, or what ``base`` calls it: word, amount and interval."""
        word = self.word_for(row)
        if row is None or word == "unknown":
            return self.text("change.unknown")
        return self.text(
            f"change.{word}",
            base=base or self.base(row),
            amount=self.amount(abs(row["value"]), row["unit"]),
            signed=self.amount(row["value"], row["unit"], signed=True),
            interval=self.interval(row),
            level=self.level,
            n=self.labels.number(row["n"], "count", "count"),
        )

    def change_heading(self, row: pd.Series | None, measure: str) -> str:
        """The same without numbers, for a section's heading."""
        word = self.word_for(row)
        base = self.base(row) if row is not None else ""
        return self.text(f"change.heading_{word}", title=self.labels.measure(measure), base=base)

    def word_for(self, row: pd.Series | None) -> ChangeWord | Literal["unknown"]:
        """The word of a change row; ``unknown`` where there is none, or it is withheld, or spans no time."""
        if row is None or row[["value", "ci_low", "ci_high"]].isna().any() or len(set(self._ends(row))) == 1:
            return "unknown"
        return change_word(row["ci_low"], row["ci_high"], self.smallest_change(row["unit"]))

    def smallest_change(self, unit: str) -> float | None:
        """Smallest change that matters, for numbers in the headline's unit; None for others."""
        settings = self.study.config.estimation
        return settings.smallest_change if unit == self.labels.measures[settings.headline].unit else None

    def base(self, row: pd.Series) -> str:
        """The earlier quarter of a change, in words."""
        return self.labels.period(self._ends(row)[0])

    def comparison(self, row: pd.Series, other: pd.Series) -> str:
        """A place beside another, as far as their intervals tell them apart."""
        return self.text(
            f"compare.{compare_word(row, other)}",
            place=self.labels.region(row["region"]),
            mean=self.mean(other["region"]),
            quantity=self.labels.quantity(row["value"], row["unit"], row["statistic"]),
            other=self.labels.quantity(other["value"], other["unit"], other["statistic"]),
        )

    def amount(self, value: float, unit: str, *, signed: bool = False) -> str:
        """A difference with its unit; shares differ by percentage points."""
        number = self.labels.signed(value, unit) if signed else self.labels.number(value, unit)
        return self.text(f"amount.{unit}", number=number, points=number.rstrip("%"))

    def mean(self, region: str) -> str:
        """What a place below is compared with: the mean of a region, or the national mean."""
        return self.text(
            "figure.national_mean" if region == NATION else "figure.mean", place=self.labels.region(region)
        )

    def interval(self, row: Mapping[Any, Any] | pd.Series) -> str:
        """Both bounds of a row; those of a change in a share are percentage points and carry no sign of per cent."""
        text = self.labels.interval(row["ci_low"], row["ci_high"], row["unit"])
        return text.replace("%", "") if CHANGE_ARROW in str(row.get("period", "")) else text

    def with_interval(self, amount: str, row: Mapping[Any, Any] | pd.Series) -> str:
        """A number or amount, with its interval in brackets."""
        return self.text("amount.with_interval", amount=amount, interval=self.interval(row))

    def words(self, row: pd.Series) -> dict[str, str]:
        """Quantity, interval and its coverage, as texts ask for them."""
        quantity = self.labels.quantity(row["value"], row["unit"], row["statistic"])
        return {"quantity": quantity, "interval": self.interval(row), "level": self.level}

    def _ends(self, row: pd.Series) -> list[str]:
        return str(row["period"]).split(CHANGE_ARROW)


# -- answers of the notebooks -------------------------------------------------------------------------


def response_answer(response: ProtectedTable, returns: ProtectedTable, *, study: Study, language: str) -> str:
    """How many were sampled, how many answered, how many diary days can be used."""
    writer = Writer(study, language)
    rate = pick(response, measure="response_rate")
    counts = {str(row["measure"]): row["value"] for _, row in returns.table.iterrows()}
    shown = {name: writer.labels.number(value, "count", "count") for name, value in counts.items()}
    if "diary_days_used" not in shown:
        return writer.text("answer.no_response")
    if rate is None or pd.isna(rate["value"]):
        return writer.text("answer.returns_only", days=shown["diary_days_used"])
    return writer.text(
        "answer.response",
        sampled=shown["sampled"],
        rate=writer.labels.number(rate["value"], "share"),
        days=shown["diary_days_used"],
    )


def week_answer(week: ProtectedTable, *, study: Study, language: str, region: str = NATION) -> str:
    """What takes most time, among the burdens where the study has them; several where they cannot be told apart."""
    writer = Writer(study, language)
    rows = largest_groups(week, writer.labels, region=region)
    if not rows:
        return writer.text("answer.no_week")
    if len(rows) == 1:
        return writer.text("answer.week", label=writer.labels.measure(rows[0]["measure"]), **writer.words(rows[0]))
    listed = [
        writer.text(
            "answer.listed", label=writer.labels.measure(row["measure"]), quantity=writer.words(row)["quantity"]
        )
        for row in rows
    ]
    return writer.text("answer.week_several", label=writer.text("answer.and").join(listed))


def hours_answer(
    hours: ProtectedTable, change: ProtectedTable, *, study: Study, language: str, region: str = NATION
) -> str:
    """The headline with its interval, and its change."""
    writer = Writer(study, language)
    headline = study.config.estimation.headline
    row = pick(hours, measure=headline, region=region)
    if row is None:
        return writer.finding(None, region=region, period=the_period(hours.table))
    moved = pick(change, measure=headline, region=region, period=None)
    return writer.text("point.with_change", value=writer.value(row), change=writer.change(moved))


def largest_groups(week: ProtectedTable, labels: Labels, *, region: str = NATION) -> list[pd.Series]:
    """Rows of the burden groups (any groups where there is no burden) that no other group is known to exceed."""
    kinds = labels.group_kinds
    burden = [key for key, kind in kinds.items() if kind == "burden"] or list(kinds)
    table = week.table
    here = (table["region"] == region) & (table["by"] == NO_CATEGORY) & table["measure"].isin(burden)
    shown = table[here & table["value"].notna()].sort_values("value", ascending=False, kind="stable")
    return [row for _, row in shown.iterrows() if row["ci_high"] >= shown["ci_low"].iloc[0]]


def share_measures(study: Study) -> list[str]:
    """Ratios of the headline measure to another, such as its share of work time."""
    headline = study.config.estimation.headline
    return [
        key for key, each in study.measures.items() if isinstance(each, ShareMeasure) and each.numerator == headline
    ]


def pick(
    table: ProtectedTable, *, measure: str, region: str = NATION, period: str | None = "", category: str = NO_CATEGORY
) -> pd.Series | None:
    """The one row of a measure for a whole region, or None; ``period=None`` takes the only one there is."""
    if period == "":
        period = the_period(table.table)
    return table.row(measure=measure, region=region, category=category, period=period)


def display_table(table: ProtectedTable, *, study: Study, language: str) -> pd.DataFrame:
    """A protected table as a reader sees it: names for codes, formatted numbers, marks in brackets."""
    writer = Writer(study, language)
    labels, text = writer.labels, writer.text
    frame = table.table
    return pd.DataFrame(
        {
            text("head.measure"): [measure_title(labels, text, key) for key in frame["measure"]],
            text("head.place"): [labels.region(code) for code in frame["region"]],
            text("head.category"): [
                category_title(labels, text, by, value)
                for by, value in zip(frame["by"], frame["category"], strict=True)
            ],
            text("head.quarter"): frame["period"],
            text("head.value"): labels.cells(frame),
            text("head.interval", level=writer.level): [
                "" if pd.isna(row["ci_low"]) or pd.isna(row["ci_high"]) else writer.interval(row)
                for row in frame.to_dict("records")
            ],
            text("head.n"): [
                "" if pd.isna(number) else labels.number(number, "count", "count") for number in frame["n"]
            ],
            **_of_areas(frame, text),
            **_of_effects(frame, text),
        }
    )


def _of_effects(frame: pd.DataFrame, text: Catalogue) -> dict[str, list[str]]:
    """What an effect's verdict or a check came to; for tables that have such a column."""
    if "outcome" not in frame.columns or not frame["outcome"].any():
        return {}
    prefix = "movement.is_" if (frame["by"] == BY_ACCOUNT).any() else "effect."
    words = {outcome: text(prefix + outcome.replace(".", "_")) for outcome in set(frame["outcome"]) if outcome}
    return {text("head.outcome"): [words.get(outcome, "") for outcome in frame["outcome"]]}


def _of_areas(frame: pd.DataFrame, text: Catalogue) -> dict[str, list[str]]:
    """Which kind of estimate an area shows, and the weight of its own diaries in it; for tables of small areas."""
    if "kind" not in frame.columns:
        return {}
    return {
        text("head.kind"): [text(f"areas.{kind}") if kind else "" for kind in frame["kind"]],
        text("head.shrinkage"): ["" if pd.isna(weight) else f"{weight:.2f}" for weight in frame["shrinkage"]],
    }
