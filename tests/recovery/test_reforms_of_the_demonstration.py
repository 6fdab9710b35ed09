"""The register's reforms on simulated returns: does the assessment find what the simulator put there?"""

from __future__ import annotations

import json

import pandas as pd
import pytest

from analysis_lib.disclosure.protect import protect
from analysis_lib.effects.assessment import Assessment, assess_reforms
from analysis_lib.effects.challenge import Challenge, challenge_reforms
from analysis_lib.ingest.simulate import simulate_study
from analysis_lib.parameters import RunParameters
from analysis_lib.pipeline import load_officials, load_past, periods
from analysis_lib.publishing.reform_words import effects_answer
from analysis_lib.running.scaffold import init_study
from analysis_lib.study import Study

World = tuple[Assessment, Challenge, Assessment, Study, dict]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Scenario b: meetings and documents −25 %, forms −35 %, inspections −30 % where a reform is in force."""
    study = init_study(tmp_path_factory.mktemp("world") / "study", simulated=True)
    simulate_study(study)
    run = RunParameters.parse(study=str(study.root), quarter="2026Q3", region="all", as_of="", results_dir="")
    officials, quarters = load_officials(run), list(periods(run).series)
    sample = load_past(run, "sample")
    found = assess_reforms(officials, sample, study=study, quarters=quarters)
    challenged = challenge_reforms(officials, sample, study=study, quarters=quarters)
    everywhere = '[[reform]]\nid = "nation"\ntitle_zh = "全国"\ntitle_en = "Nation"\ngroups = ["meeting"]\n'
    everywhere += 'level = "province"\n[reform.units]\nall = "2025Q3"\n'
    (study.reference / "reforms.toml").write_text(everywhere, encoding="utf-8")
    at_once = assess_reforms(officials, sample, study=Study.open(study.root), quarters=quarters)
    return (
        found,
        challenged,
        at_once,
        Study.open(study.root),
        json.loads((study.root / "truth" / "truth.json").read_text(encoding="utf-8")),
    )


def effect(found: Assessment, measure: str, category: str) -> dict:
    rows = found.effects[(found.effects["measure"] == measure) & (found.effects["category"] == category)]
    [row] = rows.to_dict("records")
    return row


@pytest.mark.parametrize(
    ("reform", "measure", "group", "hours"),
    [
        # hours there would have been, per official and week, in the simulated frame
        ("fewer-shorter", "group_meeting", "meeting", 8.0),
        ("one-form", "group_form", "form", 6.0),
        ("inspection-plan", "group_inspection", "inspection", 4.0),
    ],
)
def test_targeted_hours_fall_by_what_was_planted(
    world: World, reform: str, measure: str, group: str, hours: float
) -> None:
    found, *_, truth = world
    row = effect(found, measure, f"{reform}.imputation")
    assert row["ci_low"] < truth["hours_effect"][group] * hours < row["ci_high"]
    assert row["estimate"] < 0


def test_hours_that_a_reform_does_not_touch_do_not_move(world: World) -> None:
    found, *_ = world
    for reform, measure in [("one-form", "group_service"), ("inspection-plan", "group_meeting")]:
        row = effect(found, measure, f"{reform}.imputation")
        assert row["ci_low"] < 0 < row["ci_high"]


def test_few_regions_are_judged_by_randomisation_and_the_foil_is_never_the_plan(world: World) -> None:
    found, *_ = world
    assert effect(found, "gross_combined", "fewer-shorter.imputation")["inference"] == "randomisation"
    assert effect(found, "gross_combined", "one-form.imputation")["inference"] == "cohort"
    foils = found.effects[found.effects["estimator"] == "two_way"]
    assert set(foils["outcome"].str.rsplit(".").str[-1]) == {"since"}


def test_every_reform_has_checks_paths_trends_series_and_every_declared_way(world: World) -> None:
    found, challenged, *_ = world
    assert challenged.impossible == {}
    # Three and five regions are too few to see burdens by.
    assert {key.split(".")[0] for key in found.impossible} == {"fewer-shorter", "inspection-plan"}
    assert {key.split(".")[-1] for key in found.impossible} == {"dose_response"}
    assert set(found.doses["category"].str.split(".").str[0]) == {"one-form"}
    for table in (found.paths, found.trends, found.series, challenged.checks, challenged.specifications):
        assert set(table["category"].str.split(".").str[0]) == {"fewer-shorter", "one-form", "inspection-plan"}
    ways = challenged.specifications["category"]
    planned = ways.str.contains(".planned.", regex=False)
    assert planned.groupby(ways.str.split(".").str[0]).sum().eq(1).all()
    tried = {category.split(".")[1] for category in challenged.checks["category"]}
    assert tried == {"pretrends", "placebo_time", "placebo_activity", "leave_one_out", "anticipation", "dates",
                     "other_reforms", "attrition", "sensitivity", "specifications"}  # fmt: skip


def test_a_causal_word_rests_on_checks_that_both_notebooks_share(world: World) -> None:
    """With four quarters before the first start no check could see trends part: no effect is called caused."""
    found, challenged, *_ = world
    rows = challenged.checks[challenged.checks["category"].str.count(r"\.") == 1]
    holding = rows[(rows["outcome"] == "holds") & rows["category"].str.contains("pretrends|placebo_time")]
    causal = found.effects[found.effects["outcome"].str.endswith(".causal")]
    said = {(row["category"].split(".")[0], row["measure"]) for row in causal.to_dict("records")}
    assert said <= {(row["category"].split(".")[0], row["measure"]) for row in holding.to_dict("records")}
    assert effect(found, "group_form", "one-form.imputation")["outcome"] == "returned_hours.since"


def test_hours_come_back_as_full_time_equivalents_and_claims_stay_claims(world: World) -> None:
    found, *_ = world
    row = effect(found, "group_form", "one-form.imputation")
    returned = effect(found, "group_form", "one-form.group_form")
    assert returned["unit"] == "fte"
    assert returned["estimate"] / row["estimate"] == pytest.approx(returned["ci_low"] / row["ci_high"])
    series = found.series[found.series["by"] == "four_series"]
    kinds = series["category"].str.split(".").str[1].value_counts()
    assert set(kinds.index) == {"claimed", "counted", "measured", "measured_relative", "felt"}
    claims = protect(found.series, "reform_series", study=world[3]).table
    claims = claims[claims["statistic"] == "claim"]
    assert claims["value"].notna().all()
    assert set(claims["mark"]) == {""}


def test_a_reform_that_comes_to_all_at_once_has_no_clean_control_and_the_sentence_says_so(world: World) -> None:
    _, _, at_once, study, _ = world
    beside = at_once.effects["estimator"] == "compared_series"
    assert set(at_once.effects["estimator"]) == {"interrupted_series", "compared_series"}
    assert set(at_once.effects["comparison"][~beside]) == {"none"}
    assert set(at_once.effects["comparison"][beside]) == {"unexposed"}
    assert set(at_once.effects["outcome"].str.rsplit(".").str[-1]) == {"since"}
    said = effects_answer(protect(at_once.effects, "reform_effects", study=study), study=study, language="en")
    assert "no clean control" in said


def test_a_study_without_reforms_has_empty_tables(world: World) -> None:
    *_, study, _ = world
    (study.reference / "reforms.toml").unlink()
    nobody = pd.DataFrame()
    bare = assess_reforms(nobody, nobody, study=Study.open(study.root), quarters=["2026Q3"])
    unchallenged = challenge_reforms(nobody, nobody, study=Study.open(study.root), quarters=["2026Q3"])
    for table in (bare.effects, bare.paths, bare.trends, bare.series, unchallenged.checks, unchallenged.specifications):
        assert protect(table, "nothing", study=study).table.empty
