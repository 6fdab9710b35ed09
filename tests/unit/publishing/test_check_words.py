"""Every check has its sentence in both languages, with the same numbers, and without those that are not known."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest
from sample_results import protected
from sample_study import write_combined_study

from analysis_lib.disclosure.protect import protect
from analysis_lib.effects.results import CheckResult, EffectResult, checks_table
from analysis_lib.errors import PublicationBlocked
from analysis_lib.publishing.catalogue import Catalogue
from analysis_lib.publishing.check_words import CHECKS, FOUND, check_lines
from analysis_lib.publishing.sentences import Writer

OUTCOMES = ("holds", "fails", "cannot_tell")
WAYS = {"planned": -2.44, "tried": 30.0, "same_sign": 29.0, "beyond_zero": 28.0}
FACTS = {
    "pretrends": {"p_value": 0.034, "periods": 5.0, "slope_half": 0.13, "slope_most": 0.21, "bias_half": 0.31,
                  "bias_most": 0.44},
    "placebo_time": {"periods": 1.0},
    "placebo_activity": {},
    "leave_one_out": WAYS,
    "anticipation": WAYS | {"tried": 2.0, "same_sign": 2.0, "beyond_zero": 2.0},
    "dates": WAYS | {"tried": 1.0, "same_sign": 1.0, "beyond_zero": 1.0},
    "other_reforms": WAYS | {"tried": 1.0, "same_sign": 1.0, "beyond_zero": 1.0},
    "attrition": {"spread": 4.18, "response_effect": -0.021, "response_ci_low": -0.052, "response_ci_high": 0.011},
    "sensitivity": {"half_low": -3.1, "half_high": -0.4, "equal_low": -4.61, "equal_high": 0.72, "line_low": -3.3,
                    "line_high": 0.1},
    "specifications": {"tried": 64.0, "same_sign": 61.0, "beyond_zero": 59.0, "p_value": 0.012},
}  # fmt: skip
UNITS = {"sensitivity": "index", "specifications": "share"}
NOT_SAID = re.compile(r"nan|\binf\b|[{}*]|significan|hack|fish|显著", re.IGNORECASE)
OF_EFFECTS = re.compile(r"effect|caus|效果|成果|所致|作用", re.IGNORECASE)
NUMBER = re.compile(r"[+−]?\d+(?:\.\d+)?%?")
EFFECT = EffectResult(
    "one-form", "gross_combined", "hours_week", "treated", "imputation", "not_yet", "cohort", "local_start",
    "2023Q4–2026Q3", math.nan, math.nan, math.nan, math.nan, math.nan, math.nan, 12, 18, 812, 48,
)  # fmt: skip


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write_combined_study(tmp_path_factory.mktemp("study") / "s")


def tried(key, outcome="holds", *, estimate=-2.13, ci_low=-3.58, ci_high=-0.51, **facts):
    if key in UNITS:
        estimate, ci_low, ci_high = 0.95, math.nan, math.nan
    return CheckResult(key, outcome, estimate, ci_low, ci_high, UNITS.get(key, "hours_week"), FACTS[key] | facts)


def lines(study, language, *checks, effect=EFFECT, units=None):
    frame = checks_table([replace(effect, checks=checks)])
    for name, unit in (units or {}).items():
        frame.loc[frame["category"].str.endswith(f".{name}"), "unit"] = unit
    table = protect(frame, "reform_checks", study=study)
    return check_lines(table, "one-form", "gross_combined", writer=Writer(study, language))


def sentence(study, language, check, **how):
    return lines(study, language, check, **how)[0].sentence


@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize("key", CHECKS)
def test_every_outcome_of_every_check_has_its_sentence_with_the_same_numbers_in_both_languages(study, key, outcome):
    units = dict.fromkeys(["response_effect", "response_ci_low", "response_ci_high"], "share")
    units |= dict.fromkeys(["equal_low", "equal_high"], "hours_week")
    said = {language: sentence(study, language, tried(key, outcome), units=units) for language in ("zh", "en")}
    assert not any(NOT_SAID.search(each) for each in said.values())
    assert said["zh"].endswith("。")
    assert said["en"].endswith(".")
    numbers = {language: sorted(NUMBER.findall(each)) for language, each in said.items()}
    assert numbers["zh"] == numbers["en"]
    assert len(numbers["en"]) >= 2 - (key == "sensitivity")
    if outcome == "fails":
        assert not any(OF_EFFECTS.search(each) for each in said.values())


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("key", CHECKS)
def test_each_outcome_is_worded_otherwise(study, key, language):
    assert len({sentence(study, language, tried(key, outcome)) for outcome in OUTCOMES}) == len(OUTCOMES)


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("key", CHECKS)
def test_what_is_not_known_is_left_out_and_the_meaning_stays(study, key, language):
    text = Catalogue(language)
    for outcome in OUTCOMES:
        meaning = text(f"check_says.{key}_{outcome}")
        for missing in FACTS[key]:
            said = sentence(study, language, tried(key, outcome, **{missing: math.nan}))
            assert not NOT_SAID.search(said)
            assert said.startswith(text(f"check_says.{key}"))
            assert said.endswith(meaning)
        none = CheckResult(key, outcome, math.nan, unit=UNITS.get(key, "hours_week"))
        said = sentence(study, language, none)
        assert NUMBER.findall(said) == []
        assert said.endswith(text("check_says.untried") if outcome == "cannot_tell" else meaning)


def test_an_earlier_parting_is_told_by_what_the_check_would_have_seen(study):
    assert sentence(study, "en", tried("pretrends")) == (
        "Regions with and without the reform are compared as they moved before the start. "
        "The smallest straight drift that would probably have been seen is 0.2 hours a week each quarter; "
        "going on, it would shift the estimate by 0.4 hours a week, less than what matters. "
        "No drift was found: regions without the reform may serve as the comparison."
    )
    assert sentence(study, "zh", tried("pretrends", "fails")) == (
        "比较实施地区与未实施地区在实施前的走势。"
        "按直线计，每季度偏离−2.1小时（95%区间−3.6至−0.5）；假如走势本来一致，出现这样大差别的概率为3%。"
        "实施前走势已不一致，实施后的差别不能据此归于改革。"
    )
    assert "With only 1 quarter to compare" in sentence(study, "en", tried("pretrends", "cannot_tell", periods=1.0))


def test_what_is_rounded_to_nothing_is_less_than_the_smallest_number_printed(study):
    small = tried("pretrends", slope_most=0.04, bias_most=0.02)
    assert "is less than 0.1 hours a week each quarter" in sentence(study, "en", small)
    assert "偏移不到0.1小时" in sentence(study, "zh", small)
    rare = tried("pretrends", "fails", p_value=0.0004)
    assert "turn up less than 1% of the time" in sentence(study, "en", rare)
    assert "概率不到1%" in sentence(study, "zh", rare)


def test_ways_that_agree_on_nothing_to_be_told_from_zero_do_not_read_like_a_finding(study):
    for key in ("leave_one_out", "anticipation", "dates", "other_reforms", "specifications"):
        found, nothing = (sentence(study, "en", tried(key, beyond_zero=count)) for count in (WAYS["tried"] * 3, 0.0))
        assert "not told apart from zero" in nothing or "hardly any way" in nothing
        assert "the same" in found


def test_those_who_did_not_answer_lie_on_a_side(study):
    units = dict.fromkeys(["response_effect", "response_ci_low", "response_ci_high"], "share")
    assert "lie lower by 2.1 hours a week" in sentence(study, "en", tried("attrition"))
    assert "高2.1小时" in sentence(study, "zh", tried("attrition", estimate=2.13))
    assert "moved by −2 percentage points (95% interval −5 to 1)" in sentence(
        study, "en", tried("attrition"), units=units
    )


def test_a_fact_in_a_unit_that_is_not_its_own_is_not_printed(study):
    units = dict.fromkeys(["response_effect", "response_ci_low", "response_ci_high"], "hours_week")
    assert "response moved" not in sentence(study, "en", tried("attrition"), units=units)
    units = dict.fromkeys(["equal_low", "equal_high"], "score")
    assert "gives an interval" not in sentence(study, "en", tried("sensitivity"), units=units)
    units = dict.fromkeys(["equal_low", "equal_high"], "hours_week")
    assert "gives an interval of −4.6 to 0.7" in sentence(study, "en", tried("sensitivity"), units=units)


def test_too_few_regions_for_an_interval_says_so(study):
    alone = tried("placebo_activity", "cannot_tell", ci_low=math.nan, ci_high=math.nan)
    assert "（95%区间因地区太少无法给出）" in sentence(study, "zh", alone)
    assert "(95% interval not to be had from so few regions)" in sentence(study, "en", alone)


def test_an_estimate_told_from_zero_by_hardly_anything_gives_no_multiple(study):
    said = sentence(study, "en", replace(tried("sensitivity", "cannot_tell"), estimate=0.0))
    assert "times the largest step" not in said


def test_checks_of_this_reform_and_measure_come_in_their_order_with_title_and_word(study):
    other = replace(EFFECT, reform="fewer-shorter", checks=(tried("dates", "fails"),))
    more = replace(EFFECT, measure="group_form", checks=(tried("attrition", "fails"),))
    mine = replace(EFFECT, checks=tuple(tried(key) for key in reversed(CHECKS)))
    table = protect(checks_table([other, more, mine]), "reform_checks", study=study)
    found = check_lines(table, "one-form", "gross_combined", writer=Writer(study, "zh"))
    assert [line.key for line in found] == list(CHECKS)
    assert {line.outcome for line in found} == {"成立"}
    assert found[0].title == "改革前的走势"
    assert check_lines(table, "one-form", "group_form", writer=Writer(study, "en"))[0].outcome == "fails"
    empty = protected(study, "reform_checks", [])
    assert check_lines(empty, "one-form", "gross_combined", writer=Writer(study, "en")) == []


def test_a_withheld_check_shows_no_number_and_not_what_it_came_to(study):
    few = replace(EFFECT, n=7)
    line = lines(study, "en", tried("leave_one_out", "fails"), effect=few)[0]
    assert line.outcome == "[c]"
    assert line.sentence == "Each region is left out in turn. What came of it is withheld to protect respondents."


def test_a_check_without_words_stops_the_build(study):
    unknown = CheckResult("moonlight", "fails", 1.0, 0.5, 1.5)
    with pytest.raises(PublicationBlocked, match="moonlight"):
        lines(study, "en", unknown)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_text_is_used_and_every_fact_has_a_title(language):
    texts = Catalogue(language).texts
    said = {name.format(case=case) for names in FOUND.values() for name in names for case in OUTCOMES}
    said |= {f"{key}_{case}" for key in CHECKS for case in OUTCOMES} | set(CHECKS)
    said |= {f"{key}_holds_none" for key, facts in FACTS.items() if "beyond_zero" in facts}
    said |= {"between", "withheld", "untried", "no_interval", "below", "chance", "chance_below", "quarter", "quarters", "higher",
             "lower"}  # fmt: skip
    assert {key for key in texts if key.startswith("check_says.")} == {f"check_says.{key}" for key in said}
    named = {*CHECKS, *(fact for facts in FACTS.values() for fact in facts)}
    assert {f"check.{key}" for key in named} == {key for key in texts if key.startswith("check.")}
