"""How each reform of a study is judged, settled by its plan and its rollout before any effect is looked at."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from analysis_lib.effects.panel import Panel
from analysis_lib.effects.results import EffectResult
from analysis_lib.effects.rollout import NATIONAL, measure_cells, n_units, reform_panels
from analysis_lib.effects.specification_curve import Choices
from analysis_lib.effects.synthetic_control import LEAST_BEFORE, least_comparisons
from analysis_lib.errors import DesignError, UsageError
from analysis_lib.reforms import Reform, read_reforms
from analysis_lib.study import Study
from analysis_lib.time_use.activities import all_measures

Estimator = Literal["group_time", "imputation", "synthetic", "interrupted_series"]

UNEXPOSED = "group_core"  # hours of officials' own duties, which no reform of burdens means to cut


@dataclass(frozen=True, slots=True, eq=False)
class Design:
    """One reform, the measures it is judged by and the estimator that its rollout allows.

    Attributes
    ----------
    reform : Reform
        As the register gives it.
    measures : list of str
        The primary one first.
    estimator : str
        Planned, or for a plan that says ``auto`` chosen by the rules of docs/methods.md.
    panels : dict of str to Panel
        By measure; empty where the reform came to all at once.
    way : Choices
        How regions are compared; also for what stands beside an estimate that compares none.
    confidence_level : float
        Of the intervals.
    n_units : int
        Work units behind the panels.
    """

    reform: Reform
    measures: list[str]
    estimator: Estimator
    panels: dict[str, Panel]
    way: Choices
    confidence_level: float
    n_units: int

    @property
    def primary(self) -> str:
        """The measure on which the verdict rests."""
        return self.measures[0]

    @property
    def is_for_all_at_once(self) -> bool:
        """Whether no regions can be compared."""
        return not self.panels

    @property
    def checked(self) -> list[str]:
        """Measures whose effects are put to every check: the primary one, and those that the reform means to cut."""
        return [key for key in self.panels if key == self.primary or key in self.reform.measures]


def settle_designs(
    official_quarters: pd.DataFrame,
    *,
    study: Study,
    quarters: Sequence[str],
    progress: Callable[[str], object] | None = None,
) -> tuple[list[Design], dict[str, str]]:
    """The design of each reform of the register, in its order.

    Parameters
    ----------
    official_quarters : pandas.DataFrame
        The whole sample of the quarters.
    quarters : sequence of str
        Consecutive quarters up to the one under report.
    progress : callable, optional
        Told the title of each reform as it comes.

    Returns
    -------
    tuple of list of Design and dict of str to str
        And reform → why it has none.
    """
    reforms, designs, impossible = read_reforms(study), [], {}
    settings = study.config.estimation
    keys = {reform.id: measures_assessed(study, reform) for reform in reforms}
    apart = [reform for reform in reforms if not comes_to_all_at_once(reform, study)]
    cells = {}
    for level in dict.fromkeys(reform.level for reform in apart):
        wanted = list(dict.fromkeys(key for reform in apart if reform.level == level for key in keys[reform.id]))
        cells[level] = measure_cells(official_quarters, wanted, study=study, level=level, quarters=list(quarters))
    units = n_units(official_quarters, list(quarters)) if reforms else 0
    for reform in reforms:
        if progress:
            progress(reform.title_en)
        try:
            panels: dict[str, Panel] = {}
            if reform in apart:
                panels = reform_panels(cells[reform.level], keys[reform.id], reform, study=study, others=reforms)
            designs.append(_settled(reform, keys[reform.id], panels, settings.confidence_level, units))
        except (DesignError, UsageError) as error:
            impossible[reform.id] = str(error)
    return designs, impossible


def _settled(reform: Reform, keys: list[str], panels: dict[str, Panel], confidence_level: float, units: int) -> Design:
    if panels and keys[0] not in panels:
        raise DesignError("it was not asked in the same quarters everywhere", where=f"{reform.id}, {keys[0]}",
                          fix="name another primary measure in the plan")  # fmt: skip
    estimator = choose_estimator(reform, panels[keys[0]], confidence_level) if panels else "interrupted_series"
    way = Choices(
        # Beside an estimate that compares no regions, and by itself, the more precise of the two: means of a survey
        # scatter, and imputation uses every quarter before.
        estimator="group_time" if estimator == "group_time" else "imputation",
        comparison=reform.plan.comparison if estimator == "group_time" else "not_yet",
        anticipation=reform.plan.anticipation,
        date=reform.plan.treatment_date,
    )
    return Design(reform, keys, estimator, panels, way, confidence_level, units)


def blank_result(key: str, design: Design, study: Study) -> EffectResult:
    """Everything of an effect but its numbers."""
    panel = design.panels[key]
    return EffectResult(
        reform=design.reform.id, measure=key, unit=all_measures(study)[key].unit, estimand="treated",
        estimator=design.estimator, comparison=design.way.comparison, inference="cohort", treatment_date=design.way.date,
        period=f"{panel.periods[0]}–{panel.periods[-1]}", estimate=math.nan, se=math.nan, df=math.nan,
        ci_low=math.nan, ci_high=math.nan, p_value=math.nan, n_treated=int(panel.is_ever.sum()),
        n_comparison=int((~panel.is_ever).sum()), n=panel.n, n_psu=design.n_units, left_out=panel.left_out,
    )  # fmt: skip


def choose_estimator(reform: Reform, panel: Panel, confidence_level: float) -> Estimator:
    """The planned estimator; by itself a synthetic control for one region among enough others, else imputation."""
    if reform.plan.estimator != "auto":
        return reform.plan.estimator
    never = int((~panel.is_ever).sum())
    is_alone = int(panel.is_ever.sum()) == 1 and min(panel.cohorts) >= LEAST_BEFORE
    return "synthetic" if is_alone and never >= least_comparisons(confidence_level) else "imputation"


def comes_to_all_at_once(reform: Reform, study: Study) -> bool:
    """Whether every region began in the same quarter, so that none can be compared with another."""
    if reform.level == NATIONAL:
        return True
    starts = reform.starts_by(reform.plan.treatment_date)
    return len({starts.get(code) for code in study.regions_at(reform.level)}) == 1


def measures_assessed(study: Study, reform: Reform) -> list[str]:
    """Measures on which a reform is judged: the primary one, its own, the nested ones, each group of hours, counts and felt."""
    known, settings = all_measures(study), study.config.estimation
    of_groups = [key for key in known if key.startswith("group_") and key != "group_personal"]
    counted = [cap.measure for cap in reform.caps]
    felt = [key for group in reform.groups for key in known if key == f"felt_{group}"]
    wanted = [reform.primary_in(study), *reform.measures, *settings.nested, *of_groups, *counted, *felt]
    return [key for key in dict.fromkeys(wanted) if key in known]
