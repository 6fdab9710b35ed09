"""What a plan expects: time from past runs, and published numbers that could move."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_suite import write_tiny_study

from analysis_lib.monitoring.ledger import Ending, Ledger
from analysis_lib.quarters import Quarter
from analysis_lib.running.expected import expected
from analysis_lib.running.units import Planned, Unit

Q2, Q3 = Quarter(2026, 2), Quarter(2026, 3)


def stale(notebook: str, quarter: Quarter = Q3, region: str = "all") -> Planned:
    return Planned(Unit(notebook, quarter, region), {}, {}, "stale", "code changed")


def cell(unit: str, table: str, estimate: float | None = 1.0) -> dict[str, object]:
    return {"unit": unit, "table": table, "key": "{}", "estimate": estimate}


def test_time_is_the_median_of_the_last_runs_and_numbers_move_where_readers_see_them(tmp_path: Path) -> None:
    study = write_tiny_study(tmp_path / "study")
    ledger = Ledger(study.ledger)
    for seconds in (90, 2, 4, 3, 5, 6):  # the first is forgotten
        ledger.record_ending(Ending("r", "2026Q3/01-quick", "ok", "k", seconds=seconds))
    ledger.record_ending(Ending("r", "2026Q3/01-quick", "timeout", "k", seconds=600))
    ledger.record_ending(Ending("r", "2026Q2/10-brief/P01", "ok", "k", seconds=10))
    ledger.record_publication("2026Q3/r1", "published")
    ledger.record_cells("2026Q3/r1", [cell("01-quick", "hours"), cell("01-quick", "hours"), cell("01-quick", "hours", None),
                                      cell("01-quick", "change"), cell("10-brief/P02", "hours")])  # fmt: skip
    to_run = [stale("01-quick"), stale("02-new"), stale("10-brief", region="P02"), stale("01-quick", Q2)]

    told = expected(to_run, ledger, workers=1)
    assert told.seconds == {"2026Q3/01-quick": 4, "2026Q3/10-brief/P02": 10, "2026Q2/01-quick": 4}
    assert told.wall_seconds == pytest.approx(18)
    assert told.unknown == ["2026Q3/02-new"]
    # What is withheld is no number; a notebook that readers saw nothing of, and a quarter they did not see, move none.
    assert told.moves == {"2026Q3/01-quick": {"hours": 2, "change": 1}, "2026Q3/10-brief/P02": {"hours": 1}}
    assert expected(to_run, ledger, workers=8).wall_seconds == 10  # no run is shorter than its longest unit
