"""What the model of hours lost gives if answers were otherwise: fewer inspections, fewer meetings, a cap on forms.

An association carried over to other values, not an effect of acting: those who are inspected less differ in other ways
too. It says how large a change could be expected at most if the association were all cause, and how far it leaves
what was observed. Formulas: `mean_model.average_change`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from analysis_lib.errors import InputRejected, UsageError, did_you_mean
from analysis_lib.study import NATION, Study
from analysis_lib.survey.design import Sample, SurveyDesign, read_sample
from analysis_lib.survey.driver_plan import FILE, DriverPlan, Form, read_drivers
from analysis_lib.survey.drivers import MIN_RESIDUAL_DF, Cases, design_df, prepare_cases, refuse_dependent
from analysis_lib.survey.linearisation import t_interval
from analysis_lib.survey.mean_model import average_change, fit_mean, variances
from analysis_lib.tables.contracts import CONTRACTS, check

Kind = Literal["times", "plus", "cap"]

BY_SCENARIO = "scenario"
AFFECTED, OUTSIDE = "affected", "outside"
_WAYS = "write NAME=-50%, NAME=+2, NAME=-1 or NAME=<=3, several with commas between"
_CHANGE = re.compile(r"(?P<cap><=)?(?P<number>[+-]?\d+(?:\.\d+)?)(?P<percent>%)?")


@dataclass(frozen=True, slots=True)
class Change:
    """How a number is changed: multiplied, added to (not below zero), or capped."""

    kind: Kind
    by: float

    def applied(self, values: np.ndarray) -> np.ndarray:
        """The values after the change.

        >>> Change("cap", 2.0).applied(np.array([1.0, 3.0])).tolist()
        [1.0, 2.0]
        """
        if self.kind == "times":
            return values * self.by
        if self.kind == "plus":
            return np.maximum(values + self.by, np.minimum(values, 0.0))
        return np.minimum(values, self.by)


@dataclass(frozen=True, slots=True)
class Scenario:
    """What the model gives under changed answers.

    Attributes
    ----------
    outcome, unit : str
        The measure, and its unit.
    estimate, se, df, ci_low, ci_high : float
        Average change of the measure; the interval is that of the model as fitted and holds no doubt of the model.
    n, n_psu : int
        Respondents in the model whose answers the scenario changes, and their work units.
    affected : float
        Their share of the weight.
    outside : float
        Share of the weight whose changed answers lie outside what was observed, answer by answer.
    residual_df : int
        Respondents to spare behind the model.
    why : str
        Why there are no numbers; empty where there are.
    """

    outcome: str
    unit: str
    estimate: float
    se: float
    df: float
    ci_low: float
    ci_high: float
    n: int
    n_psu: int
    affected: float
    outside: float
    residual_df: int
    why: str = ""


def parse_changes(text: str) -> dict[str, Change]:
    """Read changes as a person writes them.

    Raises
    ------
    UsageError
        For a change that cannot be read, or a name given twice.

    Examples
    --------
    >>> parse_changes("inspections_received=-50%, duplicate_share=<=0.1")["inspections_received"]
    Change(kind='times', by=0.5)
    """
    changes: dict[str, Change] = {}
    for part in filter(None, (each.strip() for each in text.split(","))):
        name, _, way = (each.strip() for each in part.partition("="))
        read = _CHANGE.fullmatch(way)
        if not read or (read["cap"] and read["percent"]) or not (read["cap"] or read["percent"] or way[0] in "+-"):
            raise UsageError(f"{part!r} is no change", where="scenario", fix=_WAYS)
        if name in changes:
            raise UsageError(f"{name!r} is changed twice", where="scenario", fix="name it once")
        number = float(read["number"])
        if read["percent"] and number < -100:
            raise UsageError(f"{part!r} takes away more than there is", where="scenario", fix=_WAYS)
        kind: Kind = "cap" if read["cap"] else "times" if read["percent"] else "plus"
        changes[name] = Change(kind, 1 + number / 100 if read["percent"] else number)
    if not changes:
        raise UsageError("nothing is changed", where="scenario", fix=_WAYS)
    return changes


def scenario(
    official_quarters: pd.DataFrame,
    changes: Mapping[str, Change],
    *,
    study: Study,
    quarters: list[str],
    region: str = NATION,
    plan: DriverPlan | None = None,
) -> list[Scenario]:
    """Average change of each outcome of the model if answers were otherwise, all else as it is.

    Parameters
    ----------
    official_quarters : pandas.DataFrame
        The whole sample; do not filter it.
    changes : mapping of str to Change
        Term of ``drivers.toml``, or its column → how the answer changes.
    quarters : list of str
        Pooled as one sample.
    plan : DriverPlan, optional
        In the place of the study's own.

    Returns
    -------
    list of Scenario
        One for each outcome with enough complete respondents, without numbers where the model cannot be fitted; none
        where the study has no ``drivers.toml``.

    Raises
    ------
    UsageError
        For a name that is no number of the model.

    Notes
    -----
    The model is that of `drivers.what_drives`; the interval comes from the linearised variance of the average change,
    delta method and sampling of those averaged over together.
    """
    plan = plan or read_drivers(study)
    if plan is None:
        return []
    by_term = _by_term(changes, plan)
    rows = official_quarters[official_quarters["quarter"].isin(quarters)].reset_index(drop=True)
    sample = read_sample(rows, SurveyDesign.of_study(study))
    level = study.config.estimation.confidence_level
    found = []
    for outcome in plan.outcomes:
        cases = prepare_cases(rows, outcome, plan, study=study, region=region)
        if cases.residual_df < MIN_RESIDUAL_DF:
            continue
        try:
            refuse_dependent(cases)
            found.append(_reckoned(cases, by_term, plan.form, sample, level))
        except InputRejected as error:  # F35: no number
            found.append(_unknown(cases, sample, str(error)))
    return found


def declared_scenarios(
    official_quarters: pd.DataFrame, *, study: Study, period: str, quarters: list[str], region: str = NATION
) -> tuple[pd.DataFrame, dict[str, str]]:
    """The scenarios of ``drivers.toml``, as rows of the contract ``estimates``, and why there are none.

    Returns
    -------
    tuple of pandas.DataFrame and dict of str to str
        ``by`` is ``scenario``; ``category`` is its id, ``<id>.affected`` or ``<id>.outside`` (shares). ``n`` and ``n_psu``
        are those of the respondents whose answers change; with ``residual_df``. Outcome of the model, or the file →
        why it has no number.
    """
    plan = read_drivers(study)
    asked = {declared.id: declared.changes for declared in plan.scenario} if plan else {}
    rows, impossible = _told(official_quarters, asked, study, period, quarters, region)
    return rows, impossible if asked else {FILE: "no scenario is declared" if plan else "the study has no such file"}


def told_scenario(
    official_quarters: pd.DataFrame, changes: str, *, study: Study, period: str, quarters: list[str]
) -> tuple[pd.DataFrame, dict[str, str]]:
    """As `declared_scenarios`, of changes as a person writes them (`parse_changes`), which name it too."""
    return _told(official_quarters, {changes: changes}, study, period, quarters, NATION)


def _told(
    officials: pd.DataFrame, asked: Mapping[str, str], study: Study, period: str, quarters: list[str], region: str
) -> tuple[pd.DataFrame, dict[str, str]]:
    rows, plan = [], read_drivers(study)
    impossible = dict.fromkeys(plan.outcomes, "too few people answered everything that its model asks") if plan else {}
    for name, changes in asked.items():
        for result in scenario(officials, parse_changes(changes), study=study, quarters=quarters, region=region):
            impossible[result.outcome] = result.why
            common = {
                "measure": result.outcome, "statistic": "effect", "region": region, "by": BY_SCENARIO, "period": period,
                "deff": math.nan, "n": result.n, "n_psu": result.n_psu, "df": result.df,
                "residual_df": float(result.residual_df),
            }  # fmt: skip
            share = {"unit": "share", "se": math.nan, "ci_low": math.nan, "ci_high": math.nan}
            change = {"unit": result.unit, "estimate": result.estimate, "se": result.se, "ci_low": result.ci_low,
                      "ci_high": result.ci_high}  # fmt: skip
            rows += [
                common | change | {"category": name},
                common | share | {"category": f"{name}.{AFFECTED}", "estimate": result.affected},
                common | share | {"category": f"{name}.{OUTSIDE}", "estimate": result.outside},
            ]
    kinds = {name: str(column.dtype) for name, column in CONTRACTS["estimates"].schema.columns.items()}
    kinds |= {"residual_df": "float64"}
    table = check(pd.DataFrame(rows, columns=pd.Index(list(kinds))).astype(kinds), "estimates")
    return table, {outcome: why for outcome, why in impossible.items() if why}


def _by_term(changes: Mapping[str, Change], plan: DriverPlan) -> dict[str, Change]:
    numbers = {name: term.column for name, term in plan.terms.items() if not term.reference}
    of_column = {column: name for name, column in numbers.items()}
    for name in changes:
        if name not in numbers and name not in of_column:
            raise UsageError(
                f"{name!r} is no number of the model", where=FILE, fix=did_you_mean(name, [*numbers, *of_column])
            )
    return {of_column.get(name, name): change for name, change in changes.items()}


def _unknown(cases: Cases, sample: Sample, why: str) -> Scenario:
    """A scenario of a model that cannot be fitted: who would be in it, and no number."""
    inside, nan = cases.weight > 0, math.nan
    people = int(inside.sum()), len(np.unique(sample.psu[inside]))
    return Scenario(cases.key, cases.unit, nan, nan, nan, nan, nan, *people, nan, nan, cases.residual_df, why)


def _reckoned(cases: Cases, changes: Mapping[str, Change], form: Form, sample: Sample, level: float) -> Scenario:
    model = fit_mean(cases.y, cases.x, cases.weight, form)
    inside = cases.weight > 0
    share = cases.weight / cases.weight.sum()
    after = cases.x.copy()
    is_changed, is_outside = np.zeros(len(inside), dtype=bool), np.zeros(len(inside), dtype=bool)
    for name, change in changes.items():
        (place,) = cases.of_terms()[name]
        values = cases.x[:, place]
        after[:, place] = np.where(inside, change.applied(values), values)
        is_changed |= inside & (after[:, place] != values)
        low, high = values[inside].min(), values[inside].max()
        is_outside |= inside & ((after[:, place] < low) | (after[:, place] > high))
    estimate, scores = average_change(model, cases.x, after)
    df = design_df(cases, sample)
    se = float(np.sqrt(variances(sample, scores[:, None])[0])) if df >= 1 else math.nan
    low, high = t_interval(np.array([estimate]), np.array([se]), np.array(df), level)
    return Scenario(
        cases.key, cases.unit, estimate, se, df, float(low[0]), float(high[0]),
        int(is_changed.sum()), len(np.unique(sample.psu[is_changed])),
        float(share[is_changed].sum()), float(share[is_outside].sum()), cases.residual_df,
    )  # fmt: skip
