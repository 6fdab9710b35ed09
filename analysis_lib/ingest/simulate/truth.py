"""The known truth beside the simulated study: what estimates and effects can be judged against."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis_lib.errors import UsageError
from analysis_lib.ingest.simulate.hours import (
    GROUPS,
    HOURS_PER_WEEK,
    WORK_CODES,
    TrueWeeks,
    group_hours,
    hours_lost,
)
from analysis_lib.ingest.simulate.scenarios import Scenario
from analysis_lib.study import NATION, Study

VERSION = 3  # of the simulator: raise it when the same seed gives other drops
EVERY_TIER = "all"
_OTHERS = ["service", "core", "training"]
_NOTE = (
    "Means over every official of the frame (a finite population, all simulated), in hours per official and week. "
    "gross: activity groups meeting, document, form, inspection, digital, and training for show. "
    "excess: mean of max(0, gross - acceptable) of true weeks; computed from two diary days it comes out higher, "
    "because days scatter around the week. "
    "without_reforms_*: the same officials and quarter had there been no reform."
)


def claim_study(study: Study, scenario: Scenario, seed: int, fabricated: float = 0.0) -> None:
    """Record which world the study plays, before any drop is written.

    Raises
    ------
    UsageError
        When its raw drops come from another world, or were not simulated.
    """
    path = study.root / "truth" / "truth.json"
    world = {"scenario": scenario.letter, "seed": seed, "version": VERSION, "fabricated": fabricated}
    if path.is_file():
        earlier = json.loads(path.read_text(encoding="utf-8"))
        seen = {key: earlier.get(key) for key in world}
        if seen != world:
            raise UsageError(
                f"the study holds drops of scenario {seen['scenario']}, seed {seen['seed']}, version {seen['version']}",
                where="simulate",
                fix="simulate into another study folder, or remove raw/ and truth/ of this one first",
            )
    elif any(study.raw.glob("*/*/*")):
        raise UsageError(
            "the study holds raw drops that were not simulated",
            where="simulate",
            fix="simulate into a study folder of its own: jianfu init DIR",
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    facts: dict[str, Any] = {
        **world,
        "title_zh": scenario.title_zh,
        "title_en": scenario.title_en,
        "hours_effect": scenario.hours_effect,
        "counts_effect": scenario.counts_effect,
        "phases": list(scenario.phases),
        "leaders_only": scenario.leaders_only,
        "moved_online": scenario.moved_online,
        "coping": scenario.coping,
        "dictated": scenario.dictated,
        "overloaded_young_leave": scenario.overloaded_young_leave,
        "year_end_peak": scenario.year_end_peak,
        "note": _NOTE,
    }
    path.write_text(json.dumps(facts, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def true_official_quarters(panel: pd.DataFrame, weeks: TrueWeeks) -> pd.DataFrame:
    """True weeks of the officials sampled in a quarter: a row each."""
    who = panel.index.to_numpy()
    keys = ["respondent_id", "quarter", "region", "psu", "tier", "age_group", "role"]
    hours = {f"hours_{code.lower()}": weeks.hours[who, column] for column, code in enumerate(WORK_CODES)}
    hours["hours_p0"] = HOURS_PER_WEEK - weeks.work[who]
    measures = pd.DataFrame(_measures(weeks)).iloc[who].set_axis(panel.index)
    return pd.concat([panel[keys], pd.DataFrame(hours, index=panel.index), measures], axis=1).reset_index(drop=True)


def true_population_means(frame: pd.DataFrame, weeks: TrueWeeks, study: Study) -> pd.DataFrame:
    """Means over the whole population of a quarter by region (every level) and tier."""
    measures = pd.DataFrame(_measures(weeks))
    names = list(measures.columns)
    people = pd.concat([frame[["region", "tier"]], measures], axis=1).assign(officials=1)
    cells = people.groupby(["region", "tier"], sort=True).sum().reset_index()
    above = pd.DataFrame(
        [(county, region) for county in frame["region"].unique() for region in [*study.ancestors(str(county)), NATION]],
        columns=pd.Index(["region", "within"]),
    )
    cells = cells.merge(above, on="region").drop(columns="region").rename(columns={"within": "region"})
    cells = pd.concat([cells, cells.assign(tier=EVERY_TIER)])
    sums = cells.groupby(["region", "tier"], sort=True).sum().reset_index()
    means = sums[names].div(sums["officials"], axis=0)
    return pd.concat([sums[["region", "tier", "officials"]].assign(quarter=str(weeks.quarter)), means], axis=1)[
        ["quarter", "region", "tier", "officials", *names]
    ]


def _measures(weeks: TrueWeeks) -> dict[str, np.ndarray]:
    return {
        "gross": weeks.gross,
        "avoidable": weeks.avoidable.sum(axis=1) + weeks.group("for_show"),
        "excess": np.maximum(0, weeks.gross - weeks.acceptable),
        "acceptable": weeks.acceptable,
        "work_time": weeks.work,
        "service": weeks.group("service"),
        "parallel_digital": weeks.parallel,
        **{f"group_{group}": weeks.group(group) for group in [*GROUPS, "for_show", *_OTHERS]},
        "group_personal": HOURS_PER_WEEK - weeks.work,
        "without_reforms_gross": hours_lost(weeks.untreated),
        "without_reforms_work_time": weeks.untreated.sum(axis=1),
        **{f"without_reforms_group_{group}": group_hours(weeks.untreated, group) for group in [*GROUPS, "service"]},
    }


def write_truth(study: Study, official_quarters: pd.DataFrame, population_means: pd.DataFrame) -> None:
    """Write the tables of the truth; they cover the whole calendar whichever quarters have drops."""
    folder = study.root / "truth"
    _write(official_quarters, folder / "official_quarters.parquet")
    _write(population_means, folder / "population_means.parquet")


def write_dirt(study: Study, quarter: str, planted: pd.DataFrame) -> None:
    """Write how many faults of each kind were planted in each drop of a quarter."""
    folder = study.root / "truth" / "dirt"
    folder.mkdir(parents=True, exist_ok=True)
    planted.to_csv(folder / f"{quarter}.csv", index=False, lineterminator="\n")


def write_fabricated(study: Study, quarter: str, planted: pd.DataFrame) -> None:
    """Write whose returns of a quarter were dictated or made up, and how."""
    folder = study.root / "truth" / "fabricated"
    folder.mkdir(parents=True, exist_ok=True)
    planted.to_csv(folder / f"{quarter}.csv", index=False, lineterminator="\n")


def write_list_truth(study: Study, quarter: str, panel: pd.DataFrame, does_it: pd.Series) -> None:
    """Write what the list experiment is after: the share of the panel who do what its sensitive item says."""
    folder = study.root / "truth" / "list_experiment"
    folder.mkdir(parents=True, exist_ok=True)
    share = float(np.average(does_it, weights=panel["base_weight"]))
    text = json.dumps({"share": round(share, 6), "officials": len(panel)}) + "\n"
    (folder / f"{quarter}.json").write_text(text, encoding="utf-8")


def _write(frame: pd.DataFrame, path: Path) -> None:
    frame.to_parquet(path, index=False, compression="zstd")
