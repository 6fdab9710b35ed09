from itertools import product

import numpy as np
import pandas as pd
import pytest
from sample_results import protected, row
from sample_study import write_study

from analysis_lib.disclosure.protect import protect
from analysis_lib.monitoring.claims import (
    DIRECTIONS,
    NO_CHANGE,
    OPEN,
    OPPOSITES,
    SCORES,
    Claim,
    claims_in,
    claims_table,
    estimate_again,
    score,
    scored,
)
from analysis_lib.survey.estimation import estimate_change

WORDS = sorted({*OPEN, *DIRECTIONS, *NO_CHANGE, *(word for pair in OPPOSITES for word in pair)})


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write_study(tmp_path_factory.mktemp("claims") / "s")


def claim(word: str = "lower", **other: object) -> Claim:
    facts = {
        "kind": "change", "measure": "gross", "region": "all", "period": "2025Q3→2026Q3", "subject": "", "word": word,
        "unit": "hours_week", "value": -1.2, "ci_low": -2.0, "ci_high": -0.4, "threshold": 0.5, "level": 0.95,
        "rule": "interval_of_change",
    }  # fmt: skip
    return Claim(**facts | other)


@pytest.mark.parametrize("word", WORDS)
def test_the_same_word_holds_and_no_number_is_withdrawn(word):
    assert score(word, word) == "held"
    assert score(word, None) == "withdrawn"


@pytest.mark.parametrize(("word", "now"), [pair for pair in product(WORDS, WORDS) if pair[0] in OPEN])
def test_not_to_know_is_never_made_untrue_by_knowing_more(word, now):
    assert score(word, now) == "held"


@pytest.mark.parametrize(("word", "now"), [pair for pair in product(WORDS, WORDS) if {*pair} in OPPOSITES])
def test_the_opposite_reverses(word, now):
    assert score(word, now) == "reversed"


@pytest.mark.parametrize(("word", "now"), list(product(sorted(NO_CHANGE), sorted(DIRECTIONS))))
def test_a_direction_reverses_a_claim_of_little_change(word, now):
    assert score(word, now) == "reversed"


@pytest.mark.parametrize(("word", "now"), list(product(sorted(DIRECTIONS), sorted(OPEN | NO_CHANGE))))
def test_a_direction_that_is_no_longer_shown_is_weakened(word, now):
    assert score(word, now) == "weakened"


def test_every_pair_of_words_has_one_of_four_scores():
    assert {score(word, now) for word, now in product(WORDS, [*WORDS, None])} == set(SCORES)


def test_claims_meet_what_is_said_of_the_same_number():
    claims = [claim(), claim(region="P01"), claim(measure="service", word="higher")]
    now = [claim(word="cannot_tell"), claim(measure="service", word="lower"), claim(period="2025Q4→2026Q4")]
    assert [result for *_, result in scored(claims, now)] == ["weakened", "withdrawn", "reversed"]


def test_a_verdict_is_met_in_a_later_period_and_a_change_only_in_its_own():
    verdict = claim(kind="relapse", subject="one-form.lost", rule="verdict", word="holds", period="2026Q2")
    later = claim(kind="relapse", subject="one-form.lost", rule="verdict", word="relapsed", period="2026Q3")
    assert [result for *_, result in scored([verdict], [later])] == ["reversed"]


def test_claims_survive_the_ledger_and_the_gate(study):
    claims = [
        ("2026Q2/r1", claim()),
        ("2026Q2/r2", claim(kind="reform", subject="one-form", word="cannot_tell", ci_low=None, ci_high=None)),
        ("2026Q1/r1", claim(kind="comparison", subject="all", word="within", threshold=None, period="2026Q1")),
    ]
    assert [Claim.of_row(each.row() | {"release": "r"}) for _, each in claims] == [each for _, each in claims]
    table = protect(claims_table(claims), "past_claims", study=study).table
    assert claims_in(table, level=0.95) == claims
    assert claims_table([]).empty


@pytest.fixture(scope="module")
def officials() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    people = pd.DataFrame(
        [(f"{county}-{unit}-{person}", county, f"{county}-{unit}") for county in ("C0101", "C0201") for unit in range(4)
         for person in range(8)], columns=["respondent_id", "region", "psu"],
    )  # fmt: skip
    frames = [
        people.assign(quarter=quarter, stratum=people["region"], county=people["region"], weight=1.0, diary_weight=1.0,
                      province="P" + people["region"].str[1:3], has_diary=True,
                      gross=rng.gamma(9, 2, len(people)) - 3 * place)
        for place, quarter in enumerate(["2025Q3", "2026Q3"])
    ]  # fmt: skip
    return pd.concat(frames, ignore_index=True)


def test_numbers_are_estimated_again_where_they_still_can_be(study, officials):
    claims = [
        claim(),
        claim(region="P99"),  # a region that was merged
        claim(period="2024Q1→2025Q1"),  # data that were withdrawn
        claim(measure="gone"),
        claim(kind="comparison", region="P01", subject="all", period="2026Q3", word="within"),
        claim(kind="reform", subject="one-form", rule="verdict", period="2026Q3", region="P02"),
    ]
    found = estimate_again([("2026Q2/r1", each) for each in claims], officials, study=study)
    assert set(zip(found["period"], found["region"], strict=True)) == {
        ("2025Q3→2026Q3", "all"), ("2026Q3", "P01"), ("2026Q3", "all"),
    }  # fmt: skip
    change = estimate_change(
        officials, ["gross"], study=study, earlier=["2025Q3"], later=["2026Q3"], label="x", regions=["all"]
    )
    again = found[found["period"] == "2025Q3→2026Q3"]
    assert again["estimate"].to_list() == change["estimate"].to_list()
    assert estimate_again([], officials, study=study).empty


def test_rows_of_claims_hide_nothing_and_pass_as_public_words(study):
    table = protect(claims_table([("2026Q2/r1", claim())]), "past_claims", study=study).table
    assert table[["value", "mark", "outcome"]].iloc[0].to_list() == [-1.2, "", "lower"]
    assert protected(study, "x", [row("gross", "hours_week", "mean", 1.0, 0.1)]).table.shape[0] == 1
