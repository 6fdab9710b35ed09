"""What holds for any cell: the grammar never raises, never guesses, and reads back what it would write."""

from __future__ import annotations

import datetime as dt
import math

from hypothesis import given, settings
from hypothesis import strategies as st

from analysis_lib.ingest.instruments import Column
from analysis_lib.ingest.values import Vocabulary, clean, read_cell

WORDS = Vocabulary(
    missing={"": "not_answered", "-99": "refused"},
    values={"coded": {"1": "one"}, "yes_no": {"1": "yes", "0": "no"}},
    activities=frozenset({"M1"}),
    regions=frozenset({"P01"}),
)
TYPES = [
    "id",
    "datetime",
    "date",
    "clock",
    "seconds",
    "hours",
    "count",
    "percent",
    "scale",
    "category",
    "yes_no",
    "activity",
    "region",
    "weight",
    "number",
]
FULL_WIDTH = str.maketrans("0123456789.:-/", "０１２３４５６７８９．：－／")
INVISIBLE = st.sampled_from(["", " ", "\u200b", "\u00a0", "\u3000", "\ufeff", "\t"])


def column(kind: str, **more: object) -> Column:
    return Column.model_validate({"from": "x", "type": kind, **more})


@given(st.text(max_size=20), st.sampled_from(TYPES), st.sampled_from(["x", "coded", "end", "diary_date"]))
@settings(max_examples=400, deadline=None)
def test_any_text_gives_a_value_or_a_reason(text: str, kind: str, name: str) -> None:
    reading = read_cell(text, name, column(kind), WORDS)
    assert (reading.value is None) == (reading.rule.startswith("missing:") or reading.action == "value_rejected")
    assert bool(reading.action) == (bool(reading.rule) and not reading.rule.startswith("missing:"))
    assert reading.action in ("", "fixed", "warned", "value_rejected")


@given(st.text(alphabet="0123456789.:-/+eE,%小时分秒点半上下午年月日 ", max_size=12), st.sampled_from(TYPES))
@settings(max_examples=400, deadline=None)
def test_numbers_and_times_are_finite_and_in_their_range(text: str, kind: str) -> None:
    value = read_cell(text, "end", column(kind), WORDS).value
    if kind == "clock" and value is not None:
        assert 0 <= float(value) <= 1440
    elif isinstance(value, float):
        assert math.isfinite(value)
        assert value >= 0 or kind in ("number", "scale")
    elif kind == "date" and value is not None:
        dt.date.fromisoformat(str(value))
    elif kind == "datetime" and value is not None:
        dt.datetime.fromisoformat(str(value))


@given(st.floats(0, 1e6).map(lambda number: round(number, 2)), INVISIBLE, INVISIBLE, st.booleans())
def test_a_number_is_the_same_in_any_width_and_between_any_blanks(
    number: float, before: str, after: str, is_wide: bool
) -> None:
    text = f"{number:.2f}"
    wide = text.translate(FULL_WIDTH) if is_wide else text
    assert read_cell(before + wide + after, "x", column("number"), WORDS).value == float(text)


@given(st.floats(0, 1e6).map(lambda number: round(number, 2)))
def test_a_thousands_separator_changes_nothing(number: float) -> None:
    assert read_cell(f"{number:,.2f}", "x", column("number"), WORDS).value == float(f"{number:.2f}")


@given(st.integers(0, 1439))
def test_a_clock_time_is_the_same_minute_however_it_is_written(minute: int) -> None:
    hour, rest = divmod(minute, 60)
    half = "上午" if hour < 12 else "下午"
    short = hour if hour < 13 else hour - 12
    ways = [f"{hour:02d}:{rest:02d}", f"{hour}:{rest:02d}:00", f"{hour:02d}{rest:02d}", f"{hour}点{rest}分"]
    ways += [f"{half}{short}:{rest:02d}", f"{hour:02d}:{rest:02d}".translate(FULL_WIDTH)]
    assert {read_cell(way, "start", column("clock"), WORDS).value for way in ways} == {minute}


@given(st.dates(dt.date(1960, 1, 1), dt.date(2090, 12, 31)))
def test_a_date_is_the_same_day_however_it_is_written(day: dt.date) -> None:
    serial = (day - dt.date(1899, 12, 30)).days
    ways = [day.isoformat(), f"{day.year}/{day.month}/{day.day}", f"{day:%Y%m%d}", str(serial)]
    ways += [
        f"{day.year}年{day.month}月{day.day}日",
        f"{day.isoformat()} 00:00:00",
        day.isoformat().translate(FULL_WIDTH),
    ]
    assert {read_cell(way, "x", column("date"), WORDS).value for way in ways} == {day.isoformat()}


@given(st.text(max_size=30))
def test_cleaning_twice_is_cleaning_once(text: str) -> None:
    once = clean(text).text
    assert clean(once).text == once
