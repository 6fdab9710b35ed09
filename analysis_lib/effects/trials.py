"""What an effect is put to: every check of it for which the study has data."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis_lib.effects.designs import UNEXPOSED, Design
from analysis_lib.effects.panel import Panel
from analysis_lib.effects.results import CheckResult
from analysis_lib.effects.robustness import run_checks
from analysis_lib.effects.rollout import positions_of
from analysis_lib.errors import UsageError
from analysis_lib.measures import CombinedMeasure
from analysis_lib.quarters import Quarter
from analysis_lib.reforms import DateKind
from analysis_lib.study import Study
from analysis_lib.time_use.activities import all_measures

DATES: tuple[DateKind, ...] = ("local_start", "issued", "public", "approved")


def try_effect(
    key: str, design: Design, official_quarters: pd.DataFrame, sample: pd.DataFrame, *, study: Study
) -> list[CheckResult]:
    """Every check of a reform's effect on a measure.

    Parameters
    ----------
    sample : pandas.DataFrame
        The officials drawn in these quarters, whether or not they answered; empty where no list was kept.

    Raises
    ------
    DesignError
        When the effect itself cannot be estimated.
    """
    panel = design.panels[key]
    return run_checks(
        panel,
        smallest_change=design.reform.smallest_change,
        way=design.way,
        unit=all_measures(study)[key].unit,
        unexposed=design.panels.get(UNEXPOSED),
        response=_response(official_quarters, sample, panel, study),
        spread=_spread(official_quarters, key, study),
        dates=other_dates(panel, design),
    )


def _response(official_quarters: pd.DataFrame, sample: pd.DataFrame, panel: Panel, study: Study) -> np.ndarray | None:
    """Share of the officials drawn who answered, by region and quarter; None where some cell had none drawn."""
    if sample.empty:
        return None
    at = {code: next((up for up in study.ancestors(code) if up in panel.regions), "") for code in study.regions.index}
    answered = pd.MultiIndex.from_frame(official_quarters[["respondent_id", "quarter"]])
    drawn = pd.MultiIndex.from_frame(sample[["respondent_id", "quarter"]])
    weight = sample["base_weight"].to_numpy(float)
    keys = [sample["region"].map(at), sample["quarter"]]
    all_of = pd.Series(weight).groupby([key.to_numpy() for key in keys]).sum()
    those = pd.Series(weight * drawn.isin(answered)).groupby([key.to_numpy() for key in keys]).sum()
    share = (those / all_of).unstack().reindex(index=list(panel.regions), columns=list(panel.periods))
    return share.to_numpy(float) if share.notna().all(axis=None) else None


def _spread(official_quarters: pd.DataFrame, key: str, study: Study) -> float | None:
    """Standard deviation of a measure among officials; of combined hours, that of the diaries they are made with."""
    measure = all_measures(study)[key]
    column = measure.of if isinstance(measure, CombinedMeasure) else key
    return float(official_quarters[column].std()) if column in official_quarters.columns else None


def other_dates(panel: Panel, design: Design) -> dict[str, np.ndarray]:
    """Starts by the other dates of the register, where they are given, differ and leave a quarter before."""
    found: dict[str, np.ndarray] = {}
    at = [Quarter.parse(period) for period in panel.periods]
    for date in DATES:
        try:
            starts = positions_of(design.reform.starts_by(date), panel.regions, at)
        except UsageError:  # the register does not give it
            continue
        taken = [panel.starts, *found.values()]
        if (starts >= 1).all() and not any(np.array_equal(starts, others) for others in taken):
            found[date] = starts
    return found
