"""Reforms followed in the demonstration's shape: what is handed over, what cannot be followed, and why."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from analysis_lib.disclosure.protect import protect
from analysis_lib.ingest.simulate import simulate_study
from analysis_lib.monitoring.following import SINCE, Following, follow_reforms
from analysis_lib.monitoring.guarding import compared_quarters, watch_guardrails
from analysis_lib.parameters import RunParameters
from analysis_lib.pipeline import load_officials, load_past, periods
from analysis_lib.publishing.lasting_words import lasting_answer
from analysis_lib.running.scaffold import init_study
from analysis_lib.study import Study


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Following, Study]:
    """Scenario d: what is cut on paper and in meetings comes back online."""
    study = init_study(tmp_path_factory.mktemp("world") / "study", simulated=True)
    simulate_study(study, scenario="d")
    run = RunParameters.parse(study=str(study.root), quarter="2026Q3", region="all", as_of="", results_dir="")
    _, earlier, later = periods(run).change
    quarters = list(periods(run).series)
    return follow_reforms(load_officials(run), study=study, quarters=quarters, earlier=earlier, later=later), study


def test_every_reform_has_its_looks_and_an_account_that_adds_up(world) -> None:
    found, _ = world
    reforms = {"fewer-shorter", "one-form", "inspection-plan"}
    assert set(found.looks["category"].str.split(".").str[0]) == reforms
    assert set(found.accounts["category"].str.split(".").str[0]) == {SINCE, *reforms}
    parts = found.accounts[found.accounts["category"].str.fullmatch(r"[a-z-]+\.work\.[a-z_]+")]
    for _, rows in parts.groupby(parts["category"].str.split(".").str[0]):
        whole = rows["measure"] == "whole"
        assert rows.loc[~whole, "estimate"].sum() == pytest.approx(rows.loc[whole, "estimate"].item(), abs=1e-9)


def test_ratios_stand_beside_every_account_and_say_the_same_of_what_moved_online(world) -> None:
    found, study = world
    rows = protect(found.ratios, "log_ratios", study=study).table.set_index("category")
    assert {category.split(".")[0] for category in rows.index} == {
        category.split(".")[0] for category in found.accounts["category"]
    }
    online = rows.loc["fewer-shorter.group_digital"]
    assert online["ci_low"] > 0 > rows.loc["fewer-shorter.group_meeting", "value"]
    joint = rows.loc["fewer-shorter.group_digital.joint"]
    assert joint["ci_low"] < online["ci_low"] < online["value"] < online["ci_high"] < joint["ci_high"]
    assert rows.loc["fewer-shorter.cut_to_other_burden", "value"] < 0


def test_a_repeated_look_is_never_narrower_than_a_single_one(world) -> None:
    looks = world[0].looks
    single = looks["category"].str.endswith(".usual")
    width = (looks["ci_high"] - looks["ci_low"]).to_numpy()
    assert (width[~single] >= width[single] - 1e-9)[pd.notna(width[~single])].all()
    assert set(looks["outcome"][~single].str.split(".").str[-1]) == {"since"}


def test_few_regions_are_watched_by_what_sampling_tells(world) -> None:
    found, study = world
    rows = found.lasting[found.lasting["category"].str.startswith("fewer-shorter.")]
    assert set(rows["inference"]) == {"sampling"}
    assert set(found.lasting.loc[found.lasting["category"].str.startswith("one-form."), "inference"]) == {"cohort"}
    tables = [protect(table, name, study=study)
              for table, name in ((found.looks, "l"), (found.lasting, "r"), (found.accounts, "a"))]  # fmt: skip
    assert "taken to be as much as sampling makes them" in lasting_answer(*tables, study=study, language="en")


def test_what_moved_online_is_said_in_both_languages(world) -> None:
    found, study = world
    tables = [protect(table, name, study=study)
              for table, name in ((found.looks, "l"), (found.lasting, "r"), (found.accounts, "a"))]  # fmt: skip
    row = found.accounts[found.accounts["category"] == "fewer-shorter.offline_to_online"].iloc[0]
    assert row["outcome"] == "yes"
    assert row["estimate"] > 1
    assert "burden moved online" in lasting_answer(*tables, study=study, language="en")
    assert "负担转到了线上" in lasting_answer(*tables, study=study, language="zh")


def test_a_study_without_reforms_has_the_account_of_the_change_at_most(tmp_path: Path) -> None:
    study = init_study(tmp_path / "study", simulated=True)
    (study.reference / "reforms.toml").unlink()
    bare = follow_reforms(
        pd.DataFrame(), study=Study.open(study.root), quarters=["2026Q3"], earlier=[], later=["2026Q3"]
    )
    for table in (bare.looks, bare.lasting, bare.accounts, bare.ratios):
        assert protect(table, "nothing", study=study).table.empty
    assert bare.impossible == {}


def test_a_reform_that_has_not_begun_has_no_look_and_says_so(world) -> None:
    _, study = world
    run = RunParameters.parse(study=str(study.root), quarter="2024Q1", region="all", as_of="", results_dir="")
    asked = {"study": study, "quarters": list(periods(run).series), "earlier": [], "later": ["2024Q1"]}
    found = follow_reforms(load_officials(run), **asked)
    assert found.looks.empty
    assert "since its start" in found.impossible["fewer-shorter"]


@pytest.mark.parametrize("quarters", [["2026Q3"], ["2026Q2", "2026Q3"]], ids=["first", "second"])
def test_a_study_that_begins_after_its_reforms_follows_none_and_judges_what_it_can(world, quarters) -> None:
    _, study = world
    run = RunParameters.parse(study=str(study.root), quarter="2026Q3", region="all", as_of="", results_dir="")
    officials, respondents, sample = (
        table[table["quarter"].isin(quarters)]
        for table in (load_officials(run), load_past(run, "respondents"), load_past(run, "sample"))
    )
    compared = compared_quarters(study, quarters)
    found = follow_reforms(officials, study=study, quarters=quarters, earlier=compared.earlier, later=compared.lately)
    assert found.looks.empty
    assert found.lasting.empty
    assert "nothing is known of the time before" in found.impossible["fewer-shorter"]
    watched = watch_guardrails(officials, respondents, sample, study=study, quarters=quarters, followed=found)
    assert {verdict.answer for verdict in watched.verdicts} == {"cannot_tell"}
