"""Literal results of the notebooks on change and on what to adjust: reforms of which each line of the rule speaks."""

from __future__ import annotations

import math

import pandas as pd
from sample_results import row

from analysis_lib.disclosure.protect import ProtectedTable, protect
from analysis_lib.monitoring.adjusting import BY_ADJUST, COST, NOT_COMPARED, RECOMMENDED, decide
from analysis_lib.monitoring.claims import Claim, claims_table
from analysis_lib.monitoring.forecasts import BY_FORECAST, BY_INNER, BY_SCORE, published_table
from analysis_lib.reforms import read_reforms
from analysis_lib.study import NATION, Study

REGISTER = """
[[reform]]
id = "documents"
title_zh = "少发文"
title_en = "Fewer documents"
groups = ["document"]
units = { P01 = "2025Q3" }

[[reform]]
id = "forms"
title_zh = "一表通"
title_en = "One form"
groups = ["form"]
units = { P02 = "2025Q2" }
plan = { registered = "2025-01-10" }

[[reform]]
id = "inspections"
title_zh = "督查计划"
title_en = "One plan of inspections"
groups = ["inspection"]
units = { P01 = "2025Q4" }
plan = { registered = "2025-01-10" }

[[reform]]
id = "meetings"
title_zh = "少开会"
title_en = "Fewer meetings"
groups = ["meeting"]
units = { P01 = "2025Q2" }
plan = { registered = "2025-01-10" }

[[reform]]
id = "everywhere"
title_zh = "全国减负"
title_en = "Relief everywhere"
level = "nation"
groups = ["meeting", "form"]
units = { all = "2025Q4" }
plan = { registered = "2025-01-10" }
"""
NONE = ("not_asked", math.nan, math.nan, math.nan)
FELL, HELD, KEPT = ("yes", -1.6, -2.5, -0.7), ("no", 0.05, -0.2, 0.3), ("no", 0.94, 0.85, 1.03)
SAME, STAYED = ("no", -0.1, -0.4, 0.2), ("no", 0.08, -0.1, 0.25)
# Reform: answer, number and interval of each question.
READINGS = {
    "documents": {"returned": FELL, "unkept": ("yes", 0.41, 0.2, 0.62), "moved": ("yes", 0.72, 0.5, 0.95),
                  "relapsed": NONE, "service": SAME},
    "forms": {"returned": ("cannot_tell", -0.7, -1.6, 0.2), "unkept": ("yes", 0.3, 0.1, 0.5),
              "moved": ("cannot_tell", 0.3, -0.2, 0.9), "relapsed": ("yes", 0.64, 0.3, 0.98), "service": SAME},
    "inspections": {"returned": FELL, "unkept": NONE, "moved": HELD, "relapsed": STAYED,
                    "service": ("yes", -1.1, -1.8, -0.4)},
    "meetings": {"returned": FELL, "unkept": KEPT, "moved": HELD, "relapsed": STAYED, "service": SAME},
    "everywhere": {"returned": NONE, "unkept": NONE, "moved": NONE, "relapsed": ("since", 0.7, 0.4, 1.0),
                   "service": NONE},
}  # fmt: skip
SHARES = ("unkept", "moved", "relapsed")


def adjustments(study: Study) -> ProtectedTable:
    """What the declared rules recommend for each reform of `REGISTER`."""
    rows = []
    for reform in read_reforms(study):
        readings, rule = READINGS[reform.id], reform.plan.decision_rule
        limits = {"returned": 0.5, "unkept": rule.intensify_if_compliance_below,
                  "moved": rule.redesign_if_disguised_above, "service": rule.service_may_fall_by}  # fmt: skip
        for name, (answer, value, low, high) in readings.items():
            measure = "group_service" if name == "service" else "gross_combined"
            unit = "share" if name in SHARES else "hours_week"
            rows.append(_row(reform.id, name, measure, unit, value, (low, high), outcome=answer,
                             margin=limits.get(name, math.nan)))  # fmt: skip
        rows.append(_row(reform.id, COST, "own_minutes", "count", 23.4, (math.nan, math.nan)))
        answers = {name: reading[0] for name, reading in readings.items()}
        decision = decide(answers, looks=6, rule=rule, is_late=reform.is_declared_late)
        reasons = [*([NOT_COMPARED] if readings["returned"] is NONE else []), *decision.reasons]
        rows.append(_row(reform.id, RECOMMENDED, "gross_combined", "hours_week", *_told(readings["returned"]),
                         outcome=decision.recommendation, margin=0.5,
                         reasons=" | ".join([" ".join(reasons), " ".join(decision.reservations)])))  # fmt: skip
    return protect(pd.DataFrame(rows), "adjustments", study=study)


def forecasts(study: Study) -> dict[str, ProtectedTable]:
    """The year to come, how forecasts made anew fared, what earlier releases foresaw, and what was measured."""
    quarters = ["2025Q1", "2025Q2", "2025Q3", "2025Q4", "2026Q1", "2026Q2", "2026Q3"]
    series = [_mean("gross_combined", quarter, 17.4 - 0.1 * place) for place, quarter in enumerate(quarters)]
    ahead = [
        _mean(
            "gross_combined", period, 16.9, by=by, category=f"2026Q3.{step}", ci_low=16.9 - reach, ci_high=16.9 + reach
        )
        | {"statistic": "effect", "residual_df": 500.0}
        for by, factor in ((BY_FORECAST, 1.0), (BY_INNER, 0.6))
        for step, period in enumerate(["2026Q4", "2027Q1", "2027Q2", "2027Q3"], start=1)
        for reach in [factor * (0.8 + 0.2 * step)]
    ]
    fared = [
        _mean("gross_combined", "2025Q2–2026Q3", value, by=BY_SCORE, category=name, ci_low=math.nan, ci_high=math.nan)
        | {"statistic": "effect", "residual_df": 500.0, "unit": unit}
        for name, value, unit in (("error", 0.4, "hours_week"), ("naive_error", 0.7, "hours_week"), ("covered", 0.92, "share"),
                                  ("interval_score", 3.1, "hours_week"))
    ]  # fmt: skip
    said = [
        {"measure": "gross_combined", "unit": "hours_week", "period": period, "ahead": step, "release": release,
         "value": value, "ci_low": value - 1.2, "ci_high": value + 1.2, "inner_low": value - 0.7, "inner_high": value + 0.7}
        for period, step, release, value in (("2026Q2", 1, "2026Q1/r1", 17.1), ("2026Q3", 2, "2026Q1/r1", 18.3),
                                             ("2026Q3", 1, "2026Q2/r2", 17.7), ("2026Q4", 2, "2026Q2/r2", 17.0))
    ]  # fmt: skip
    tables = {"forecasts": ahead, "forecast_scores": fared, "forecast_series": series, "series": series}
    made = {name: protect(pd.DataFrame(rows), name, study=study) for name, rows in tables.items()}
    published = published_table(said, until="2026Q3")
    return made | {"published_forecasts": protect(published, "published_forecasts", study=study)}


def scenarios(study: Study) -> ProtectedTable:
    """One declared scenario, with how many it changes and how far it leaves what was seen."""
    rows = [
        _mean("recall_gross", "2025Q4–2026Q3", value, by="scenario", category=f"inspections-halved{part}", ci_low=low,
              ci_high=high) | {"statistic": "effect", "unit": unit, "residual_df": 500.0}
        for part, value, low, high, unit in (("", -1.3, -1.9, -0.7, "hours_week"), (".affected", 0.81, 0.81, 0.81, "share"),
                                             (".outside", 0.03, 0.03, 0.03, "share"))
    ]  # fmt: skip
    return protect(pd.DataFrame(rows), "scenarios", study=study)


def changes(study: Study) -> dict[str, ProtectedTable]:
    """The account of a movement with steps of every kind, and claims that held, weakened, were reversed and withdrawn."""
    values = {"last": 17.3, "revision": 0.2, "period": -0.9, "method": 0.0, "instrument": 0.0, "mix": 0.1,
              "remainder": 0.1, "this": 16.8, "moved": -0.5}  # fmt: skip
    periods = {"last": "2026Q2", "this": "2026Q3"}
    hows = {"revision": "estimated", "period": "with_instrument", "method": "unchanged", "remainder": "rounding"}
    account = [
        _mean("gross_combined", periods.get(step, "2026Q2→2026Q3"), value, by="movement", category=step,
              ci_low=value - 0.6, ci_high=value + 0.6) | {"outcome": hows.get(step, "")}
        for step, value in values.items()
    ]  # fmt: skip
    said = [("2025Q2→2026Q2", "gross_combined", "lower"), ("2025Q2→2026Q2", "avoidable_combined", "lower"),
            ("2025Q2→2026Q2", "service", "higher"), ("2025Q2→2026Q2", "excess_combined", "lower")]  # fmt: skip
    claims = [
        ("2026Q2/r1", Claim("change", measure, NATION, period, "", word, "hours_week", -1.2, -2.0, -0.4, 0.5, 0.95,
                            "interval_of_change"))
        for period, measure, word in said
    ]  # fmt: skip
    now = [
        _mean(measure, "2025Q2→2026Q2", value, ci_low=value - 0.6, ci_high=value + 0.6)
        for measure, value in (("gross_combined", -1.1), ("avoidable_combined", -0.2), ("service", -1.4))
    ]
    tables = {
        "change_account": pd.DataFrame(account),
        "past_claims": claims_table(claims),
        "claims_again": pd.DataFrame(now),
    }
    return {name: protect(frame, name, study=study) for name, frame in tables.items()}


def _row(
    reform: str, part: str, measure: str, unit: str, value: float, interval: tuple[float, float], *, outcome: str = "",
    margin: float = math.nan, reasons: str = "",
) -> dict:  # fmt: skip
    return row(measure, unit, "effect", value, math.nan, by=BY_ADJUST, category=f"{reform}.{part}", period="2025Q1–2026Q3",
               ci_low=interval[0], ci_high=interval[1], residual_df=800.0, outcome=outcome, margin=margin,
               reasons=reasons)  # fmt: skip


def _mean(measure: str, period: str, value: float, **more: object) -> dict:
    return row(measure, "hours_week", "mean", value, 0.3, period=period, **more)


def _told(reading: tuple[str, float, float, float]) -> tuple[float, tuple[float, float]]:
    return reading[1], (reading[2], reading[3])
