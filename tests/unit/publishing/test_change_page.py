import re

import pandas as pd
import pytest
from sample_results import all_results, national_results, protected, row
from sample_study import write_combined_study

from analysis_lib.disclosure.protect import protect
from analysis_lib.figures.movement import draw_movement, prepare_movement
from analysis_lib.ingest.instrument_versions import concept_changes
from analysis_lib.monitoring.change_account import LAST, MOVED, STEPS, THIS
from analysis_lib.monitoring.claims import Claim, claims_table
from analysis_lib.publishing import change_words
from analysis_lib.publishing.change_pages import render_changes
from analysis_lib.publishing.claim_rows import claims_of, scored_claims, scores_of
from analysis_lib.publishing.pages import CHANGES, Report
from analysis_lib.publishing.sentences import Writer
from analysis_lib.quarters import Quarter
from analysis_lib.study import NATION

QUARTER = Quarter(2026, 3)
VALUES = {LAST: 17.3, "revision": 0.2, "period": -0.9, "method": 0.0, "instrument": 0.0, "mix": 0.1, "remainder": 0.1,
          THIS: 16.8, MOVED: -0.5}  # fmt: skip


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write_combined_study(tmp_path_factory.mktemp("study") / "s")


def account(study, values=None, **outcomes):
    periods = {LAST: "2026Q2", THIS: "2026Q3"}
    rows = [
        row("gross_combined", "hours_week", "mean", value, 0.3, by="movement", category=step,
            period=periods.get(step, "2026Q2→2026Q3"))
        for step, value in (values or VALUES).items()
    ]  # fmt: skip
    frame = pd.DataFrame(rows)
    return protect(
        frame.assign(outcome=[outcomes.get(step, "") for step in frame["category"]]), "change_account", study=study
    )


@pytest.fixture(scope="module")
def tables(study):
    """The sample results with an account, a claim of the last release, and what today says of the same change."""
    claim = Claim("change", "gross_combined", NATION, "2025Q2→2026Q2", "", "lower", "hours_week", -1.2, -2.0, -0.4, 0.5, 0.95,
                  "interval_of_change")  # fmt: skip
    past = protect(claims_table([("2026Q2/r1", claim)]), "past_claims", study=study)
    now = row("gross_combined", "hours_week", "mean", 0.1, 0.6, period="2025Q2→2026Q2")
    national = {name: table for found in national_results(study).values() for name, table in found.items()}
    return national | {
        "change_account": account(study), "past_claims": past, "claims_again": protected(study, "claims_again", [now])
    }  # fmt: skip


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_page_shows_the_movement_and_the_record_of_claims(study, tables, language):
    report = Report(study, QUARTER, NATION, tables, [], 1)
    assert CHANGES in report.further_pages
    text = re.sub(r"<[^>]+>", " ", render_changes(report, language))
    word = Writer(study, language).text
    for shown in ("17.3", "16.8", "−0.9", "2026Q2/r1", word("claims.weakened"), word("movement.mix")):
        assert shown in text


def test_a_claim_is_scored_by_its_own_rule(study, tables):
    ((release, claim, now, result),) = scored_claims(tables, study, "2026Q3")
    assert (release, claim.word, now.word, result) == ("2026Q2/r1", "lower", "cannot_tell", "weakened")
    (recorded,) = scores_of({"08-change-and-revisions": tables}, study, QUARTER)
    assert (recorded["claimed_in"], recorded["word_now"], recorded["score"]) == ("2026Q2/r1", "cannot_tell", "weakened")


def test_claims_are_what_the_pages_say(study):
    results = all_results(study)
    claims = [Claim.of_row(each) for each in claims_of(results, study, QUARTER)]
    writer = Writer(study, "en")
    changes = {claim.measure: claim for claim in claims if claim.kind == "change" and claim.region == NATION}
    change = results["03-hours-lost"]["change"].table.set_index("measure")
    assert {key: claim.word for key, claim in changes.items()} == {
        key: writer.word_for(change.loc[key]) for key in changes
    }
    assert changes["gross_combined"].threshold == study.config.estimation.smallest_change
    assert changes["gross_share_combined"].threshold is None
    assert {claim.region for claim in claims if claim.kind == "comparison"} == {"P01", "P02"}


def verdicts(study, power: str, advised: str) -> dict:
    """Answers to two distinctions and a recommendation; an answer of nothing is one that may not be published."""
    answers = [("guardrail", "power.coping", "kept"), ("verdict", "power", power), ("verdict", "lasting", "")]
    rows = [
        row("service", "share", "effect", 0.1, 0.02, by=by, category=category, residual_df=400.0)
        for by, category, _ in answers
    ]
    guards = pd.DataFrame(rows).assign(outcome=[outcome for *_, outcome in answers])
    advice = [("one-form.recommendation", advised), ("one-form.moved", "no")]
    rows = [
        row("group_form", "hours_week", "effect", -1.0, 0.2, by="adjust", category=category, residual_df=400.0)
        for category, _ in advice
    ]
    return {
        "guardrails": protect(guards, "guardrails", study=study),
        "adjustments": protect(
            pd.DataFrame(rows).assign(outcome=[outcome for _, outcome in advice]), "adjustments", study=study
        ),
    }


def test_distinctions_and_recommendations_are_claims_that_a_later_release_scores(study, tables):
    said = {"07-guardrails": verdicts(study, "yes", "keep")}
    claims = [Claim.of_row(each) for each in claims_of(said, study, QUARTER.shift(-1))]
    assert [(each.kind, each.subject, each.word, each.value) for each in claims] == [
        ("distinction", "power", "yes", None), ("recommendation", "one-form", "keep", None),
    ]  # fmt: skip
    past = protect(claims_table([("2026Q2/r1", each) for each in claims]), "past_claims", study=study)
    for power, advised, scores in [
        ("yes", "keep", ["held", "held"]),
        ("no", "stop", ["reversed", "reversed"]),
        ("cannot_tell", "intensify", ["weakened", "weakened"]),
        ("", "redesign", ["withdrawn", "weakened"]),
    ]:
        now = tables | verdicts(study, power, advised) | {"past_claims": past}
        assert [score for *_, score in scored_claims(now, study, "2026Q3")] == scores
        for language in ("zh", "en"):
            writer = Writer(study, language)
            (power_says, advice_says) = (change_words.claim_text(each, writer) for each in claims)
            assert writer.text("guard.power") in power_says
            assert writer.text("claims.recommendation") in advice_says
            page = render_changes(Report(study, QUARTER, NATION, now, [], 1), language)
            for _, claim, today, _ in scored_claims(now, study, "2026Q3"):
                assert change_words.word_text(claim, writer) in page
                assert change_words.word_text(today, writer) in page


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_sentence_says_what_chance_and_what_no_step_explains(study, language):
    writer, text = Writer(study, language), Writer(study, language).text
    said = change_words.movement(
        account(study, remainder="unexplained", period="with_instrument"), "gross_combined", writer
    )
    assert text("movement.how_unexplained") in said
    assert text("movement.how_with_instrument") in said
    assert text("movement.method") not in said  # a step of nothing is not listed
    still = dict.fromkeys(VALUES, 0.0) | {LAST: 16.8, THIS: 16.8}
    assert "16.8" in change_words.movement(account(study, still), "gross_combined", writer)
    for reason in ("no_release", "no_data"):
        assert change_words.account_answer(account(study), reason, study=study, language=language) == text(
            f"movement.{reason}"
        )


def test_bars_start_where_the_step_before_ends(study):
    frame = prepare_movement(account(study), "gross_combined", change_words.step_titles("en", study=study), study=study,
                             language="en")  # fmt: skip
    steps = frame[~frame["is_total"]]
    assert steps["start"].to_list() == pytest.approx([17.3, 17.5, 16.6, 16.6, 16.6, 16.7])
    assert list(frame["step"]) == [LAST, *STEPS, THIS]
    assert draw_movement(frame).axes
    assert prepare_movement(account(study), "gross", {}, study=study, language="en").empty


def test_a_new_version_is_compared_concept_by_concept(study, repository):
    folder = study.reference / "instruments"
    folder.mkdir()
    old = (repository / "data/reference/instruments/wjx-v1.toml").read_text(encoding="utf-8")
    (folder / "wjx-v1.toml").write_text(old, encoding="utf-8")
    new = old.replace('"wjx-v1"', '"wjx-v2"').replace("16、必须盯看的工作群有几个？", "16、要盯几个工作群？")
    new = new.replace('type = "count", min = 0, max = 150', 'type = "count", min = 0, max = 300')
    (folder / "wjx-v2.toml").write_text(new, encoding="utf-8")
    found = concept_changes(study, frozenset({"wjx-v1"}), frozenset({"wjx-v2"}))
    assert found[["concept", "change"]].to_numpy().tolist() == [
        ["groups_watched", "reworded"],
        ["groups_watched", "answers"],
    ]
    assert concept_changes(study, frozenset({"wjx-v1"}), frozenset({"wjx-v1"})).empty
