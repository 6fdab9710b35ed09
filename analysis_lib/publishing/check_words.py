"""A sentence for every check of an effect: what was tried, what came of it in numbers, and what that means."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis_lib.disclosure.policy import CHANGE_ARROW, SHARE_DECIMALS
from analysis_lib.disclosure.protect import ProtectedTable
from analysis_lib.effects.results import BY_CHECK
from analysis_lib.publishing.catalogue import places
from analysis_lib.publishing.sentences import Writer
from analysis_lib.study import NATION

Row = dict[Any, Any]

CHECKS = (
    "pretrends", "placebo_time", "placebo_activity", "leave_one_out", "anticipation", "dates", "other_reforms",
    "attrition", "sensitivity", "specifications",
)  # fmt: skip
# Texts with numbers, in order; each is said only where all of its numbers are known.
FOUND = {
    "pretrends": ("pretrends_{case}_found",),
    "placebo_time": ("placebo_time_found",),
    "placebo_activity": ("placebo_activity_found",),
    "leave_one_out": ("ways_found",),
    "anticipation": ("ways_found",),
    "dates": ("ways_found",),
    "other_reforms": ("other_reforms_found",),
    "attrition": ("attrition_found", "attrition_response"),
    "sensitivity": ("sensitivity_found", "sensitivity_equal"),
    "specifications": ("specifications_found", "specifications_chance"),
}
SIZES = ("slope_most", "bias_most", "spread")
COUNTS = ("tried", "same_sign", "beyond_zero")


@dataclass(frozen=True, slots=True)
class CheckLine:
    """What a reader is told of a check.

    Attributes
    ----------
    key, title : str
        Which check, and its name.
    outcome : str
        Whether it holds, in a word; the mark in brackets where that is withheld.
    sentence : str
        What was tried, what came of it, what it means.
    """

    key: str
    title: str
    outcome: str
    sentence: str


def check_lines(checks: ProtectedTable, reform: str, measure: str, *, writer: Writer) -> list[CheckLine]:
    """A line for each check that was tried on a reform's effect on a measure, in the order of `CHECKS`.

    Raises
    ------
    PublicationBlocked
        When a check has no words: none is passed over in silence.
    """
    table = checks.table
    mine = table[(table["by"] == BY_CHECK) & (table["measure"] == measure) & (table["region"] == NATION)]
    found: dict[str, Row] = {}
    facts: dict[str, dict[str, Row]] = {}
    for row in mine.to_dict("records"):
        of, key, *fact = str(row["category"]).split(".")
        if of == reform and fact:
            facts.setdefault(key, {})[fact[0]] = row
        elif of == reform:
            found[key] = row
    in_order = [*(key for key in CHECKS if key in found), *sorted(found.keys() - set(CHECKS))]
    return [_line(key, found[key], facts.get(key, {}), writer) for key in in_order]


def _line(key: str, row: Row, facts: dict[str, Row], writer: Writer) -> CheckLine:
    text = writer.text
    title, tried = text(f"check.{key}"), text(f"check_says.{key}")
    if not row["outcome"]:
        said, outcome = [text("check_says.withheld")], f"[{row['mark']}]"
    elif row["outcome"] == "cannot_tell" and not _is_known(row):
        said, outcome = [text("check_says.untried")], text("effect.cannot_tell")
    else:
        case, words = _case(row, facts), _words(row, facts, writer)
        names = [f"check_says.{name.format(case=row['outcome'])}" for name in FOUND[key]]
        said = [text(name, **words) for name in names if places(text.texts[name]) <= words.keys()]
        said.append(text(f"check_says.{key}_{case}"))
        outcome = text(f"effect.{row['outcome']}")
    return CheckLine(key, title, outcome, text("check_says.between").join([tried, *said]))


def _case(row: Row, facts: dict[str, Row]) -> str:
    """The outcome; other ways may also agree that there is nothing to be told from zero."""
    counts = [facts[name]["value"] if name in facts else np.nan for name in ("beyond_zero", "tried")]
    is_about_nothing = row["outcome"] == "holds" and 2 * counts[0] < counts[1]
    return "holds_none" if is_about_nothing else row["outcome"]


def _words(row: Row, facts: dict[str, Row], writer: Writer) -> dict[str, str]:
    """What is known of a check, as texts ask for it; what is withheld or has no number is left out."""
    known = {name: fact for name, fact in facts.items() if _is_known(fact)}
    return dict(
        [("level", writer.level), *_of_value(row, writer), *_of_facts(known, writer), *_of_pairs(row, known, writer)]
    )


def _of_value(row: Row, writer: Writer) -> Iterator[tuple[str, str]]:
    if not _is_known(row):
        return
    value, unit = row["value"], row["unit"]
    yield "value", writer.amount(value, unit, signed=True)
    yield "apart", writer.text(f"check_says.{'higher' if value > 0 else 'lower'}", amount=_size(row, writer))
    yield "interval", _interval(row["ci_low"], row["ci_high"], unit, writer)
    if unit == "score" and value > 0:  # how many times what was seen before
        yield "multiple", writer.labels.number(value, unit)


def _of_facts(known: dict[str, Row], writer: Writer) -> Iterator[tuple[str, str]]:
    text, labels = writer.text, writer.labels
    for name, fact in known.items():
        value, unit = fact["value"], fact["unit"]
        if name in SIZES:
            yield name, _size(fact, writer)
        elif name in COUNTS:
            yield name, labels.number(value, "count", "count")
        elif name == "planned":
            yield name, writer.amount(value, unit, signed=True)
        elif name == "periods":
            number = labels.number(value, "count", "count")
            yield name, text("check_says.quarter" if value == 1 else "check_says.quarters", number=number)
        elif name == "p_value":
            share = labels.number(max(value, _step(unit, writer)), unit)
            yield name, text("check_says.chance" if value > 0 else "check_says.chance_below", share=share)


def _of_pairs(row: Row, known: dict[str, Row], writer: Writer) -> Iterator[tuple[str, str]]:
    """Intervals that come as two facts, where they are in a unit that can be printed."""
    response = [known.get(f"response_{name}") for name in ("effect", "ci_low", "ci_high")]
    if all(fact and fact["unit"] == "share" for fact in response):
        moved, low, high = (fact["value"] for fact in response if fact)
        yield "response", writer.amount(moved, "share", signed=True)
        yield "response_interval", _interval(low, high, "share", writer)
    equal = [known.get(f"equal_{name}") for name in ("low", "high")]
    unit = writer.labels.measures[row["measure"]].unit
    if all(fact and fact["unit"] == unit for fact in equal):
        low, high = (fact["value"] for fact in equal if fact)
        yield "equal_interval", _interval(low, high, unit, writer)


def _interval(low: float, high: float, unit: str, writer: Writer) -> str:
    """Both bounds; every number of a check is a difference, so that those of shares are percentage points."""
    if not np.isfinite([low, high]).all():
        return writer.text("check_says.no_interval")
    return writer.interval({"ci_low": low, "ci_high": high, "unit": unit, "period": CHANGE_ARROW})


def _size(row: Row, writer: Writer) -> str:
    """A difference without its sign; one that was rounded to nothing is less than the smallest that is printed."""
    size, unit = abs(row["value"]), row["unit"]
    amount = writer.amount(max(size, _step(unit, writer)), unit)
    return amount if size > 0 else writer.text("check_says.below", amount=amount)


def _step(unit: str, writer: Writer) -> float:
    """The smallest number above zero that is printed."""
    return 10.0 ** -(SHARE_DECIMALS if unit == "share" else writer.study.config.disclosure.hours_decimals)


def _is_known(row: Row) -> bool:
    return bool(np.isfinite(row["value"]))
