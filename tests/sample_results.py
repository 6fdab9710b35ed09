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
    "gross": ("hours_week", "mean", 16.82, 0.31), "avoidable": ("hours_week", "mean", 6.44, 0.24),
    "excess": ("hours_week", "mean", 5.13, 0.22), "work_time": ("hours_week", "mean", 49.71, 0.58),
    "service": ("hours_week", "mean", 9.94, 0.41), "gross_out_of_hours": ("hours_week", "mean", 3.02, 0.18),
    "parallel_digital": ("hours_week", "mean", 2.24, 0.41), "gross_share": ("share", "ratio", 0.3384, 0.006),
    "gross_fte": ("fte", "total", 43211.0, 800.0), "recall_gross": ("hours_week", "mean", 19.48, 0.29),
    "recall_work_time": ("hours_week", "mean", 51.02, 0.44), "meetings_attended": ("count", "mean", 4.31, 0.09),
    "documents_received": ("count", "mean", 38.2, 0.9), "inspections_received": ("count", "mean", 2.11, 0.08),
    "apps_required": ("count", "mean", 5.62, 0.11),
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
        "01-response-and-quality": {"response": rates, "returns": returns},
        "02-working-week": {"week": week_rows(["all"], with_tiers=True), "activities": []},
        "03-hours-lost": {"hours": hours, "series": series_rows(["all"], quarters), "change": change_rows("all")},
    }
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
    columns = list(row("", "", "", 0.0, 0.0))
    whole = {"n": "int64", "n_psu": "int64"}
    numbers = ["estimate", "se", "ci_low", "ci_high", "df", "deff"]
    kinds = {column: whole.get(column, "float64" if column in numbers else "str") for column in columns}
    return protect(pd.DataFrame(rows, columns=columns).astype(kinds), name, study=study)
