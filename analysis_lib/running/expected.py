"""What a run would cost and touch: time from past runs, and the published numbers that could move."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from analysis_lib.monitoring.ledger import Ledger
from analysis_lib.running.suite import Suite
from analysis_lib.running.units import Planned

RUNS_REMEMBERED = 5  # a unit's time is the median of so many last runs


@dataclass(frozen=True, slots=True)
class Expected:
    """What is expected of units that would run.

    Attributes
    ----------
    seconds : dict of str to float
        Unit → seconds of one worker; absent when neither it nor its notebook ever ended well.
    wall_seconds : float
        Time that the whole run takes with so many workers, reading raw drops left out.
    unknown : list of str
        Units of which no time is known.
    moves : dict of str to list of str
        Stale unit → its tables that stand in the release that readers see of its quarter: numbers there could move.
    """

    seconds: dict[str, float]
    wall_seconds: float
    unknown: list[str]
    moves: dict[str, list[str]]


def expected(to_run: list[Planned], suite: Suite, ledger: Ledger, *, workers: int) -> Expected:
    """Time and reach of a run, from the ledger.

    A unit takes the median of its last runs; one that never ran takes that of the same notebook in other quarters and
    regions. With several workers a run lasts as long as its work shared out, and never less than its longest unit.
    """
    known = ledger.seconds_of_units()
    by_notebook: dict[str, list[float]] = {}
    for unit_id, taken in known.items():
        by_notebook.setdefault(_notebook(unit_id), []).extend(taken)
    seconds: dict[str, float] = {}
    for each in to_run:
        past = known.get(each.unit.id) or by_notebook.get(each.unit.notebook)
        if past:
            seconds[each.unit.id] = statistics.median(past[-RUNS_REMEMBERED:])
    wall = max(max(seconds.values(), default=0.0), sum(seconds.values()) / max(workers, 1))
    unknown = [each.unit.id for each in to_run if each.unit.id not in seconds]
    return Expected(seconds, wall, unknown, _moves(to_run, suite, ledger))


def _moves(to_run: list[Planned], suite: Suite, ledger: Ledger) -> dict[str, list[str]]:
    stale = [each for each in to_run if each.due in ("stale", "failed") and not each.unit.as_of]
    published = {quarter: ledger.last_publication(str(quarter)) for quarter in {each.unit.quarter for each in stale}}
    return {each.unit.id: suite.notebooks[each.unit.notebook].tables for each in stale if published[each.unit.quarter]}


def _notebook(unit_id: str) -> str:
    """The notebook in the id of a unit, such as ``2026Q3/10-region-brief/P01@2026-10-31``."""
    return unit_id.split("/")[1].partition("@")[0]
