"""The three distinctions: each indicator by its interval, each verdict by its indicators, as the table of rules says."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis_lib.errors import UsageError
from analysis_lib.monitoring.guardrails import (
    Distinction,
    Indicator,
    guardrail_changes,
    guardrails_table,
    judge,
    three_distinctions,
)
from analysis_lib.reforms import read_reforms
from analysis_lib.study import Study
from analysis_lib.survey.estimation import estimate_change
from tests.sample_study import write_study

FALL, GUARD, MORE = Indicator("gross", "fall", 0.5), Indicator("digital", "not_rise", 0.5), "service"
SERVICE = Indicator(MORE, "not_fall", 0.5)
THREE = Distinction("responsibilities", (FALL, GUARD, SERVICE))
GOOD = {"gross": (-2.0, -1.0), "digital": (-0.3, 0.3), "service": (-0.2, 0.4)}


def changes(intervals: dict[str, tuple[float, float]], df: float = 100.0) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"measure": key, "statistic": "mean", "unit": "hours_week", "region": "all", "by": "", "category": "",
             "period": "2025Q4: change", "estimate": (low + high) / 2, "se": (high - low) / 4, "ci_low": low,
             "ci_high": high, "df": df, "deff": math.nan, "n": 900, "n_psu": 90}
            for key, (low, high) in intervals.items()
        ]
    )  # fmt: skip


def only(indicator: Indicator, low: float, high: float) -> tuple[str, str]:
    (judged,) = judge(Distinction("d", (indicator,)), changes({indicator.measure: (low, high)})).judged
    return judged.status, judged.remark


@pytest.mark.parametrize(
    ("low", "high", "found"),
    [
        (-2.0, -0.1, ("kept", "told")),
        (-0.6, -0.01, ("kept", "told")),
        (-0.4, -0.1, ("broken", "small")),  # told, and too small to matter
        (-0.4, 0.4, ("broken", "small")),
        (-0.6, 0.1, ("open", "open")),
        (0.1, 3.0, ("broken", "wrong_way")),
        (math.nan, -1.0, ("open", "missing")),
    ],
)
def test_what_must_fall(low, high, found) -> None:
    assert only(FALL, low, high) == found
    assert only(Indicator("gross", "rise", 0.5), -high, -low) == found


@pytest.mark.parametrize(
    ("low", "high", "found"),
    [
        (-2.0, -0.1, ("kept", "kept")),
        (-0.1, 0.4, ("kept", "kept")),
        (0.1, 0.4, ("kept", "worse")),  # worse for certain, and within what may be borne
        (-0.1, 0.5, ("open", "open")),
        (0.4, 2.0, ("open", "open")),
        (0.6, 2.0, ("broken", "broken")),
    ],
)
def test_what_must_not_rise_and_its_mirror(low, high, found) -> None:
    assert only(GUARD, low, high) == found
    assert only(SERVICE, -high, -low) == found


@pytest.mark.parametrize("statuses", list(itertools.product(["kept", "broken", "open"], repeat=3)))
def test_the_answer_follows_from_the_parts(statuses) -> None:
    intervals = {
        "gross": {"kept": (-2.0, -1.0), "broken": (1.0, 2.0), "open": (-1.0, 1.0)},
        "digital": {"kept": (-0.3, 0.3), "broken": (1.0, 1.5), "open": (-1.0, 1.0)},
        "service": {"kept": (-0.3, 0.3), "broken": (-1.5, -1.0), "open": (-1.0, 1.0)},
    }
    verdict = judge(THREE, changes({key: intervals[key][s] for key, s in zip(intervals, statuses, strict=True)}))
    assert [each.status for each in verdict.judged] == list(statuses)
    expected = "no" if "broken" in statuses else "cannot_tell" if "open" in statuses else "yes"
    assert verdict.answer == expected
    assert (verdict.reasons == ()) == (expected == "yes")
    named = {reason.split(".")[1] for reason in verdict.reasons}
    decisive = {"no": "broken", "cannot_tell": "open"}.get(expected)
    assert named == {key for key, status in zip(intervals, statuses, strict=True) if status == decisive}


def test_a_no_allows_for_how_many_were_watched_and_a_yes_does_not() -> None:
    """Just beyond the margin alone; the same interval among five guards is no longer told."""
    alone = judge(Distinction("d", (FALL, GUARD)), changes({**GOOD, "digital": (0.6, 1.6)}, df=60))
    assert alone.answer == "no"
    five = (FALL, GUARD, *(Indicator(f"g{number}", "not_rise", 0.5) for number in range(4)))
    harmless = {f"g{number}": (-0.3, 0.49) for number in range(4)}
    assert (
        judge(Distinction("d", five), changes({**GOOD, **harmless, "digital": (0.6, 1.6)}, df=60)).answer
        == "cannot_tell"
    )
    assert judge(Distinction("d", five), changes({**GOOD, **harmless, "digital": (-0.3, 0.49)}, df=60)).answer == "yes"
    # The limit where a six-fold allowance is exactly used up.
    wider = stats.t.isf(0.025 / 6, 60) / stats.t.isf(0.025, 60)
    for half, answer in ((0.99 * 0.6 / wider, "no"), (1.01 * 0.6 / wider, "cannot_tell")):
        assert (
            judge(Distinction("d", five), changes({**GOOD, **harmless, "digital": (1.1 - half, 1.1 + half)}, 60)).answer
            == answer
        )


def test_findings_of_other_tests_count_as_they_are_stated() -> None:
    lasting = Distinction("lasting", (FALL,), stated=("relapse", "toothpaste"))
    good = changes({"gross": (-2.0, -1.0)})
    assert judge(lasting, good, stated={"relapse": "kept", "toothpaste": "kept"}).answer == "yes"
    said = judge(lasting, good, stated={"relapse": "broken"})
    assert (said.answer, said.reasons, said.reservations) == ("no", ("broken.relapse",), ("missing.toothpaste",))
    assert judge(lasting, good, stated={"relapse": "kept", "toothpaste": "open"}).reasons == ("open.toothpaste",)


def test_what_is_missing_was_not_asked_or_requires_nothing_is_never_a_yes() -> None:
    assert judge(THREE, changes({"gross": (-2.0, -1.0), "service": (-0.2, 0.4)})).reasons == ("missing.digital",)
    assert judge(Distinction("d", (GUARD,)), changes({"digital": (-0.3, 0.3)})).reasons == ("nothing_required",)
    asked = judge(Distinction("d", (FALL, GUARD), not_asked=("coping",)), changes({**GOOD, "digital": (0.1, 0.4)}))
    assert (asked.answer, asked.reservations) == ("yes", ("worse.digital", "not_asked.coping"))


def test_refusals() -> None:
    with pytest.raises(UsageError, match="margin"):
        Indicator("gross", "fall", -0.1)
    with pytest.raises(UsageError, match="margin"):
        Indicator("gross", "fall", math.nan)
    with pytest.raises(UsageError, match="two changes"):
        judge(THREE, pd.concat([changes(GOOD), changes({"gross": (0.0, 1.0)})]))
    with pytest.raises(UsageError, match="no indicator"):
        judge(Distinction("d", ()), changes(GOOD))


def test_the_table_has_the_numbers_the_answers_and_why() -> None:
    with_finding = Distinction("lasting", (FALL, GUARD), stated=("relapse",))
    frame = changes({**GOOD, "digital": (-1.0, 1.0)})
    verdicts = [judge(THREE, frame), judge(with_finding, frame, stated={"relapse": "kept"})]
    table = guardrails_table(verdicts, frame).set_index(["by", "category"])
    assert table.loc[("verdict", "lasting"), ["outcome", "reasons", "ci_low"]].tolist() == [
        "cannot_tell",
        "open.digital | ",
        -2.0,
    ]
    assert table.loc[("guardrail", "responsibilities.service"), ["outcome", "wanted", "margin", "n"]].tolist() == [
        "kept",
        "not_fall",
        0.5,
        900,
    ]
    assert table.loc[("guardrail", "lasting.relapse"), "outcome"] == "kept"
    assert np.isnan(table.loc[("guardrail", "lasting.relapse"), "estimate"])
    assert len(table) == 2 + 3 + 3


@pytest.fixture(scope="module")
def demonstration(repository) -> Study:
    return Study.open(repository / "data")


def test_the_demonstration_study_asks_what_the_distinctions_need(demonstration) -> None:
    responsibilities, power, lasting = three_distinctions(demonstration, read_reforms(demonstration))
    wanted = {each.measure: (each.wanted, each.margin) for each in responsibilities.indicators}
    assert wanted["gross_combined"] == ("fall", 0.5)
    assert wanted["service"] == ("not_fall", 0.5)
    assert wanted["authority_gap"] == ("not_rise", 0.05)
    assert responsibilities.not_asked == ()
    watched = {"group_inspection", "duplicate_share", "coping", "authority_gap"}
    assert {each.measure for each in power.indicators} == watched
    assert "leave_intention_under_35" in power.not_asked
    assert "gross_combined_lately" in lasting.not_asked


def test_further_changes_and_margins_take_their_places(demonstration) -> None:
    further = ["pressure_blame", "leaving_under_35", "gross_combined_lately", "relapse"]
    chosen = with_margins(demonstration, {"pressure_blame": 0.4})
    _, power, lasting = three_distinctions(chosen, further=further)
    margins = {each.measure: each.margin for each in (*power.indicators, *lasting.indicators)}
    assert (margins["pressure_blame"], margins["leaving_under_35"], margins["gross_combined_lately"]) == (
        0.4,
        0.05,
        0.5,
    )
    assert lasting.stated == ("relapse",)
    assert lasting.indicators[0] == Indicator("gross_combined_lately", "fall", 0.5)


def test_a_margin_of_something_that_is_not_watched_is_refused_with_the_nearest_name(demonstration) -> None:
    with pytest.raises(UsageError, match="presure_blame") as refused:
        three_distinctions(with_margins(demonstration, {"presure_blame": 0.4}))
    assert "pressure_blame" in refused.value.fix


def with_margins(study: Study, margins: dict[str, float]) -> Study:
    guarded = study.config.guardrails.model_copy(update={"margins": margins})
    return replace(study, config=study.config.model_copy(update={"guardrails": guarded}))


@pytest.mark.parametrize(
    ("truth", "answer", "at_most"),
    [
        ({"gross": -2.0, "digital": 0.5, "service": 0.0}, "yes", 0.025),  # a guard exactly at its margin
        ({"gross": 0.0, "digital": -1.0, "service": 1.0}, "yes", 0.025),  # no fall
        ({"gross": -2.0, "digital": 0.5, "service": -0.5}, "no", 0.025),  # two guards at their margins, none beyond
        ({"gross": -0.5, "digital": 0.5, "service": -0.5}, "no", 0.025),  # and a fall that just matters
    ],
)
def test_the_worst_case_of_a_false_word_is_rare(truth, answer, at_most) -> None:
    rng, repetitions, df, se = np.random.default_rng(5), 1500, 40, 0.15
    estimates = np.array(list(truth.values())) + se * rng.standard_normal((repetitions, 3))
    half = stats.t.isf(0.025, df) * se * np.sqrt(rng.chisquare(df, (repetitions, 3)) / df)
    said = [
        judge(THREE, changes({key: (e - h, e + h) for key, e, h in zip(truth, es, hs, strict=True)}, df)).answer
        for es, hs in zip(estimates, half, strict=True)
    ]
    assert np.mean([word == answer for word in said]) <= at_most + 3 * math.sqrt(at_most * (1 - at_most) / repetitions)


def returns(n: int = 400) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Four quarters of one panel; from the third on two hours less, an hour more of service, coping up by a point."""
    rng, frames = np.random.default_rng(6), []
    for number, quarter in enumerate(["2025Q1", "2025Q2", "2025Q3", "2025Q4"]):
        since = number >= 2
        people = pd.DataFrame({"respondent_id": [f"p{i}" for i in range(n)], "psu": [f"u{i // 8}" for i in range(n)]})
        hours = rng.gamma(9, 3, n)
        people = people.assign(
            quarter=quarter, stratum="s", region="C0101", weight=1.5, diary_weight=3.0, base_weight=1.2, has_diary=True,
            age_group=rng.choice(["under_35", "50_plus"], n), gross=hours - 2 * since, avoidable=hours / 2 - since,
            excess=hours / 3 - since, service=6.0 + rng.normal(0, 1, n) + since, authority_gap=rng.random(n),
            duplicate_share=rng.random(n), group_inspection=rng.gamma(4, 1, n), group_digital=rng.gamma(4, 1, n),
            group_for_show=rng.gamma(1, 1, n), gross_out_of_hours=rng.gamma(2, 1, n),
            coping=rng.integers(0, 4, n) + since, leave_intention=rng.integers(1, 6, n).astype(float),
        )  # fmt: skip
        frames.append(people)
    sample = pd.concat(frames, ignore_index=True)
    officials = sample[rng.random(len(sample)) < 0.8].reset_index(drop=True)
    return officials.drop(columns=["leave_intention"]), officials, sample


def test_changes_of_everything_watched_are_judged_together(tmp_path) -> None:
    study = write_study(tmp_path)
    officials, respondents, sample = returns()
    quarters = {"label": "2025Q1–2025Q2→2025Q3–2025Q4", "earlier": ["2025Q1", "2025Q2"], "later": ["2025Q3", "2025Q4"]}
    found = guardrail_changes(officials, respondents, sample, study=study, lately=["2025Q4"], **quarters)
    rows = found.set_index("measure")
    alone = estimate_change(officials, ["gross"], study=study, regions=["all"], **quarters).iloc[0]
    assert rows.at["gross", "estimate"] == alone["estimate"]
    assert rows.at["gross_lately", "n"] < rows.at["gross", "n"]
    assert rows.at["coping", "ci_low"] < 1 < rows.at["coping", "ci_high"]
    assert {"leave_intention_under_35", "leaving_under_35", "leaving_gap_under_35"} <= set(rows.index)
    assert "pressure_blame" not in rows.index  # nobody was asked
    kept, power, _ = (judge(each, found) for each in three_distinctions(study, further=list(rows.index)))
    assert kept.answer == "yes"
    assert power.answer == "no"
    assert "broken.coping" in power.reasons
    assert "not_asked.pressure_blame" in power.reservations
