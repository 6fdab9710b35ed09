import itertools
import math

import pandas as pd
import pytest

from analysis_lib.monitoring.adjusting import (
    CRITERIA,
    LATE,
    MOVED,
    WAYS_TO_MOVE,
    decide,
    read_fall,
    read_return,
    read_share,
    readings_of,
)
from analysis_lib.monitoring.displacement import BY_MOVED, UNDEFINED
from analysis_lib.monitoring.following import Following
from analysis_lib.reforms import DecisionRule, read_reforms
from analysis_lib.study import Study

RULE = DecisionRule()  # pyright: ignore[reportCallIssue]
ANSWERS = ("yes", "no", "cannot_tell", "not_asked")
EVERY = [
    dict(zip(CRITERIA, said, strict=True))
    for said in itertools.product((*ANSWERS, "rose"), *[ANSWERS] * (len(CRITERIA) - 1))
]
BEFORE, AFTER = RULE.stop_if_no_cut_after - 1, RULE.stop_if_no_cut_after
NONE = math.nan
WELL = {"returned": "yes", "unkept": "no", "moved": "no", "relapsed": "no", "service": "no"}


@pytest.fixture(scope="module")
def demonstration(repository) -> Study:
    return Study.open(repository / "data")


def recommended(answers: dict, looks: int = AFTER) -> str:
    return decide(answers, looks=looks, rule=RULE).recommendation


@pytest.mark.parametrize(
    ("changed", "looks", "expected"),
    [
        ({}, BEFORE, "keep"),
        ({"service": "yes"}, BEFORE, "redesign"),
        ({"moved": "yes"}, BEFORE, "redesign"),
        ({"relapsed": "yes"}, BEFORE, "redesign"),
        ({"relapsed": "yes", "unkept": "yes"}, BEFORE, "intensify"),
        ({"relapsed": "yes", "unkept": "cannot_tell"}, BEFORE, "intensify"),
        ({"unkept": "yes"}, BEFORE, "intensify"),
        ({"returned": "no", "unkept": "yes"}, AFTER, "intensify"),
        ({"returned": "no", "unkept": "yes", "moved": "cannot_tell"}, AFTER, "cannot_tell"),
        ({"returned": "no", "unkept": "yes", "moved": "not_asked"}, BEFORE, "cannot_tell"),
        ({"returned": "rose", "unkept": "yes"}, AFTER, "stop"),
        ({"returned": "rose", "unkept": "yes"}, BEFORE, "redesign"),
        ({"returned": "rose", "unkept": "cannot_tell"}, BEFORE, "redesign"),
        ({"returned": "no"}, AFTER, "stop"),
        ({"returned": "no"}, BEFORE, "redesign"),
        ({"returned": "no", "unkept": "cannot_tell"}, BEFORE, "cannot_tell"),
        ({"returned": "no", "unkept": "not_asked"}, AFTER, "stop"),
        ({"returned": "cannot_tell"}, AFTER, "cannot_tell"),
        ({"returned": "not_asked"}, AFTER, "cannot_tell"),
    ],
)
def test_each_line_of_the_decision_table(changed, looks, expected):
    assert recommended(WELL | changed, looks) == expected


def test_every_recommendation_is_reached_and_each_has_a_reason():
    found = [decide(answers, looks=looks, rule=RULE) for answers in EVERY for looks in (BEFORE, AFTER)]
    assert {each.recommendation for each in found} == {"keep", "intensify", "redesign", "stop", "cannot_tell"}
    assert all(each.reasons for each in found)


def test_hours_that_cannot_be_told_are_never_kept_intensified_or_stopped_by_themselves():
    for answers in EVERY:
        if answers["returned"] not in ("yes", "no", "rose") and "yes" not in (
            answers["service"], answers["moved"], answers["relapsed"],
        ):  # fmt: skip
            assert recommended(answers) == recommended(answers, BEFORE) == "cannot_tell"


def test_worse_news_never_keeps_what_was_not_kept_before():
    for answers in EVERY:
        for name in ("service", "moved", "relapsed", "unkept"):
            if answers[name] != "yes" and recommended(answers) != "keep":
                assert recommended(answers | {name: "yes"}) != "keep"


def test_more_hours_returned_never_stop_a_reform():
    for answers in EVERY:
        if answers["returned"] != "yes":
            assert recommended(answers | {"returned": "yes"}) != "stop"
            if recommended(answers) in ("keep", "intensify"):
                assert recommended(answers | {"returned": "yes"}) in ("keep", "intensify")


def test_what_takes_hours_is_neither_kept_nor_intensified_for_its_hours():
    for answers in EVERY:
        if answers["returned"] == "rose" and answers["relapsed"] != "yes":
            assert recommended(answers) not in ("keep", "intensify")
            assert recommended(answers, BEFORE) not in ("keep", "intensify")


def test_waiting_longer_changes_nothing_but_towards_stop():
    for answers in EVERY:
        early, late = recommended(answers, BEFORE), recommended(answers, AFTER)
        assert late in (early, "stop")


def test_what_could_not_be_told_and_a_late_rule_are_said_beside_it():
    found = decide(WELL | {"moved": "cannot_tell"}, looks=1, rule=RULE, is_late=True)
    assert (found.recommendation, found.reasons) == ("keep", ("returned.yes",))
    assert found.reservations == ("moved.cannot_tell", LATE)
    found = decide(WELL | {"returned": "cannot_tell", "unkept": "yes"}, looks=1, rule=RULE)
    assert found.reservations == ("unkept.yes",)


def test_a_relapse_with_nothing_to_compare_decides_nothing_and_is_said_beside():
    for returned in ("yes", "no", "not_asked"):
        answers = WELL | {"relapsed": "since", "returned": returned}
        assert recommended(answers) == recommended(answers | {"relapsed": "cannot_tell"})
    assert "relapsed.since" in decide(WELL | {"relapsed": "since"}, looks=1, rule=RULE).reservations


def test_a_reform_is_not_tried_yet_only_where_its_hours_went_nowhere_else():
    for answers in EVERY:
        found = decide(answers, looks=AFTER, rule=RULE)
        if found.recommendation == "intensify" and answers["returned"] == "no" and answers["relapsed"] != "yes":
            assert found.reasons == ("returned.no", "unkept.yes", "moved.no")


@pytest.mark.parametrize(
    ("index", "undefined", "ways", "answer"),
    [
        ((NONE, NONE), True, ["no", "no", "no"], "no"),
        ((NONE, NONE), True, ["no", "cannot_tell", "no"], "cannot_tell"),
        ((NONE, NONE), True, [], "cannot_tell"),
        ((NONE, NONE), True, ["no", "yes"], "yes"),
        ((-0.3, 0.9), False, ["no", "no", "no"], "cannot_tell"),
        ((-0.3, 0.4), False, ["cannot_tell"], "no"),
    ],
)
def test_where_no_cut_is_told_hours_moved_nowhere_when_every_way_is_ruled_out(
    demonstration, index, undefined, ways, answer
):
    reform = read_reforms(demonstration)[0]
    numbers = {"estimate": sum(index) / 2, "ci_low": index[0], "ci_high": index[1]}
    rows = [{"category": f"{reform.id}.disguised", "outcome": UNDEFINED if undefined else "", **numbers}]
    rows += [{"category": f"{reform.id}.{way}", "outcome": said} for way, said in zip(WAYS_TO_MOVE, ways, strict=False)]
    blank = pd.DataFrame(columns=["by", "measure", "category", "region", "estimate"]).astype({"category": "str"})
    found = Following(blank, blank, pd.DataFrame(rows).assign(by=BY_MOVED), blank, {})
    assert readings_of(reform, found, blank, demonstration)[MOVED].answer == answer


def test_a_wide_interval_cannot_tell():
    assert read_fall(-2.0, -5.0, 1.0, by=0.5) == "cannot_tell"
    assert read_share(0.6, -0.2, 1.4, above=0.5) == "cannot_tell"
    assert read_share(float("nan"), float("nan"), float("nan"), above=0.5) == "cannot_tell"
    assert read_fall(float("nan"), float("nan"), float("nan"), by=0.5) == "cannot_tell"


def test_a_narrow_interval_tells():
    assert read_fall(-1.0, -1.5, -0.5, by=0.5) == "yes"
    assert read_fall(-0.3, -0.45, -0.15, by=0.5) == "no"
    assert read_return(-1.0, -1.5, -0.5, by=0.5) == "yes"
    assert read_return(0.4, 0.1, 0.7, by=0.5) == "rose"
    assert read_share(0.7, 0.4, 1.0, above=0.5) == "yes"
    assert read_share(0.1, -0.2, 0.4, above=0.5) == "no"
