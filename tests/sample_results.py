"""Literal results of a small study, one protected table for each that the notebooks hand over."""

from __future__ import annotations

import pandas as pd

from analysis_lib.disclosure.protect import ProtectedTable, protect
from analysis_lib.study import Study

QUARTERS = ["2025Q1", "2025Q2", "2025Q3", "2025Q4", "2026Q1", "2026Q2", "2026Q3"]
TIERS = ["county", "township", "village"]
COUNTIES = {"P01": ["C0101", "C0102"], "P02": ["C0201", "C0202"]}

# measure: unit, statistic, value in the nation, standard error
HOURS = {
    "gross_combined": ("hours_week", "mean", 16.82, 0.31), "gross": ("hours_week", "mean", 16.61, 0.44),
    "avoidable_combined": ("hours_week", "mean", 6.44, 0.24),
    "excess_combined": ("hours_week", "mean", 5.13, 0.22), "work_time_combined": ("hours_week", "mean", 49.71, 0.58),
    "service": ("hours_week", "mean", 9.94, 0.41), "gross_out_of_hours": ("hours_week", "mean", 3.02, 0.18),
    "parallel_digital": ("hours_week", "mean", 2.24, 0.41), "gross_share_combined": ("share", "ratio", 0.3384, 0.006),
    "gross_fte_combined": ("fte", "total", 43211.0, 800.0), "recall_gross": ("hours_week", "mean", 19.48, 0.29),
    "recall_work_time": ("hours_week", "mean", 51.02, 0.44), "meetings_attended": ("count", "mean", 4.31, 0.09),
    "documents_received": ("count", "mean", 38.2, 0.9), "inspections_received": ("count", "mean", 2.11, 0.08),
    "apps_required": ("count", "mean", 5.62, 0.11),
    "gross_required_province": ("hours_week", "mean", 3.71, 0.21),
    "gross_required_county": ("hours_week", "mean", 6.02, 0.26), "gross_required_unsaid": ("hours_week", "mean", 0.31, 0.05),
}  # fmt: skip
GROUPS = {
    "meeting": 5.21, "document": 4.63, "form": 3.32, "inspection": 1.94, "digital": 1.72, "service": 9.94,
    "core": 20.71, "training": 2.24, "personal": 118.29,
}  # fmt: skip
PLACES = {"all": 1.0, "P01": 1.09, "P02": 0.93, "C0101": 1.12, "C0102": 1.05, "C0201": 0.88, "C0202": 0.97}
TIER_FACTORS = {"county": 1.11, "township": 1.04, "village": 0.90}
QUARTER_FACTORS = dict(zip(QUARTERS, [1.11, 1.14, 1.09, 1.08, 1.02, 1.04, 1.0], strict=True))


def row(measure: str, unit: str, statistic: str, value: float, se: float, **domain: object) -> dict:
    return {
        "measure": measure, "statistic": statistic, "unit": unit, "region": "all", "by": "", "category": "",
        "period": "2026Q3", "estimate": value, "se": se, "ci_low": value - 2 * se, "ci_high": value + 2 * se,
        "df": 40.0, "deff": 1.4, "n": 812, "n_psu": 48, **domain,
    }  # fmt: skip


def hours_rows(
    regions: list[str], *, by_for: str = "all", keys: list[str] | None = None, **domain: object
) -> list[dict]:
    rows = []
    for key in keys or list(HOURS):
        unit, statistic, value, se = HOURS[key]
        for region in regions:
            size = {"all": 812, "P01": 402, "P02": 410}.get(region, 100)
            # a level gives smaller samples, so wider intervals
            wide = se * (812 / size) ** 0.5
            rows.append(row(key, unit, statistic, value * PLACES[region], wide, region=region, n=size, **domain))
        if by_for in regions and not domain:
            rows += [
                row(key, unit, statistic, value * PLACES[by_for] * factor, se * 2, region=by_for, by="tier", category=tier,
                    n=270)
                for tier, factor in TIER_FACTORS.items()
            ]  # fmt: skip
    return rows


def week_rows(regions: list[str], *, with_tiers: bool) -> list[dict]:
    rows = []
    for group, value in GROUPS.items():
        for region in regions:
            rows.append(
                row(f"group_{group}", "hours_week", "mean", value * PLACES[region], 0.04 * value, region=region)
            )
        if with_tiers:
            rows += [
                row(
                    f"group_{group}",
                    "hours_week",
                    "mean",
                    value * factor,
                    0.06 * value,
                    by="tier",
                    category=tier,
                    n=270,
                )
                for tier, factor in TIER_FACTORS.items()
            ]
    return rows


def series_rows(regions: list[str], quarters: list[str]) -> list[dict]:
    rows = []
    for quarter in quarters:
        for one in hours_rows(regions, by_for="none", period=quarter):
            factor = QUARTER_FACTORS[quarter]
            rows.append({**one, **{name: one[name] * factor for name in ("estimate", "ci_low", "ci_high")}})
    return rows


def change_rows(region: str, *, quarter: str = "2026Q3", last_year: str = "2025Q3") -> list[dict]:
    return [
        row(key, unit, statistic, -0.06 * value, max(0.02 * value, 1.1 * se), region=region,
            period=f"{last_year}→{quarter}")
        for key, (unit, statistic, value, se) in HOURS.items()
    ]  # fmt: skip


def behind_rows() -> dict[str, list[dict]]:
    """What lies behind the headline: drivers, parts, the bottom-up account and small areas."""
    own = {"residual_df": 400.0, "n": 300}
    hours = ("hours_week", "effect")
    drivers = [
        row(outcome, *hours, value, 0.1, by="driver", category=term, period="2025Q4–2026Q3", **own)
        for outcome in ("recall_gross", "gross")
        for term, value in [("meetings", 1.24), ("inspections", 0.61), ("apps", 0.05), ("tier.village", -0.93)]
    ]
    change = "2025Q3→2026Q3"
    parts = [
        row("gross", "hours_week", "part", value, 0.25, by=by, category=term, period=change, **own)
        for by, term, value in [
            ("composition", "meetings", -0.62), ("composition", "apps", 0.02), ("composition", "", -0.6),
            ("rate", "", -0.41), ("unanswered", "", 0.01), ("", "", -1.0),
        ]
    ]  # fmt: skip
    account = {"bottom_up_total": 9.52, "bottom_up_gap_counts": 0.0, "bottom_up_gap_minutes": 0.74,
               "bottom_up_gap_not_counted": 6.35, "bottom_up_gap_remainder": 0.0, "gross": 16.61, "bottom_up_gap": 7.09}  # fmt: skip
    bottom_up = [
        row(key, "hours_week", "part" if "gap" in key else "mean", value, 0.2, residual_df=400.0)
        for key, value in account.items()
    ]
    counties = [code for codes in COUNTIES.values() for code in codes]
    areas = [
        row(key, "hours_week", "mean", value * PLACES[code], 0.4, region=code, n=20, kind=kind, shrinkage=0.3)
        for key, value in [("avoidable", 6.44), ("group_meeting", 5.21)]
        for code, kind in zip(counties, ["direct", "model", "direct", "model"], strict=True)
    ]
    return {"drivers": drivers, "parts": parts, "bottom_up": bottom_up, "areas": areas}


def returns_rows() -> dict[str, list[dict]]:
    """Whether the returns can be trusted: flags, heaping, recall over diary, the list experiment, the survey's burden."""
    shares = {"flag_fast": 0.031, "flag_recall_ratio": 0.098, "flag_any_of_answers": 0.002}
    flags = [row(key, "share", "share", value, 0.006) for key, value in shares.items()]
    period = "2026Q3: all→unflagged"
    effects = [
        row("gross", "hours_week", "mean", 16.61, 0.44),
        row("gross", "hours_week", "mean", 17.72, 0.43, by="without", category="recall_ratio", n=60),
        row("gross", "hours_week", "mean", 1.11, 0.2, by="without", category="recall_ratio", period=period, n=60),
        row("gross", "hours_week", "mean", 0.04, 0.02, by="without", category="fast", period=period, n=4),
        row("gross", "hours_week", "mean", 0.03, 0.02, by="without", category="distance", period=period, n=3),
    ]
    heaping = [
        row("heaping_work_hours", "index", "mean", value, 12.0, by="base", category=base)
        for base, value in [("1", 148.2), ("5", 569.8)]
    ]
    recall = [
        row("recall_ratio_gross", "share", "ratio", 1.17, 0.02, by=by, category=category)
        for by, category in [("", ""), ("tier", "county")]
    ]
    coping = [
        row(f"coping_{name}", "share", "mean", value, se, period="2025Q4–2026Q3")
        for name, value, se in [("direct", 0.14, 0.01), ("listed", 0.33, 0.045), ("combined", 0.327, 0.041),
                                ("half_width", 0.082, 0.0)]
    ]  # fmt: skip
    own = [
        row("own_total_hours", "count", "count", 566.0, 0.0), row("own_minutes", "count", "mean", 23.4, 0.0),
        row("own_minutes_promised", "count", "mean", 25.0, 0.0), row("own_promise_kept", "share", "share", 0.602, 0.0),
    ]  # fmt: skip
    return {"flags": flags, "flag_effects": effects, "heaping": heaping, "recall": recall, "coping": coping,
            "own_burden": own}  # fmt: skip


def national_results(study: Study, quarter: str = "2026Q3") -> dict[str, dict[str, ProtectedTable]]:
    """Results of the three national notebooks for a quarter."""
    quarters = QUARTERS[: QUARTERS.index(quarter) + 1]
    rates = [
        row(
            measure,
            "share",
            "share",
            share * PLACES[region] ** 0.3,
            0.01,
            region=region,
            n=1320 if region == "all" else 660,
        )
        for measure, share in [("response_rate", 0.712), ("diary_rate", 0.641)]
        for region in ["all", "P01", "P02"]
    ]
    counts = {
        "sampled": 1320, "responded": 941, "diaries_asked": 640, "diary_days": 822, "diary_days_used": 797,
        "problems_rejected": 38, "problems_fixed": 121, "problems_warned": 64,
    }  # fmt: skip
    returns = [
        row(name, "count", "count", float(count), float("nan"), n=count, ci_low=float(count), ci_high=float(count))
        for name, count in counts.items()
    ]
    all_regions = [*PLACES]
    hours = [
        *hours_rows(all_regions),
        *hours_rows(["all", "P01", "P02"], by_for="none", period="2025Q4–2026Q3"),
    ]
    tables = {
        "01-response-and-quality": {"response": rates, "returns": returns, **returns_rows()},
        "02-working-week": {"week": week_rows(["all"], with_tiers=True), "activities": []},
        "03-hours-lost": {"hours": hours, "series": series_rows(["all"], quarters), "change": change_rows("all"),
                          **behind_rows()},
    }  # fmt: skip
    return {unit: _protected(study, named, quarter) for unit, named in tables.items()}


def regional_results(study: Study, region: str, quarter: str = "2026Q3") -> dict[str, ProtectedTable]:
    """Results of the regional notebook for a region and quarter."""
    quarters = QUARTERS[: QUARTERS.index(quarter) + 1]
    tables = {
        "region_hours": hours_rows([region, *COUNTIES[region]], by_for=region),
        "region_series": series_rows([region, "all"], quarters),
        "region_week": week_rows([region, "all"], with_tiers=False),
        "region_change": change_rows(region),
    }
    return _protected(study, tables, quarter)


def all_results(study: Study, quarter: str = "2026Q3") -> dict[str, dict[str, ProtectedTable]]:
    """Everything a quarter hands over."""
    regional = {f"10-region-brief/{code}": regional_results(study, code, quarter) for code in ("P01", "P02")}
    return {**national_results(study, quarter), **regional}


def _protected(study: Study, tables: dict[str, list[dict]], quarter: str) -> dict[str, ProtectedTable]:
    found = {}
    for name, rows in tables.items():
        if name not in ("series", "region_series"):
            rows = [{**one, "period": one["period"].replace("2026Q3", quarter)} for one in rows]
        found[name] = protected(study, name, rows)
    return found


def protected(study: Study, name: str, rows: list[dict]) -> ProtectedTable:
    """Rows through the gate."""
    columns = list(rows[0]) if rows else list(row("", "", "", 0.0, 0.0))
    whole = {"n": "int64", "n_psu": "int64"}
    numbers = ["estimate", "se", "ci_low", "ci_high", "df", "deff", "residual_df", "shrinkage"]
    kinds = {column: whole.get(column, "float64" if column in numbers else "str") for column in columns}
    return protect(pd.DataFrame(rows, columns=columns).astype(kinds), name, study=study)
