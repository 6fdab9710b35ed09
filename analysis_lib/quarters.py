"""A calendar quarter: parse, order, shift, difference. No date arithmetic on quarters elsewhere."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

from analysis_lib.errors import UsageError

QUARTERS_PER_YEAR = 4
_PATTERN = re.compile(r"(20[0-9]{2})-?[Qq]([1-4])")


@dataclass(frozen=True, slots=True, order=True)
class Quarter:
    """A calendar quarter, written and read as ``2025Q1``.

    >>> Quarter.parse("2025-Q4").shift(1)
    Quarter(2026Q1)
    >>> Quarter.parse("2026Q1") - Quarter.parse("2025Q1")
    4
    """

    year: int
    number: int

    @classmethod
    def parse(cls, text: str | Quarter) -> Quarter:
        """Read ``2025Q1`` or ``2025-Q1``; raises `UsageError` for anything else."""
        if isinstance(text, Quarter):
            return text
        match = _PATTERN.fullmatch(text)
        if match is None:
            raise UsageError(f"{text!r} is not a quarter", where="quarter", fix="write it like 2025Q1")
        return cls(int(match[1]), int(match[2]))

    @classmethod
    def of(cls, day: dt.date) -> Quarter:
        """The quarter that holds a day."""
        return cls(day.year, (day.month - 1) // 3 + 1)

    @classmethod
    def span(cls, first: Quarter, last: Quarter) -> list[Quarter]:
        """Every quarter from ``first`` to ``last``, both included."""
        return [first.shift(step) for step in range(last - first + 1)]

    def shift(self, quarters: int) -> Quarter:
        """The quarter ``quarters`` later (earlier when negative)."""
        index = self._index + quarters
        return Quarter(index // QUARTERS_PER_YEAR, index % QUARTERS_PER_YEAR + 1)

    @property
    def _index(self) -> int:
        return self.year * QUARTERS_PER_YEAR + self.number - 1

    @property
    def first_day(self) -> dt.date:
        """First calendar day."""
        return dt.date(self.year, 3 * self.number - 2, 1)

    @property
    def last_day(self) -> dt.date:
        """Last calendar day."""
        return self.shift(1).first_day - dt.timedelta(days=1)

    def __contains__(self, day: dt.date) -> bool:
        return self.first_day <= day <= self.last_day

    def __sub__(self, other: Quarter) -> int:
        return self._index - other._index

    def __str__(self) -> str:
        return f"{self.year}Q{self.number}"

    def __repr__(self) -> str:
        return f"Quarter({self})"
