"""Raw drops of a study beside the releases that read them."""

from __future__ import annotations

import datetime as dt
from typing import Any

from analysis_lib.monitoring.ledger import Ledger
from analysis_lib.quarters import Quarter
from analysis_lib.study import Study
from analysis_lib.tables.store import Store

WAITING = "waiting"


def list_drops(study: Study, quarters: list[Quarter], day: dt.date | None = None) -> list[dict[str, Any]]:
    """One row per drop of some quarters: where it stands on a day, and the latest release of its quarter if that read it.

    A drop that the latest release did not read is ``waiting``: late data queue for the next release, and never change
    one that is out. ``-`` stands where no release says what it read.
    """
    store, ledger, rows = Store(study, day), Ledger(study.ledger), []
    for quarter in quarters:
        release = ledger.last_release(str(quarter)) or {}
        for each in store.states(quarter):
            is_read = each.drop.id in release.get("drops", [])
            rows.append(
                {
                    "drop": each.drop.id,
                    "state": each.state,
                    "since": each.since.isoformat(),
                    "instrument": each.drop.instrument,
                    "source": each.drop.source,
                    "release": release["release"] if is_read else WAITING if "drops" in release else "-",
                    "why": each.why,
                    "quarter_is": study.state_of(quarter, day or study.today()),
                }
            )
    return rows
