"""What one cell of an export means: a small grammar for numbers, times, dates, codes and missing answers.

Every column is read by its distinct texts, so the grammar can afford to be careful. A reading never guesses: what it
cannot read is given back with the id of the rule that stopped it (catalogue of bad inputs: docs/methods.md).
"""

from __future__ import annotations

import datetime as dt
import math
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple
from zoneinfo import ZoneInfo

from analysis_lib.errors import did_you_mean
from analysis_lib.ingest.instruments import YES_NO, Column, Instrument
from analysis_lib.region_changes import Reading as ChangedCode

Value = str | float | bool | None
MINUTES_PER_DAY = 1440
NOT_ANSWERED = "not_answered"
REGION_CHANGED = "F32"  # rule of a region code that was another one then


class Reading(NamedTuple):
    """A cell's value, or the rule that stopped it.

    Attributes
    ----------
    value : str, float, bool or None
        None when there is none.
    rule : str
        Empty for a clean cell; ``missing:<reason>``; else the rule that changed, doubted or rejected it.
    action : str
        Empty, ``fixed``, ``warned`` or ``value_rejected``.
    message : str
        What was done and why, never the cell itself.
    """

    value: Value
    rule: str = ""
    action: str = ""
    message: str = ""


@dataclass(frozen=True)
class Vocabulary:
    """What cells may say in a study and quarter.

    Attributes
    ----------
    missing : dict of str to str
        Cleaned cell text → reason why there is no answer.
    values : dict
        Column → cleaned code → our category.
    activities, regions : frozenset of str
        Codes of the reference files.
    changed_regions : dict
        Code that returns of the quarter may carry → the region that it is read as, and why.
    timezone : zoneinfo.ZoneInfo
        Zone into which moments with an offset are turned.
    diary_days : (str, str)
        First and last diary day, ISO.
    """

    missing: dict[str, str]
    values: dict[str, dict[str, str]]
    activities: frozenset[str]
    regions: frozenset[str]
    timezone: ZoneInfo = field(default_factory=lambda: ZoneInfo("Asia/Shanghai"))
    diary_days: tuple[str, str] = ("0001-01-01", "9999-12-31")
    changed_regions: dict[str, ChangedCode] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        instrument: Instrument,
        *,
        activities: frozenset[str],
        regions: frozenset[str],
        timezone: str,
        diary_days: tuple[str, str],
        changed_regions: dict[str, ChangedCode],
    ) -> Vocabulary:
        """The vocabulary of an instrument in a study and quarter; its codes are cleaned as cells are."""
        return cls(
            {"": NOT_ANSWERED} | {clean(code).text: reason for code, reason in instrument.missing.items()},
            {
                name: {clean(code).text: value for code, value in table.items()}
                for name, table in instrument.values.items()
            },
            activities,
            regions,
            ZoneInfo(timezone),
            diary_days,
            changed_regions,
        )


def read_cell(text: str, name: str, column: Column, vocabulary: Vocabulary) -> Reading:
    """Read one cell of a column.

    >>> words = Vocabulary({"": "not_answered", "-99": "refused"}, {}, frozenset(), frozenset())
    >>> hours = Column(source="h", type="hours", max=110)
    >>> [read_cell(text, "work_hours", hours, words)[:2] for text in ("８．５", "3小时", "-99")]
    [(8.5, 'I22'), (3.0, 'I24'), (None, 'missing:refused')]
    """
    cleaned = clean(text)
    if cleaned.text in vocabulary.missing:
        return Reading(None, f"missing:{vocabulary.missing[cleaned.text]}")
    reading = _READERS[column.type](cleaned.text, name, column, vocabulary)
    if reading.rule or not cleaned.rule:
        return reading
    return Reading(reading.value, cleaned.rule, "fixed", cleaned.message)


# -- characters ----------------------------------------------------------------------------------------


class _Cleaned(NamedTuple):
    text: str
    rule: str = ""
    message: str = ""


_MINUS = str.maketrans({"\u2212": "-", "\u2013": "-", "\ufe63": "-"})
# Zero-width and direction marks, byte-order mark, soft hyphen, word joiner.
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]")


def clean(text: str) -> _Cleaned:
    """Compatibility characters to plain ones, invisible ones and outer blanks away.

    >>> clean(" ８\u200b")
    _Cleaned(text='8', rule='I33', message='blanks or invisible characters removed')
    """
    if text.isascii():
        bare = text.strip()
        return _Cleaned(bare) if bare == text else _Cleaned(bare, "I33", _BLANKS)
    plain = unicodedata.normalize("NFKC", text)
    seen = _INVISIBLE.sub("", plain).translate(_MINUS).strip()
    if seen != plain:
        return _Cleaned(seen, "I33", _BLANKS)
    return _Cleaned(seen, "I22", "full-width characters made plain") if plain != text else _Cleaned(seen)


_BLANKS = "blanks or invisible characters removed"


# -- numbers -------------------------------------------------------------------------------------------

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?")
_WITH_UNITS = re.compile(r"(?:\d+(?:\.\d+)?\s*[^\d\s.,:+-]+\s*)+")
_UNIT = re.compile(r"(\d+(?:\.\d+)?)\s*([^\d\s.,:+-]+)")
_CHINESE_NUMERAL = re.compile("[〇零一二两三四五六七八九十百千半几]+")
_HOUR = dict.fromkeys(["h", "hr", "hrs", "hour", "hours", "小时", "个小时", "时"], 1.0)
_MINUTE = dict.fromkeys(["m", "min", "mins", "minute", "minutes", "分", "分钟"], 1.0)
_SECOND = dict.fromkeys(["s", "sec", "secs", "second", "seconds", "秒", "秒钟"], 1.0)
_UNITS: dict[str, dict[str, float]] = {
    "hours": _HOUR | dict.fromkeys(_MINUTE, 1 / 60),
    "seconds": dict.fromkeys(_HOUR, 3600.0) | dict.fromkeys(_MINUTE, 60.0) | _SECOND,
    "count": dict.fromkeys(["个", "次", "件", "场", "批", "批次", "份", "条", "项"], 1.0),
    "percent": {"%": 1.0},
    "scale": {"分": 1.0},
}
_WHOLE = {"count", "scale"}


def _number(text: str, _name: str, column: Column, _vocabulary: Vocabulary) -> Reading:
    if _NUMBER.fullmatch(text):
        reading = Reading(float(text))
    elif _THOUSANDS.fullmatch(text):
        reading = Reading(float(text.replace(",", "")), "I21", "fixed", "thousands separator removed")
    else:
        reading = _with_units(text, column)
    return reading if reading.value is None else _in_range(reading, column)


def _with_units(text: str, column: Column) -> Reading:
    units = _UNITS.get(column.type, {})
    parts = _UNIT.findall(text) if _WITH_UNITS.fullmatch(text) else []
    if parts and all(unit.lower() in units for _, unit in parts):
        value = math.fsum(float(number) * units[unit.lower()] for number, unit in parts)
        return Reading(value, "I24", "fixed", "unit removed")
    if _CHINESE_NUMERAL.fullmatch(text):
        return _rejected("I23", "written in Chinese numerals")
    if re.fullmatch(r"\d{1,3}:\d{2}(:\d{2})?", text):
        return _rejected("I25", "written as a clock time where a number is expected")
    if text.lower().lstrip("+-") in ("inf", "infinity", "nan"):
        return _rejected("I31", "not a finite number")
    if text.startswith("#"):
        return _rejected("I36", "an error value of a spreadsheet")
    return _rejected("I24", "not a number in a unit that is known here")


def _in_range(reading: Reading, column: Column) -> Reading:
    value = float(reading.value or 0.0)
    if not math.isfinite(value):
        return _rejected("I31", "not a finite number")
    if column.type == "weight":
        if value < 0:
            return _rejected("I61", "a negative weight")
        if value == 0:
            return Reading(0.0, "I61", "warned", "a weight of zero")
    low, high = column.min, column.max
    if value < 0 and ((low is not None and low >= 0) or column.type in ("hours", "seconds", "count", "percent")):
        rule = "I50" if column.type in ("hours", "seconds") else "I27"
        return _rejected(rule, "negative where nothing can be; no missing code of this instrument")
    if (low is not None and value < low) or (high is not None and value > high):
        return _rejected("range", f"outside {_shown(low)}…{_shown(high)}")
    if column.type in _WHOLE and value != int(value):
        return _rejected("whole", "not a whole number")
    return reading


def _shown(limit: float | None) -> str:
    return "" if limit is None else f"{limit:g}"


# -- clock times, dates --------------------------------------------------------------------------------

_OFFSET = r"(?:Z|[+-]\d{2}:?\d{2})?"
_CLOCK = re.compile(rf"(\d{{1,2}}):(\d{{2}})(?::\d{{2}}(?:\.\d+)?)?{_OFFSET}")
_CLOCK_IN_WORDS = re.compile(r"(\d{1,2})[点时](钟|整|半|一刻|三刻|(\d{1,2})分?)?")
_QUARTER_HOURS = {"一刻": 15, "半": 30, "三刻": 45}
_BARE_CLOCK = re.compile(r"(\d{1,2})(\d{2})")
_HALF_OF_DAY = re.compile(r"(上午|早上|凌晨|中午|下午|晚上|am|pm|a\.m\.|p\.m\.)", re.IGNORECASE)
_MORNING = {"上午", "早上", "凌晨", "am", "a.m."}
_DATE = re.compile(r"(\d{4})([-/.年])(\d{1,2})(?:\2|月)(\d{1,2})日?")
_COMPACT_DATE = re.compile(r"(20\d{2}|19\d{2})(\d{2})(\d{2})")
_SERIAL = re.compile(r"([2-6]\d{4})(\.\d+)?")  # 1954 to 2091
_TIME_OF_DAY = re.compile(rf"(\d{{1,2}}):(\d{{2}})(?::(\d{{2}})(?:\.\d+)?)?({_OFFSET})")
_SPREADSHEET_EPOCH = dt.datetime(1899, 12, 30)
_AMBIGUOUS_DATE = re.compile(r"\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}")


def is_ambiguous_date(text: str) -> bool:
    """Whether a text is a date whose day and month cannot be told apart; the whole file is then doubtful."""
    return _AMBIGUOUS_DATE.fullmatch(clean(text).text.split(" ")[0]) is not None


def _clock(text: str, name: str, _column: Column, _vocabulary: Vocabulary) -> Reading:
    """Minutes after midnight, 0 to 1440; 1440 only as an end."""
    if text.startswith("-"):
        return _rejected("I50", "a negative time")
    half = _HALF_OF_DAY.search(text)
    found = _hour_minute((text[: half.start()] + text[half.end() :]).strip() if half else text)
    if found is None:
        return _rejected("I49", "not a clock time")
    hour, minute, rule, message = found
    if half:
        rule, message = "I49", "twelve-hour clock read"
        hour = _hour_of_day(hour, half[0].lower())
    if (hour, minute) == (24, 0):
        if name != "end":
            return _rejected("I46", "24:00 can only end an episode")
        return Reading(MINUTES_PER_DAY, "I46", "fixed", "24:00 read as the end of the day")
    if not 0 <= hour <= 23 or minute > 59:
        return _rejected("I47", "no such time")
    return Reading(hour * 60 + minute, rule, "fixed" if rule else "", message)


def _hour_minute(text: str) -> tuple[int, int, str, str] | None:
    """Hour and minute as written, with the rule and message for an unusual way of writing them."""
    if match := _CLOCK.fullmatch(text):
        return int(match[1]), int(match[2]), "", ""
    if match := _CLOCK_IN_WORDS.fullmatch(text):
        return int(match[1]), _QUARTER_HOURS.get(match[2], int(match[3] or 0)), "I49", "time in words read"
    if match := _BARE_CLOCK.fullmatch(text):
        return int(match[1]), int(match[2]), "I48", "time without a colon read"
    if re.fullmatch(r"0?\.\d{2,}", text):
        hour, minute = divmod(round(float(text) * MINUTES_PER_DAY), 60)
        return hour, minute, "I40", "spreadsheet fraction of a day read"
    return None


def _hour_of_day(hour: int, half: str) -> int:
    """An hour of a twelve-hour clock as one of twenty-four; -1 when morning and hour contradict each other."""
    if half in _MORNING:
        return -1 if hour > 12 else hour % 12
    is_before_noon = half == "中午" and hour in (10, 11)
    return hour if hour >= 12 or is_before_noon else hour + 12


def _date(text: str, name: str, _column: Column, vocabulary: Vocabulary) -> Reading:
    """An ISO date; a diary's must lie in the quarter."""
    reading = _calendar_day(text)
    first, last = vocabulary.diary_days
    if name == "diary_date" and reading.value is not None and not first <= str(reading.value) <= last:
        return _rejected("F16", "a diary day outside the quarter")
    return reading


def _calendar_day(text: str) -> Reading:
    rule, message = "", ""
    day, _, time_of_day = text.replace("T", " ").partition(" ")
    if time_of_day and not re.fullmatch(rf"0?0:00(:00(\.0+)?)?{_OFFSET}", time_of_day.strip()):
        return _rejected("I41", "a date is expected, not a moment")
    if match := _DATE.fullmatch(day):
        year, month, number = int(match[1]), int(match[3]), int(match[4])
        if match[2] == "年":
            rule, message = "I41", "Chinese date read"
    elif match := _COMPACT_DATE.fullmatch(day):
        year, month, number = int(match[1]), int(match[2]), int(match[3])
    elif match := _SERIAL.fullmatch(day):
        found = _SPREADSHEET_EPOCH + dt.timedelta(days=int(match[1]))
        return Reading(found.date().isoformat(), "I40", "fixed", "spreadsheet day number read")
    else:
        return _rejected("I43", "not a date written year, month, day")
    try:
        return Reading(dt.date(year, month, number).isoformat(), rule, "fixed" if rule else "", message)
    except ValueError:
        return _rejected("I45", "no such day in the calendar")


def _datetime(text: str, _name: str, _column: Column, vocabulary: Vocabulary) -> Reading:
    """An ISO moment in the study's time zone, to the second."""
    if match := _SERIAL.fullmatch(text):
        found = _SPREADSHEET_EPOCH + dt.timedelta(seconds=round(float(text) * 86_400))
        return Reading(found.isoformat(), "I40", "fixed", "spreadsheet day number read")
    day, _, time_of_day = text.replace("T", " ").partition(" ")
    date = _calendar_day(day)
    if date.value is None:
        return date
    match = _TIME_OF_DAY.fullmatch(time_of_day.strip() or "00:00")
    if match is None or int(match[1]) > 23 or int(match[2]) > 59 or int(match[3] or 0) > 59:
        return _rejected("I47", "no such time")
    moment = dt.datetime.fromisoformat(str(date.value)).replace(
        hour=int(match[1]), minute=int(match[2]), second=int(match[3] or 0)
    )
    if match[4]:
        offset = dt.datetime.strptime(match[4], "%z").tzinfo
        moment = moment.replace(tzinfo=offset).astimezone(vocabulary.timezone).replace(tzinfo=None)
    return Reading(moment.isoformat(), date.rule, date.action, date.message)


# -- codes ---------------------------------------------------------------------------------------------

_EXPONENT = re.compile(r"\d+(\.\d+)?[eE]\+?\d+")
_TOTAL = re.compile("合计|总计|小计|总数|total|sum", re.IGNORECASE)


def is_damaged_id(text: str) -> bool:
    """Whether a spreadsheet turned a long id into a rounded number (``1.10101E+17``)."""
    return _EXPONENT.fullmatch(clean(text).text) is not None


def _id(text: str, _name: str, column: Column, _vocabulary: Vocabulary) -> Reading:
    if _TOTAL.search(text):
        return _rejected("I15", "a line of totals")
    return _matching(_padded(text, column), column)


def _category(text: str, name: str, column: Column, vocabulary: Vocabulary) -> Reading:
    text = _padded(text, column)
    table = vocabulary.values.get(name)
    if table is None:
        return _matching(text, column)
    if text in table:
        return Reading(table[text])
    return _rejected("I64", f"no code of {name} in this instrument")


def _yes_no(text: str, _name: str, _column: Column, vocabulary: Vocabulary) -> Reading:
    word = vocabulary.values[YES_NO].get(text)
    return _rejected("I64", "neither yes nor no in this instrument") if word is None else Reading(word == "yes")


def _activity(text: str, _name: str, column: Column, vocabulary: Vocabulary) -> Reading:
    text = _padded(text, column)
    if text in vocabulary.activities:
        return Reading(text)
    return _rejected("I64", "no activity code of activities.csv")


def _region(text: str, _name: str, column: Column, vocabulary: Vocabulary) -> Reading:
    text = _padded(text, column)
    if text in vocabulary.changed_regions:
        today = vocabulary.changed_regions[text]
        return (
            Reading(today.region, REGION_CHANGED, "fixed", today.message)
            if today.region
            else _rejected("I60", today.message)
        )
    if text in vocabulary.regions:
        return Reading(text)
    near = did_you_mean(text, vocabulary.regions).partition("Allowed")[0].strip()
    return _rejected("I60", f"no region of regions.csv; {near}" if near else "no region of regions.csv")


def _padded(text: str, column: Column) -> str:
    return text.zfill(column.pad) if column.pad and text.isdigit() else text


def _matching(text: str, column: Column) -> Reading:
    if column.pattern and not re.fullmatch(column.pattern, text):
        return _rejected("pattern", "not written as the instrument says")
    return Reading(text)


def _rejected(rule: str, message: str) -> Reading:
    return Reading(None, rule, "value_rejected", message)


_READERS: dict[str, Callable[[str, str, Column, Vocabulary], Reading]] = {
    "id": _id,
    "datetime": _datetime,
    "date": _date,
    "clock": _clock,
    "category": _category,
    "yes_no": _yes_no,
    "activity": _activity,
    "region": _region,
} | dict.fromkeys(["seconds", "hours", "count", "percent", "scale", "weight", "number"], _number)
