"""Reforms after their start: look by look, whether a cut held, and where the hours went.

A reform that came to all at once has no other regions beside it, so no look says what it did. Whether hours fell after
its start and stayed down is followed all the same, against the quarters before: a change since, not an effect.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from analysis_lib.effects import results
from analysis_lib.effects.designs import Design, blank_result, settle_designs
from analysis_lib.effects.results import EffectResult
from analysis_lib.effects.rollout import n_units
from analysis_lib.effects.specification_curve import finest, prepared
from analysis_lib.errors import DesignError, UsageError
from analysis_lib.monitoring import rebound, repeated_looks
from analysis_lib.monitoring.accounts import Account, account_of_change, account_of_reform
from analysis_lib.monitoring.compositions import log_ratio_table
from analysis_lib.monitoring.displacement import account_table
from analysis_lib.quarters import Quarter
from analysis_lib.study import NATION, Study
from analysis_lib.survey.estimation import estimate
from analysis_lib.time_use.activities import all_measures

SERVICE = "group_service"  # hours of service, which no reform may cost
SINCE = "since"  # label of the account of the nation, which names no reform


@dataclass(frozen=True, slots=True, eq=False)
class Following:
    """What became of reforms, as tables of the contract ``estimates``.

    Attributes
    ----------
    looks : pandas.DataFrame
        Rows of `repeated_looks.as_rows`: the primary measure, those that the reform means to cut, and hours of service.
    lasting : pandas.DataFrame
        Rows of `rebound.as_rows`, for the same measures but service; of a reform that came to all at once the chart alone,
        with ``comparison`` ``none``.
    accounts : pandas.DataFrame
        Rows of `displacement.account_table`: of the nation, and of each reform.
    ratios : pandas.DataFrame
        Rows of `compositions.log_ratio_table`, of the same accounts.
    impossible : dict of str to str
        Reform, measure or account, between dots → why it cannot be followed.
    """

    looks: pd.DataFrame
    lasting: pd.DataFrame
    accounts: pd.DataFrame
    ratios: pd.DataFrame
    impossible: dict[str, str]


def follow_reforms(
    official_quarters: pd.DataFrame,
    *,
    study: Study,
    quarters: Sequence[str],
    earlier: Sequence[str],
    later: Sequence[str],
    progress: Callable[[str], object] | None = None,
) -> Following:
    """Follow every reform of the register, and the week between two periods.

    Parameters
    ----------
    official_quarters : pandas.DataFrame
        The whole sample of the quarters.
    quarters : sequence of str
        Consecutive quarters up to the one under report.
    earlier, later : sequence of str
        Periods of the account of the nation, of like seasons: as a rule the quarters before the first reform and the last
        year (`guarding.compared_quarters`); between two years after it, all that moved has moved already.
    progress : callable, optional
        Told the title of each reform as it comes.
    """
    designs, impossible = settle_designs(official_quarters, study=study, quarters=quarters, progress=progress)
    looks, lasting, accounts = [], [], []
    if earlier:
        try:
            accounts.append(
                account_of_change(official_quarters, study=study, earlier=earlier, later=later, label=SINCE)
            )
        except UsageError as error:
            impossible[SINCE] = str(error)
    for design in designs:
        name = design.reform.id
        if design.is_for_all_at_once:
            impossible[name] = "it came to all regions at once: no other region tells its effect from what came with it"
            for key in dict.fromkeys([design.primary, *design.reform.measures]):
                try:
                    lasting.append(_fall_since(key, design, official_quarters, quarters, study))
                except DesignError as error:
                    impossible[f"{name}.{key}"] = str(error)
            continue
        if not design.panels[design.primary].cohorts:
            is_older = any(start <= Quarter.parse(quarters[0]) for start in design.reform.starts.values())
            impossible[name] = (
                "every region that has it had it before the first quarter: nothing is known of the time before"
                if is_older
                else "no region has a quarter since its start yet"
            )
            continue
        for key in design.checked:
            if not design.panels[key].cohorts:
                impossible[f"{name}.{key}"] = "it was not asked both before and since a start"
                continue
            looks.append(_looks(key, design, study))
            try:
                lasting.append(_lasting(key, design, study))
            except DesignError as error:
                impossible[f"{name}.{key}"] = str(error)
        if SERVICE in design.panels and SERVICE not in design.checked and design.panels[SERVICE].cohorts:
            looks.append(_looks(SERVICE, design, study))
        try:
            accounts.append(account_of_reform(official_quarters, design, study=study, quarters=quarters))
        except DesignError as error:
            impossible[f"{name}.account"] = str(error)
    none = results.as_rows([])
    return Following(
        pd.concat([none, *looks], ignore_index=True),
        pd.concat([none, *lasting], ignore_index=True),
        _tables(accounts, account_table),
        _tables(accounts, log_ratio_table),
        impossible,
    )


def _looks(key: str, design: Design, study: Study) -> pd.DataFrame:
    judged = repeated_looks.repeated_looks(
        repeated_looks.looks_at(design.panels[key], design.way),
        plan_looks=design.reform.plan.looks,
        smallest_change=design.reform.smallest_change,
        confidence_level=design.confidence_level,
    )
    rows = repeated_looks.as_rows(judged, blank_result(key, design, study))
    # A look says what changed since; whether the reform did it is for the checks to allow.
    return rows.assign(outcome=rows["outcome"].where(rows["outcome"] == "", rows["outcome"] + f".{SINCE}"))


def _lasting(key: str, design: Design, study: Study) -> pd.DataFrame:
    panel = prepared(design.panels[key], design.way)
    path = rebound.path_of_panel(finest(panel, design.way), panel)
    level = design.confidence_level
    return rebound.as_rows(
        replace(blank_result(key, design, study), inference=path.spread),
        relapsed=rebound.relapse(path, confidence_level=level),
        lived=rebound.half_life(path, confidence_level=level),
        persisted=rebound.persistence(path, confidence_level=level),
    )


def _fall_since(
    key: str, design: Design, officials: pd.DataFrame, quarters: Sequence[str], study: Study
) -> pd.DataFrame:
    """Whether the nation's hours, below those of the quarters before the start at first, stayed there."""
    reform = design.reform
    series = estimate(officials, [key], study=study, periods={each: [each] for each in quarters}, regions=[NATION])
    series = series[series["by"] == ""].dropna(subset=["estimate"]).sort_values("period", ignore_index=True)
    start = min(reform.starts_by(reform.plan.treatment_date).values())
    path = rebound.path_of_series(series, start=str(start))
    result = EffectResult(
        reform=reform.id, measure=key, unit=all_measures(study)[key].unit, estimand="level",
        estimator="interrupted_series", comparison="none", inference=path.spread,
        treatment_date=reform.plan.treatment_date, period=f"{series['period'].iloc[0]}–{series['period'].iloc[-1]}",
        estimate=np.nan, se=np.nan, df=np.nan, ci_low=np.nan, ci_high=np.nan, p_value=np.nan,
        n_treated=1, n_comparison=0, n=int(series["n"].sum()), n_psu=n_units(officials, list(quarters)),
    )  # fmt: skip
    return rebound.as_rows(result, relapsed=rebound.relapse(path, confidence_level=design.confidence_level))


def _tables(accounts: list[Account], table_of: Callable[[Account], pd.DataFrame]) -> pd.DataFrame:
    if not accounts:
        return results.as_rows([])
    return pd.concat([table_of(account) for account in accounts], ignore_index=True)
