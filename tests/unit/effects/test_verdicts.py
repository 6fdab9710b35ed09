"""What may be said of an effect: every combination of interval, design and checks decides, and as the table says."""

from __future__ import annotations

import itertools
import math

import pandas as pd
import pytest
from statsmodels.stats.multitest import multipletests

from analysis_lib.effects.multiplicity import adjust_measures
from analysis_lib.effects.results import CheckResult, EffectResult
from analysis_lib.effects.verdicts import verdict, words
from analysis_lib.errors import UsageError

SMALLEST = 0.5
ENDS = [-2.0, -0.5, -0.3, 0.0, 0.3, 0.5, 2.0]
PASSED = CheckResult("pretrends", "holds")


def effect(low: float, high: float, checks=(PASSED,), comparison="not_yet", estimator="group_time") -> EffectResult:
    return EffectResult(
        "docs", "gross", "hours_week", "treated", estimator, comparison, "cohort", "local_start", "2024Q1/2025Q4",
        (low + high) / 2, 0.1, 20.0, low, high, 0.05, 10, 20, 3000, 300, checks=tuple(checks),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("low", "high", "key"),
    [
        (-2.0, -0.1, "returned_hours"),
        (-0.6, -0.01, "returned_hours"),
        (-0.49, -0.01, "no_change_that_matters"),
        (-0.49, 0.49, "no_change_that_matters"),
        (-0.5, 0.3, "cannot_tell"),
        (-2.0, 0.0, "cannot_tell"),
        (0.01, 0.5, "added_hours"),
        (-math.inf, math.inf, "cannot_tell"),
        (math.nan, -1.0, "cannot_tell"),
        (math.nan, math.nan, "cannot_tell"),
    ],
)
def test_the_word_of_an_interval(low, high, key) -> None:
    assert words(low, high, SMALLEST) == key


@pytest.mark.parametrize(("low", "high"), [pair for pair in itertools.product(ENDS, ENDS) if pair[0] <= pair[1]])
def test_the_words_agree_with_the_interval_and_turn_round_with_its_sign(low, high) -> None:
    key = words(low, high, SMALLEST)
    if low <= 0 <= high:
        assert key in {"no_change_that_matters", "cannot_tell"}
    if key == "cannot_tell":
        assert low <= 0 <= high
        assert high - low >= SMALLEST
    turned = {"returned_hours": "added_hours", "added_hours": "returned_hours"}
    assert words(-high, -low, SMALLEST) == turned.get(key, key)


@pytest.mark.parametrize(
    "interval", [(-2.0, -1.0), (-0.3, -0.1), (-0.1, 0.2), (-1.0, 1.0), (1.0, 2.0), (math.nan,) * 2]
)
@pytest.mark.parametrize("comparison", ["not_yet", "never", "none"])
@pytest.mark.parametrize("estimator", ["group_time", "imputation", "synthetic", "interrupted_series", "two_way"])
def test_every_combination_is_decided(interval, comparison, estimator) -> None:
    outcomes = ["holds", "fails", "cannot_tell", None]
    for pretrends, placebo, matters in itertools.product(outcomes, outcomes, [True, False]):
        checks = [
            CheckResult(key, outcome, matters=matters or key == "pretrends")
            for key, outcome in (("pretrends", pretrends), ("placebo_time", placebo))
            if outcome
        ]
        found = verdict(effect(*interval, checks, comparison, estimator), smallest_change=SMALLEST)
        may = (
            comparison != "none"
            and estimator != "two_way"
            and found.key != "cannot_tell"
            and "holds" in {pretrends, placebo}
            and pretrends != "fails"
            and not (placebo == "fails" and matters)
        )
        assert found.is_causal == may == (found.reasons == ())
        assert found.key == words(*interval, SMALLEST)
        assert len(set(found.reasons + found.reservations)) == len(found.reasons + found.reservations)


def test_reasons_are_named() -> None:
    failing = CheckResult("placebo_time", "fails")
    unclear = CheckResult("sensitivity", "cannot_tell", matters=False)
    found = verdict(effect(-0.3, -0.1, [failing, unclear], "none", "two_way"), smallest_change=SMALLEST)
    assert found.reasons == ("no_comparison", "foil", "untested_trends", "fails.placebo_time")
    assert found.reservations == ("small", "unclear.sensitivity")
    assert verdict(effect(-1, 1), smallest_change=SMALLEST).reasons == ("too_wide",)
    assert verdict(effect(math.nan, math.nan), smallest_change=SMALLEST).reasons == ("no_interval",)


def test_a_threshold_of_zero_is_refused() -> None:
    with pytest.raises(UsageError, match="smallest change"):
        words(-1, 1, 0)


def test_secondary_measures_are_a_family_of_their_own_by_reform() -> None:
    measures = ["gross", "excess", "meeting", "document"]
    effects = pd.DataFrame(
        {
            "reform": ["a"] * 4 + ["b"] * 4,
            "family": ["wide"] * 8,
            "measure": measures * 2,
            "p_value": [0.04, 0.01, 0.02, 0.03, 0.5, 0.04, math.nan, 0.01],
        }
    )
    found = adjust_measures(effects, {"a": "gross", "b": "gross"})
    assert found["is_primary"].tolist() == [True, False, False, False] * 2
    assert found["p_adjusted"].tolist()[:4] == pytest.approx([0.04, 0.03, 0.04, 0.04])
    assert found["p_adjusted"].dropna().tolist()[4:] == pytest.approx([0.5, 0.04, 0.02])
    narrow = effects.assign(family=["wide", "wide", "targeted", "targeted"] * 2)
    apart = adjust_measures(narrow, {"a": "gross", "b": "gross"})["p_adjusted"]
    assert apart.tolist()[:4] == pytest.approx([0.04, 0.01, 0.04, 0.04])
    step_up = adjust_measures(effects, {"a": "gross", "b": "gross"}, method="benjamini_hochberg")
    assert step_up["p_adjusted"].tolist()[1:4] == pytest.approx([0.03, 0.03, 0.03])
    assert multipletests([0.01, 0.02, 0.03], method="holm")[1] == pytest.approx(found["p_adjusted"][1:4])
