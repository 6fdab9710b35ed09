"""The numbers that differ between two releases: which, how surprising each is, and in whose words."""

from __future__ import annotations

import csv
import json
import math
import sys

import pytest
from sample_results import protected, row
from sample_study import write_combined_study

from analysis_lib import cli
from analysis_lib.publishing.changed_numbers import cells_of, changes_between, in_words, rank_changes
from analysis_lib.publishing.releases import build_release
from analysis_lib.quarters import Quarter

QUARTER = Quarter(2026, 3)
UNIT = "03-hours-lost"


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write_combined_study(tmp_path_factory.mktemp("study") / "s")


def results(study, *, gross=16.0, service=10.0, share=0.34, more=()):
    rows = [
        row("gross_combined", "hours_week", "mean", gross, 0.3),
        row("service", "hours_week", "mean", service, 0.4),
        row("gross_share_combined", "share", "ratio", share, 0.001),
        *more,
    ]
    return {UNIT: {"hours": protected(study, "hours", rows)}}


def measures(changes):
    return [json.loads(each["key"])["measure"] for each in changes]


def test_the_most_surprising_change_comes_first_whatever_its_unit(study):
    # Two hundredths of a share known to a thousandth surprise more than an hour known to a third of one.
    changes = changes_between(results(study), results(study, gross=17.0, share=0.32), level=0.95)
    assert measures(changes) == ["gross_share_combined", "gross_combined"]
    first, second = changes
    assert first["standard_errors"] > second["standard_errors"] > 0
    assert second["change"] == pytest.approx(1.0)
    # Of an interval printed as 16.0 ± 0.6 half the width over 1.96 is known; the difference of two has √2 of that.
    assert second["se"] == pytest.approx(math.sqrt(2) * 0.6 / 1.96, abs=0.08)


def test_the_same_release_has_no_changes(study):
    assert changes_between(results(study), results(study), level=0.95) == []


def test_what_stands_in_one_release_only_comes_last(study):
    new = [row("work_time_combined", "hours_week", "mean", 49.0, 0.5)]
    for before, after, missing in [
        (results(study), results(study, service=12.0, more=new), "before"),
        (results(study, service=12.0, more=new), results(study), "after"),
    ]:
        changes = changes_between(before, after, level=0.95)
        assert measures(changes) == ["service", "work_time_combined"]
        assert changes[1][missing] is None
        assert changes[1]["standard_errors"] is None


def test_a_number_that_is_withheld_now_is_a_change_and_one_that_stays_so_is_none(study):
    open_, few = row("service", "hours_week", "mean", 9.0, 0.4, by="tier", category="county"), {"n": 3, "n_psu": 1}
    shown, hidden = (results(study, more=[open_ | each]) for each in ({}, few))
    (change,) = changes_between(shown, hidden, level=0.95)
    assert (change["before"], change["after"], change["mark_after"]) == (9.0, None, "c")
    assert changes_between(hidden, hidden, level=0.95) == []


def test_a_key_that_stands_twice_is_compared_in_its_order():
    cell = {"unit": "u", "table": "t", "key": "{}", "se": 0.1, "mark": ""}
    before, after = ([cell | {"estimate": value} for value in values] for values in ([1.0, 5.0], [1.0, 5.5]))
    (change,) = rank_changes(before, after).to_dict("records")
    assert (change["before"], change["after"]) == (5.0, 5.5)


def test_cells_hold_what_was_printed_and_no_standard_error_of_the_sample(study):
    first = cells_of(results(study), level=0.95)[0]
    assert (first["unit"], first["table"], first["estimate"], first["df"]) == (UNIT, "hours", 16.0, None)
    assert first["se"] == pytest.approx((first["ci_high"] - first["ci_low"]) / (2 * 1.959964), rel=1e-6)


@pytest.mark.parametrize(
    ("language", "head", "title"), [("en", "Number", "Example Province A"), ("zh", "数字", "示例省甲")]
)
def test_words_name_the_number_in_the_language_asked_for(study, language, head, title):
    place = [row("gross_combined", "hours_week", "mean", 15.0, 0.4, region="P01")]
    gone = changes_between(results(study, more=place), results(study, gross=17.0), level=0.95)
    told = in_words(gone, study=study, language=language)
    assert [list(each) for each in told] == [list(told[0])] * 2
    assert next(iter(told[0])) == head
    assert list(told[0].values())[1:3] == ["16.0", "17.0"]
    assert title in told[1][head]
    assert list(told[1].values())[1:] == ["15.0", "–", "–"]


def test_the_command_prints_rows_for_eyes_for_a_machine_and_for_a_spreadsheet(study, capsys, monkeypatch):
    build_release(study, QUARTER, results(study))
    build_release(study, QUARTER, results(study, gross=17.0), published=1)

    def diff(*options):
        monkeypatch.setattr(
            sys, "argv", ["jianfu", "diff", "2026Q3/r1", "2026Q3/r2", "--study", str(study.root), *options]
        )
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        out, err = capsys.readouterr()
        assert not stopped.value.code, err
        assert "1 numbers changed" in err
        return out

    (found,) = json.loads(diff("--json"))
    assert (found["before"], found["after"], found["table"]) == (16.0, 17.0, "hours")
    assert "16.0\t17.0" in diff("--lang", "zh")
    (line,) = csv.DictReader(diff("--csv").splitlines())
    assert float(line["change"]) == pytest.approx(1.0)
