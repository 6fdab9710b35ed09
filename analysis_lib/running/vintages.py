"""Raw drops of a study beside the releases that read them, and what each vintage of a quarter said."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pandas as pd

from analysis_lib.errors import InputRejected
from analysis_lib.monitoring.ledger import Ledger
from analysis_lib.monitoring.settling import MOST_VINTAGES, settling, vintage_days
from analysis_lib.quarters import Quarter
from analysis_lib.study import NATION, Study
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


def settling_of(study: Study, quarters: list[Quarter], *, at_most: int = MOST_VINTAGES) -> pd.DataFrame:
    """How fast headline and nested measures of some quarters settled, for the nation; see `monitoring.settling`.

    Parameters
    ----------
    at_most : int
        Vintages of a quarter that are estimated; each takes an ingest of the quarter, unless its tables are there.
    """
    tables = []
    for quarter in quarters:
        values = vintage_values(study, quarter, at_most=at_most)
        settled = settling(values, smallest_change=study.config.estimation.smallest_change, since=quarter.last_day)
        settled.insert(0, "quarter", str(quarter))
        tables.append(settled)
    return pd.concat(tables, ignore_index=True)


def vintage_values(study: Study, quarter: Quarter, *, at_most: int = MOST_VINTAGES) -> pd.DataFrame:
    """Headline and nested measures of the nation as each vintage of a quarter gives them.

    A vintage in which part of the sample was not heard of yet cannot be weighted: it has no estimate.
    """
    from analysis_lib import pipeline
    from analysis_lib.survey.estimation import estimate

    settings = study.config.estimation
    measures = list(dict.fromkeys([settings.headline, *settings.nested]))
    tables = []
    for day in vintage_days(Store(study), quarter, at_most=at_most):
        try:
            officials = pipeline.officials_of(Store(study, day), quarter)
        except InputRejected:
            table = pd.DataFrame({"measure": measures, "n": 0}).assign(estimate=float("nan"))
        else:
            periods = {str(quarter): [str(quarter)]}
            table = estimate(officials, measures, study=study, periods=periods, regions=[NATION])
        tables.append(table.reindex(columns=["measure", "estimate", "ci_low", "ci_high", "n"]).assign(day=day))
    return pd.concat(tables, ignore_index=True)
