"""What an estimate of an effect is, with the conditions on which it holds; checks; and both as rows of a table."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd

from analysis_lib.study import NATION
from analysis_lib.tables.contracts import CONTRACTS, check

Outcome = Literal["holds", "fails", "cannot_tell"]

BY_EFFECT, BY_CHECK = "effect", "check"
# Units of the further numbers of checks; a number that is not named here has the check's own unit.
FACT_UNITS = {
    "p_value": "share", "periods": "count", "tried": "count", "same_sign": "count", "beyond_zero": "count",
    "response_effect": "share", "response_ci_low": "share", "response_ci_high": "share",
}  # fmt: skip
CONDITIONS = ["estimator", "comparison", "inference", "treatment_date", "outcome"]


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One way in which another analyst might have come to something else, and what came of it.

    Attributes
    ----------
    key : str
        Which check, such as ``pretrends``.
    outcome : str
        ``holds``, ``fails``, or ``cannot_tell`` where the data are too few to say.
    estimate, ci_low, ci_high : float
        The number that the check turns on, with its interval; NaN where it has none.
    unit : str
        Of the number: a measure's unit, or ``index`` for a number without one.
    facts : dict of str to float
        Further numbers that the sentence on it needs; units in `FACT_UNITS`.
    matters : bool
        Whether a failure takes the causal word from the effect.
    """

    key: str
    outcome: Outcome
    estimate: float = math.nan
    ci_low: float = math.nan
    ci_high: float = math.nan
    unit: str = "hours_week"
    facts: dict[str, float] = field(default_factory=dict)
    matters: bool = True


@dataclass(frozen=True, slots=True)
class EffectResult:
    """An effect of a reform on a measure, with what it is an estimate of and how it was come by.

    Attributes
    ----------
    reform, measure, unit : str
        Keys of the reform and the measure, and the measure's unit.
    estimand : str
        What is estimated: ``treated`` (the mean effect on officials where the reform is in force, over the periods in
        force), ``level`` (a break of one series).
    estimator : str
        ``group_time``, ``imputation``, ``synthetic``, ``interrupted_series``, ``two_way``.
    comparison : str
        ``not_yet``, ``never``, ``none``.
    inference : str
        ``cohort``, ``randomisation``, ``serial``.
    treatment_date : str
        Which date of the register counts as the start: ``local_start``, ``issued``, ``public``, ``approved``.
    period : str
        First and last period of the panel.
    estimate, se, df, ci_low, ci_high, p_value : float
        The effect in the measure's unit; ``p_value`` is two-sided, of no effect.
    se_sampling : float
        Standard error that comes from asking a sample of officials, part of ``se``; NaN where not known.
    n_treated, n_comparison : int
        Regions with and without the reform.
    n : int
        Officials behind the panel.
    n_psu : int
        Work units behind it.
    left_out : dict of str to str
        Region → why it is not in the panel.
    checks : tuple of CheckResult
        What was tried on it.
    """

    reform: str
    measure: str
    unit: str
    estimand: str
    estimator: str
    comparison: str
    inference: str
    treatment_date: str
    period: str
    estimate: float
    se: float
    df: float
    ci_low: float
    ci_high: float
    p_value: float
    n_treated: int
    n_comparison: int
    n: int
    n_psu: int
    se_sampling: float = math.nan
    left_out: dict[str, str] = field(default_factory=dict)
    checks: tuple[CheckResult, ...] = ()


def effects_table(results: list[EffectResult]) -> pd.DataFrame:
    """Effects as rows of the contract ``estimates``: ``by`` is ``effect``, ``category`` the reform and the estimator.

    The conditions ride along in columns of their own (`CONDITIONS`, ``n_treated``, ``n_comparison``).
    """
    return as_rows(
        [
            row_of(result, BY_EFFECT, f"{result.reform}.{result.estimator}")
            | {name: getattr(result, name) for name in ("estimate", "se", "ci_low", "ci_high", "df")}
            | {"outcome": ""}
            for result in results
        ]
    )


def checks_table(results: list[EffectResult]) -> pd.DataFrame:
    """Checks as rows: ``by`` is ``check``, ``category`` the reform, the check and, for its further numbers, which."""
    rows = []
    for result in results:
        for tried in result.checks:
            common = row_of(result, BY_CHECK, f"{result.reform}.{tried.key}") | {"outcome": tried.outcome}
            unit = "score" if tried.unit == "index" else tried.unit  # printed with a decimal
            of_facts = result.unit if tried.unit == "index" else tried.unit
            rows.append(common | {"unit": unit, "estimate": tried.estimate, "ci_low": tried.ci_low,
                                  "ci_high": tried.ci_high})  # fmt: skip
            rows += [
                common
                | {
                    "category": f"{common['category']}.{name}",
                    "unit": FACT_UNITS.get(name, of_facts),
                    "estimate": number,
                }
                for name, number in tried.facts.items()
            ]
    return as_rows(rows)


def as_rows(rows: list[dict]) -> pd.DataFrame:
    """Rows of effects in the contract ``estimates``, with columns that a row lacks filled in."""
    columns = list(CONTRACTS["estimates"].schema.columns)
    blank = {"se": np.nan, "ci_low": np.nan, "ci_high": np.nan, "df": np.nan, "deff": np.nan}
    extra = [*CONDITIONS, "n_treated", "n_comparison", "residual_df"]
    blank |= dict.fromkeys(CONDITIONS, "") | {"n_treated": np.nan, "n_comparison": np.nan, "residual_df": np.nan}
    frame = pd.DataFrame([blank | row for row in rows], columns=pd.Index([*columns, *extra]))
    numbers = ["estimate", "se", "ci_low", "ci_high", "df", "deff", *extra[-3:]]
    texts = ["measure", "statistic", "unit", "region", "by", "category", "period", *CONDITIONS]
    kinds = dict.fromkeys(numbers, "float64") | dict.fromkeys(texts, "str") | dict.fromkeys(["n", "n_psu"], "int64")
    return check(frame.astype(kinds), "estimates")


def row_of(result: EffectResult, by: str, category: str) -> dict:
    """What every row about an effect has: its conditions, and whom it rests on; the numbers are the caller's."""
    conditions = {name: getattr(result, name) for name in CONDITIONS if name != "outcome"}
    return conditions | {
        "measure": result.measure,
        "statistic": "effect",
        "unit": result.unit,
        "region": NATION,
        "by": by,
        "category": category,
        "period": result.period,
        "n": result.n,
        "n_psu": result.n_psu,
        "n_treated": result.n_treated,
        "n_comparison": result.n_comparison,
        # Officials to spare behind the means of regions and periods; the disclosure rule counts people.
        "residual_df": float(result.n - (result.n_treated + result.n_comparison)),
    }
