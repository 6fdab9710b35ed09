"""What a run would cost and touch: time from past runs, and the published numbers that could move."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from dataclasses import dataclass

from analysis_lib.monitoring.ledger import Ledger
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
    moves : dict of str to dict of str to int
        Stale unit → how many numbers of each of its tables readers see in the release of its quarter: those could move.
    """

    seconds: dict[str, float]
    wall_seconds: float
    unknown: list[str]
    moves: dict[str, dict[str, int]]


def expected(to_run: list[Planned], ledger: Ledger, *, workers: int) -> Expected:
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
    return Expected(seconds, wall, unknown, _moves(to_run, ledger))


def _moves(to_run: list[Planned], ledger: Ledger) -> dict[str, dict[str, int]]:
    stale = [each.unit for each in to_run if each.due in ("stale", "failed") and not each.unit.as_of]
    shown = {quarter: _shown(ledger, str(quarter)) for quarter in {unit.quarter for unit in stale}}
    return {unit.id: dict(shown[unit.quarter][unit.name]) for unit in stale if unit.name in shown[unit.quarter]}


def _shown(ledger: Ledger, quarter: str) -> dict[str, Counter[str]]:
    """Unit → table → numbers that readers see of a quarter; what is withheld is no number."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    published = ledger.last_publication(quarter)
    for cell in ledger.cells(str(published["release"])) if published else []:
        if cell["estimate"] is not None:
            found[cell["unit"]][cell["table"]] += 1
    return found


def _notebook(unit_id: str) -> str:
    """The notebook in the id of a unit, such as ``2026Q3/10-region-brief/P01@2026-10-31``."""
    return unit_id.split("/")[1].partition("@")[0]
