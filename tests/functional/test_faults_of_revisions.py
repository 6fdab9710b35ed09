"""F15 and C11: late returns of a published quarter, and an attacker who holds both releases."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pandas as pd
import pytest
from series_study import ANSWERS_HEAD, hours_of, make, receive_as

from analysis_lib import pipeline
from analysis_lib.disclosure.handover import hand_over
from analysis_lib.disclosure.protect import ProtectedTable, protect
from analysis_lib.monitoring.ledger import Ledger
from analysis_lib.quarters import Quarter
from analysis_lib.running.late_returns import keep_published
from analysis_lib.survey.estimation import estimate
from analysis_lib.tables.store import Store, pinned_drops

QUARTER = Quarter.parse("2026Q1")
VICTIM, WEIGHT = "E006", 7.0  # the first of those with the largest weight; the list, not the answers, gives it
MANY = " ".join(f"E{i:03d}" for i in range(6, 20))


def hours(store: Store) -> dict[str, dict[str, ProtectedTable]]:
    """What the notebook of hours would hand over now."""
    officials = pipeline.officials_in(store, QUARTER)
    asked = {"periods": {str(QUARTER): [str(QUARTER)]}, "regions": ["all", "P01", "P02"]}
    return {
        "03-hours-lost": {
            "hours": protect(estimate(officials, ["work"], study=store.study, **asked), "hours", study=store.study)
        }
    }


def published(store: Store, number: int, results: dict[str, dict[str, ProtectedTable]]) -> None:
    """Let readers have a release of these results, as far as a later one looks at it."""
    name = f"{QUARTER}/r{number}"
    for unit, tables in results.items():
        hand_over(str(store.study.reports / name / "results" / unit), *tables.values())
    (store.study.reports / name / "release.json").write_text("{}", encoding="utf-8")
    ledger = Ledger(store.study.ledger)
    ledger.record_release(str(QUARTER), name, made_from="", drops=pinned_drops(store, [QUARTER]))
    ledger.record_publication(name, "published")


def beside(store: Store, results: dict[str, dict[str, ProtectedTable]]) -> dict[str, dict[str, ProtectedTable]]:
    return keep_published(results, study=store.study, quarter=QUARTER, ledger=Ledger(store.study.ledger))[0]


def arrive(store: Store, people: str, day: str) -> None:
    """Answers that come late."""
    text = ANSWERS_HEAD + "".join(hours_of(who, str(QUARTER)) for who in people.split())
    receive_as(
        store, str(QUARTER), "answers", "questionnaire", text, slug=f"late-{day}", received=dt.date.fromisoformat(day)
    )


def value(results: dict[str, dict[str, ProtectedTable]], region: str) -> tuple[float, str]:
    row = results["03-hours-lost"]["hours"].row(measure="work", region=region, category="", period=str(QUARTER))
    assert row is not None
    return float(row["value"]), str(row["mark"])


def recovered(store: Store, before: float, after: float) -> tuple[float, float]:
    """What an attacker works out for the one who came late in P01, knowing every weight; and by how much rounding blurs it."""
    sample = pipeline.ingest(store, QUARTER)["sample"]
    whole = float(sample.loc[sample["region"] == "P01", "base_weight"].sum())
    return (whole * after - (whole - WEIGHT) * before) / WEIGHT, 0.05 * (2 * whole - WEIGHT) / WEIGHT


def test_c11_two_releases_do_not_give_the_hours_of_the_one_official_who_came_late(tmp_path: Path) -> None:
    store = make(tmp_path / "s", {str(QUARTER): ["P01", "P02"]}, regions=["P01", "P02"], late=VICTIM)
    first = hours(store)
    published(store, 1, beside(store, first))
    arrive(store, VICTIM, "2026-05-01")
    fresh = hours(store)
    truth = float(hours_of(VICTIM, str(QUARTER)).split(",")[3])
    guess, blur = recovered(store, value(first, "P01")[0], value(fresh, "P01")[0])
    assert abs(guess - truth) <= blur < 2  # unprotected, rounding leaves less than two hours
    kept = beside(store, fresh)
    assert {region: value(kept, region) for region in ("all", "P01")} == {
        region: (value(first, region)[0], "p") for region in ("all", "P01")
    }
    assert recovered(store, value(first, "P01")[0], value(kept, "P01")[0])[0] == pytest.approx(value(first, "P01")[0])
    assert kept["03-hours-lost"]["hours"].table["n"].equals(first["03-hours-lost"]["hours"].table["n"])


def test_c11_few_late_returns_add_up_over_releases_until_there_are_enough(tmp_path: Path) -> None:
    store = make(tmp_path / "s", {str(QUARTER): ["P01", "P02"]}, regions=["P01", "P02"], late=MANY)
    first = hours(store)
    published(store, 1, first)
    arrive(store, " ".join(MANY.split()[:6]), "2026-05-01")
    second = beside(store, hours(store))
    assert value(second, "P01") == (value(first, "P01")[0], "p")
    published(store, 2, second)
    arrive(store, " ".join(MANY.split()[6:]), "2026-05-20")  # eight more: fourteen since the number was estimated
    fresh = hours(store)
    third = beside(store, fresh)
    assert value(third, "P01") == value(fresh, "P01")
    assert value(third, "all") == value(fresh, "all")


def test_c11_nothing_stays_where_nothing_came(tmp_path: Path) -> None:
    store = make(tmp_path / "s", {str(QUARTER): ["P01", "P02"]}, regions=["P01", "P02"])
    published(store, 1, hours(store))
    results = hours(store)
    kept = beside(store, results)["03-hours-lost"]["hours"].table
    pd.testing.assert_frame_equal(
        kept, results["03-hours-lost"]["hours"].table
    )  # whatever a change of method made of it
