"""A study whose returns are known to the last hour, and what readers get of it: for attacks on confidentiality."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from sample_study import STUDY_TOML, write_study

from analysis_lib.disclosure.linked import protect_together
from analysis_lib.disclosure.protect import ProtectedTable, protect
from analysis_lib.publishing.releases import Results
from analysis_lib.study import Study
from analysis_lib.survey.estimation import estimate, estimate_change

QUARTERS = ["2025Q3", "2025Q4", "2026Q1", "2026Q2", "2026Q3"]
NOW = QUARTERS[-1]
MEASURES = ["recall_gross", "acceptable", "coping_share"]
# A county of four and one of seven people, each beside counties that are large enough.
SIZES = {
    "C0101": 60, "C0102": 4, "C0103": 45, "C0104": 38,
    "C0201": 55, "C0202": 50, "C0203": 41, "C0204": 36,
    "C0301": 48, "C0302": 7, "C0303": 52, "C0304": 40,
}  # fmt: skip
SMALL = ["C0102", "C0302"]
TOML = STUDY_TOML + 'headline = "recall_gross"\nnested = ["recall_gross", "acceptable"]\ncategories = ["tier"]\n'
COPING = """
[coping_share]
kind = "questionnaire"
title_zh = "有应付做法的比例"
title_en = "Share who cope by going through the motions"
unit = "share"
columns = ["coping_share"]
"""
# What the very same study would publish without a rule: the attacks must succeed on this.
NO_RULES = {
    "min_respondents": 1, "min_respondents_sensitive": 1, "sensitive": [], "min_units": 1, "max_unit_share": 1.0,
    "max_top_two": 1.0, "round_counts_to": 1, "hours_decimals": 2, "unreliable_cv": 1e9, "withheld_cv": 1e9,
    "min_count_width": 0.0, "min_mean_width": 0.0,
}  # fmt: skip


def crafted_study(folder: Path) -> Study:
    """Three provinces of four counties."""
    study = write_study(folder, study_toml=TOML)
    rows = ["code,parent,level,name_zh,name_en"]
    rows += [f"P{p:02},,province,示例省{p},Example Province {p}" for p in (1, 2, 3)]
    rows += [f"{code},P{code[1:3]},county,示例县{code[1:]},Example County {code[1:]}" for code in SIZES]
    (study.reference / "regions.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    with (study.reference / "measures.toml").open("a", encoding="utf-8") as stream:
        stream.write(COPING)
    return Study.open(folder)


def without_rules(study: Study, **kept: object) -> Study:
    """The study with no rule of disclosure but those in ``kept``."""
    disclosure = study.config.disclosure.model_copy(update=NO_RULES | kept)
    return dataclasses.replace(study, config=study.config.model_copy(update={"disclosure": disclosure}))


def officials(sizes: dict[str, int] = SIZES, quarters: list[str] = QUARTERS, seed: int = 3) -> pd.DataFrame:
    """A panel that answers every quarter; the one official of ``C0102-0`` lost 71.3 hours in the last of them."""
    rng = np.random.default_rng(seed)
    people = pd.DataFrame(
        [
            {"respondent_id": f"{county}-{person}", "region": county, "county": county, "province": f"P{county[1:3]}",
             "stratum": f"P{county[1:3]}", "psu": f"{county}-{person % 5}"}
            for county, size in sizes.items()
            for person in range(size)
        ]
    )  # fmt: skip
    people["tier"] = rng.choice(["county", "township", "village"], len(people), p=[0.25, 0.35, 0.4])
    people["weight"] = rng.uniform(20, 60, len(people))
    habit = rng.gamma(9, 2, len(people))
    frames = []
    for step, quarter in enumerate(quarters):
        hours = np.round(habit - 0.5 * step + rng.normal(0, 1, len(people)), 2).clip(0)
        hours[people["respondent_id"] == "C0102-0"] = 71.3
        copes = (rng.uniform(size=len(people)) < 0.3).astype(float)
        frames.append(people.assign(quarter=quarter, recall_gross=hours, acceptable=hours / 2, coping_share=copes))
    return pd.concat(frames, ignore_index=True)


def as_it_is(estimates: pd.DataFrame) -> pd.DataFrame:
    """The world as the returns have it."""
    return estimates


def tables_of(
    study: Study, rows: pd.DataFrame, now: str = NOW, world: Callable[[pd.DataFrame], pd.DataFrame] = as_it_is
) -> tuple[Results, dict[str, pd.DataFrame]]:
    """What the notebooks of hours lost and of regions hand over, and the evidence behind it.

    ``world`` may turn the estimates, before they are protected, into those of another world.
    """
    quarters = sorted(rows["quarter"].unique())
    quarters = quarters[: quarters.index(now) + 1]
    year = quarters[-4:]
    pooled = {now: [now], f"{year[0]}–{year[-1]}": year} if len(year) == 4 else {now: [now]}
    provinces = study.regions_at("province")

    def hours(region: str, others: list[str]) -> dict[str, ProtectedTable]:
        every = [
            region,
            *(code for level in ("province", "county") for code in study.regions_at(level, region) if code != region),
        ]
        regions = list(dict.fromkeys([*others, *every]))
        asked = {"study": study}
        total = estimate(rows, MEASURES, periods=pooled, regions=regions, **asked)
        split = estimate(rows, MEASURES, periods={now: [now]}, regions=[region], by=["tier"], **asked)
        series = estimate(
            rows, MEASURES, periods={q: [q] for q in quarters}, regions=list(dict.fromkeys([*others, region])), **asked
        )
        moved = estimate_change(
            rows,
            MEASURES,
            earlier=[q for q in quarters[:1] if q != now],
            later=[now],
            label=f"{quarters[0]}→{now}",
            regions=regions,
            **asked,
        )
        return {
            "hours": protect(world(pd.concat([total, split], ignore_index=True)), "hours", **asked),
            "series": protect(world(series), "series", **asked),
            "change": protect(world(moved), "change", **asked),
        }

    results = {"03-hours-lost": hours("all", [])}
    results |= {f"10-region-brief/{code}": hours(code, ["all"]) for code in provinces}
    evidence = {
        unit: pd.concat([table.evidence.assign(table=name) for name, table in tables.items()], ignore_index=True)
        for unit, tables in results.items()
    }
    return results, evidence


def release_of_rows(study: Study, rows: pd.DataFrame, now: str = NOW, earlier: tuple[Results, ...] = ()) -> Results:
    """The tables of a release, protected together."""
    results, evidence = tables_of(study, rows, now)
    return protect_together(results, evidence, study=study, earlier=earlier)


def cells(results: Results) -> pd.DataFrame:
    """Every published row of every table, with its unit and table."""
    frames = [
        table.table.assign(unit_of_run=unit, table=name)
        for unit, tables in results.items()
        for name, table in tables.items()
    ]
    return pd.concat(frames, ignore_index=True)
