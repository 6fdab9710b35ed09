"""The demonstration study: raw exports with their usual dirt, drawn from a truth that is kept beside them.

Nothing here knows how the exports will be read, and nothing that reads them knows the truth.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pandas as pd
from tqdm import tqdm

from analysis_lib.errors import UsageError, did_you_mean
from analysis_lib.ingest.simulate.deliveries import deliver_quarter
from analysis_lib.ingest.simulate.hours import TrueWeeks, live_quarter, settle_habits
from analysis_lib.ingest.simulate.officials import draw_sample, whole_frame
from analysis_lib.ingest.simulate.places import write_places
from analysis_lib.ingest.simulate.scenarios import SCENARIOS, Scenario, find_scenario
from analysis_lib.ingest.simulate.truth import (
    claim_study,
    true_official_quarters,
    true_population_means,
    write_truth,
)
from analysis_lib.quarters import Quarter
from analysis_lib.reforms import read_reforms
from analysis_lib.study import Study

__all__ = ["SCENARIOS", "Scenario", "simulate_study"]


def simulate_study(
    study: Study,
    *,
    scenario: str = "b",
    seed: int = 20231,
    fabricated: float = 0.0,
    quarters: Iterable[Quarter] | None = None,
    progress: bool = True,
) -> None:
    """Write raw drops of a study through the store, and the truth beside them.

    Parameters
    ----------
    scenario : str
        A letter of ``SCENARIOS``.
    seed : int
        The same seed gives the same bytes; a quarter's drops do not depend on which others are asked for.
    fabricated : float
        Share of units, and of people for each way of making answers up, that is planted and listed in the truth.
    quarters : iterable of Quarter, optional
        Quarters whose drops are written; all of the calendar by default. The truth always covers the calendar.
    progress : bool
        Show a progress bar when a terminal looks.

    Raises
    ------
    UsageError
        For an unknown scenario, a quarter outside the calendar, or a study that holds drops of another world.
    """
    world = find_scenario(scenario)
    calendar = study.config.calendar.quarters
    wanted = calendar if quarters is None else list(quarters)
    for quarter in wanted:
        if quarter not in calendar:
            hint = did_you_mean(str(quarter), map(str, calendar))
            raise UsageError(f"{quarter} is not in the study's calendar", where="simulate", fix=hint)
    claim_study(study, world, seed, fabricated)
    write_places(study)
    frame = whole_frame(study, seed=seed)
    official_quarters, population_means = [], []
    weeks = _live_through(study, frame, world, seed)
    before = next(weeks)
    for quarter in tqdm(calendar, desc="simulating", unit="quarter", disable=None if progress else True):
        now = next(weeks)
        panel = draw_sample(frame, quarter, first=calendar[0], seed=seed)
        official_quarters.append(true_official_quarters(panel, now))
        population_means.append(true_population_means(frame, now, study))
        if quarter in wanted:
            deliver_quarter(study, panel, now, before, scenario=world, seed=seed, fabricated=fabricated)
        before = now
    write_truth(study, pd.concat(official_quarters), pd.concat(population_means))


def _live_through(study: Study, frame: pd.DataFrame, world: Scenario, seed: int) -> Iterator[TrueWeeks]:
    """True weeks from the quarter before the calendar on: change felt in the first quarter needs it."""
    habits, reforms = settle_habits(frame, seed=seed), read_reforms(study)
    calendar = study.config.calendar.quarters
    for quarter in [calendar[0].shift(-1), *calendar]:
        yield live_quarter(frame, habits, quarter, scenario=world, reforms=reforms, seed=seed)
