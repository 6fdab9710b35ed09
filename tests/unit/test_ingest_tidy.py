"""From raw drops to tidy tables: which row stands, which leaves, and that each that leaves is listed."""

from __future__ import annotations

from pathlib import Path

import pytest
from ingest_study import ANSWERS, DIARY, SAMPLE, ingest, listed, make_store, receive

from analysis_lib.errors import InputRejected
from analysis_lib.ingest.checks import count_problems
from analysis_lib.tables.contracts import CONTRACTS
from analysis_lib.tables.store import Store

LIST = "id,region,tier,weight,diary\nE1,P01,county,10,1\nE2,P02,village,12.5,0\n"
HEADER = "id,name,submitted,hours,meetings\n"
DAY = "id,date,start,end,activity,value\n"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return make_store(tmp_path, SAMPLE, ANSWERS, DIARY)


def answers(store: Store, *lines: str, **how: str) -> None:
    receive(store, "answers", {"questionnaire": HEADER + "".join(line + "\n" for line in lines)}, **how)


def diary(store: Store, *lines: str, **how: str) -> None:
    receive(store, "diary", {"episodes": DAY + "".join(line + "\n" for line in lines)}, **{"slug": "diary"} | how)


def test_a_quarter_without_drops_gives_empty_tables_that_keep_their_contracts(store: Store) -> None:
    tidy = ingest(store)
    assert {name: len(table) for name, table in tidy.items()} == dict.fromkeys(tidy, 0)
    for name, table in tidy.items():
        assert set(CONTRACTS[name].schema.columns) <= set(table.columns)


def test_every_table_keeps_its_contract_with_all_kinds_of_drops(store: Store) -> None:
    receive(store, "list", {"sample": LIST}, slug="list", received="2026-01-02")
    answers(store, "E1,x,2026-02-01 10:00,40,3")
    diary(store, "E1,2026-02-01,00:00,24:00,M1,2")
    for name, table in ingest(store).items():
        CONTRACTS[name].schema.validate(table)


def test_sample_attributes_join_respondents_and_overrule_their_own(store: Store) -> None:
    receive(store, "list", {"sample": LIST}, slug="list", received="2026-01-02")
    answers(store, "E2,x,2026-02-01 10:00,40,3")
    respondents = ingest(store)["respondents"]
    columns = ["respondent_id", "region", "tier", "base_weight", "has_diary_task", "work_hours"]
    assert respondents[columns].to_numpy().tolist() == [["E2", "P02", "village", 12.5, False, 40]]


def test_who_is_not_in_the_sample_list_is_rejected_with_answers_and_diary(store: Store) -> None:
    receive(store, "list", {"sample": LIST}, slug="list", received="2026-01-02")
    answers(store, "E1,x,2026-02-01 10:00,40,3", "E9,x,2026-02-01 10:00,40,3")
    diary(store, "E1,2026-02-01,00:00,24:00,M1,2", "E9,2026-02-01,00:00,12:00,M1,2", "E9,2026-02-01,12:00,24:00,M1,2")
    tidy = ingest(store)
    assert tidy["respondents"]["respondent_id"].tolist() == ["E1"]
    assert tidy["episodes"]["respondent_id"].tolist() == ["E1"]
    assert listed(tidy["problems"], "file", "row", "rule", "action")[:2] == [
        ("episodes.csv", 0, "I46", "fixed"),
        ("episodes.csv", 3, "unknown_respondent", "day_rejected"),
    ]
    assert ("questionnaire.csv", 3, "unknown_respondent", "row_rejected") in listed(
        tidy["problems"], "file", "row", "rule", "action"
    )


def test_an_unknown_region_in_the_sample_list_rejects_the_row(store: Store) -> None:
    receive(store, "list", {"sample": LIST.replace("P02", "P20")}, slug="list")
    tidy = ingest(store)
    assert tidy["sample"]["respondent_id"].tolist() == ["E1"]
    assert listed(tidy["problems"], "row", "column", "rule", "action") == [(3, "region", "I60", "row_rejected")]


def test_of_two_answers_in_a_drop_the_last_submitted_stands(store: Store) -> None:
    answers(store, "E1,x,2026-02-02 10:00,50,3", "E1,x,2026-02-01 10:00,40,3", "E1,x,2026-02-02 10:00,50,3")
    tidy = ingest(store)
    assert tidy["respondents"]["work_hours"].tolist() == [50]
    assert listed(tidy["problems"], "row", "rule", "action") == [
        (2, "duplicate", "superseded"),
        (3, "I58", "superseded"),
    ]


def test_a_drop_received_later_wins_even_with_an_earlier_submission(store: Store) -> None:
    answers(store, "E1,x,2026-02-09 10:00,40,3", "E2,x,2026-02-09 10:00,41,3")
    answers(store, "E1,x,2026-02-01 10:00,55,3", slug="corrected", received="2026-05-01")
    tidy = ingest(store)
    assert tidy["respondents"][["respondent_id", "work_hours", "received"]].to_numpy().tolist() == [
        ["E1", 55, "2026-05-01"],
        ["E2", 41, "2026-04-05"],
    ]
    assert listed(tidy["problems"], "drop", "row", "rule", "action") == [
        ("2026Q1/2026-04-05/first", 2, "F14", "superseded")
    ]


def test_a_past_quarter_can_be_read_as_it_was_known_then(store: Store) -> None:
    import datetime as dt

    answers(store, "E1,x,2026-02-09 10:00,40,3")
    answers(store, "E1,x,2026-02-01 10:00,55,3", slug="corrected", received="2026-05-01")
    assert ingest(store.as_of(dt.date(2026, 4, 30)))["respondents"]["work_hours"].tolist() == [40]


def test_an_instrument_may_refuse_to_choose_between_two_answers(tmp_path: Path) -> None:
    store = make_store(tmp_path, ANSWERS.replace("[missing]", 'duplicates = "reject"\n[missing]'))
    answers(store, "E1,x,2026-02-02 10:00,50,3", "E1,x,2026-02-01 10:00,40,3", "E2,x,2026-02-01 10:00,40,3")
    tidy = ingest(store)
    assert tidy["respondents"]["respondent_id"].tolist() == ["E2"]
    assert listed(tidy["problems"], "row", "rule", "action") == [(2, "I58", "row_rejected"), (3, "I58", "row_rejected")]


def test_missing_answers_are_counted_once_per_column_and_reason(store: Store) -> None:
    answers(store, "E1,x,2026-02-02 10:00,-99,", "E2,x,2026-02-02 10:00,-99,2", "E3,x,2026-02-02 10:00,９,")
    tidy = ingest(store)
    assert tidy["respondents"]["work_hours"].isna().tolist() == [True, True, False]
    assert tidy["problems"][["row", "column", "rule", "action", "message"]].to_numpy().tolist() == [
        [0, "hours", "I22", "fixed", "1 cell(s): full-width characters made plain"],
        [0, "hours", "missing:refused", "warned", "2 cell(s): no answer"],
        [0, "meetings", "missing:not_answered", "warned", "2 cell(s): no answer"],
    ]


def test_counts_have_a_row_per_item_answered_zeros_included(store: Store) -> None:
    answers(store, "E1,x,2026-02-02 10:00,40,0", "E2,x,2026-02-02 10:00,40,")
    counts = ingest(store)["counts"]
    assert counts[["respondent_id", "item", "count"]].to_numpy().tolist() == [["E1", "meetings_attended", 0]]


def test_a_rejected_value_is_listed_by_row_and_never_repeated(store: Store) -> None:
    answers(store, "E1,x,2026-02-02 10:00,40,3", "E2,x,2026-02-02 10:00,张三,99")
    problems = ingest(store)["problems"]
    assert listed(problems, "row", "column", "rule", "action") == [
        (3, "hours", "I24", "value_rejected"),
        (3, "meetings", "range", "value_rejected"),
    ]
    assert "张三" not in problems.to_csv()


def test_parts_above_their_whole_are_warned_about_or_rejected_as_the_rule_says(tmp_path: Path) -> None:
    rule = '\n[[rule]]\nkind = "sum_at_most"\nparts = ["meetings_attended"]\nwhole = "work_hours"\naction = "{}"\n'
    for action, kept in (("warned", 1), ("value_rejected", 0)):
        store = make_store(tmp_path / action, ANSWERS + rule.format(action))
        answers(store, "E1,x,2026-02-02 10:00,3,4", "E2,x,2026-02-02 10:00,,4")
        tidy = ingest(store)
        assert len(tidy["counts"]) == 1 + kept
        assert listed(tidy["problems"], "row", "rule", "action") == [(2, "parts_exceed_whole", action)]


def test_an_overlap_rejects_the_day_and_no_other(store: Store) -> None:
    diary(
        store,
        "E1,2026-02-01,00:00,09:00,P0,",
        "E1,2026-02-01,08:50,12:00,M1,2",
        "E1,2026-02-02,00:00,09:00,P0,",
        "E2,2026-02-01,08:00,09:00,P0,",
    )
    tidy = ingest(store)
    assert tidy["episodes"][["respondent_id", "diary_date"]].to_numpy().tolist() == [
        ["E1", "2026-02-02"],
        ["E2", "2026-02-01"],
    ]
    assert listed(tidy["problems"], "row", "column", "rule", "action") == [(3, "start", "I51", "day_rejected")]


def test_an_episode_inside_a_longer_one_is_an_overlap_even_when_neighbours_touch(store: Store) -> None:
    diary(
        store,
        "E1,2026-02-01,08:00,12:00,P0,",
        "E1,2026-02-01,09:00,10:00,M1,2",
        "E1,2026-02-01,11:00,11:30,M1,2",
    )
    tidy = ingest(store)
    assert tidy["episodes"].empty
    assert [row for (row,) in listed(tidy["problems"], "row")] == [3, 4]


def test_gaps_stay_and_the_same_episode_twice_counts_once(store: Store) -> None:
    diary(
        store,
        "E1,2026-02-01,08:00,09:00,P0,",
        "E1,2026-02-01,10:00,11:00,M1,2",
        "E1,2026-02-01,10:00,11:00,M1,2",
    )
    tidy = ingest(store)
    assert tidy["episodes"]["start_minute"].tolist() == [480, 600]
    assert listed(tidy["problems"], "row", "rule", "action") == [(4, "duplicate", "superseded")]


def test_an_episode_over_midnight_is_cut_there_and_one_without_length_leaves(store: Store) -> None:
    diary(store, "E1,2026-02-01,22:30,06:00,P0,", "E1,2026-02-01,10:00,10:00,M1,2")
    tidy = ingest(store)
    assert tidy["episodes"][["start_minute", "end_minute"]].to_numpy().tolist() == [[1350, 1440]]
    assert listed(tidy["problems"], "row", "rule", "action") == [(0, "midnight", "fixed"), (3, "I55", "row_rejected")]


@pytest.mark.parametrize(
    ("date", "stays"), [("2025-12-31", 0), ("2026-01-01", 1), ("2026-03-31", 1), ("2026-04-01", 0)]
)
def test_a_diary_belongs_to_the_quarter_of_its_own_date(store: Store, date: str, stays: int) -> None:
    diary(store, f"E1,{date},00:00,12:00,M1,2")
    tidy = ingest(store)
    assert len(tidy["episodes"]) == stays
    if not stays:
        assert listed(tidy["problems"], "row", "column", "rule", "action") == [(2, "date", "F16", "row_rejected")]


def test_a_diary_day_sent_again_comes_whole_from_the_later_drop(store: Store) -> None:
    diary(store, "E1,2026-02-01,00:00,12:00,P0,", "E1,2026-02-01,12:00,24:00,M1,2", "E1,2026-02-02,00:00,12:00,P0,")
    diary(store, "E1,2026-02-01,00:00,10:00,S1,2", slug="late", received="2026-05-01")
    tidy = ingest(store)
    assert tidy["episodes"][["diary_date", "activity", "drop"]].to_numpy().tolist() == [
        ["2026-02-01", "S1", "2026Q1/2026-05-01/late"],
        ["2026-02-02", "P0", "2026Q1/2026-04-05/diary"],
    ]
    assert ("2026Q1/2026-04-05/diary", 2, "F14", "superseded") in listed(
        tidy["problems"], "drop", "row", "rule", "action"
    )


def test_rows_in_another_order_give_the_same_tables(tmp_path: Path) -> None:
    lines = ["E1,2026-02-01,00:00,12:00,P0,", "E1,2026-02-01,12:00,24:00,M1,2", "E2,2026-02-02,00:00,12:00,P0,"]
    tables = []
    for name, order in (("forth", lines), ("back", lines[::-1])):
        store = make_store(tmp_path / name, DIARY)
        diary(store, *order)
        tables.append(ingest(store)["episodes"])
    assert tables[0].equals(tables[1])


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["1.10101E+17,x,2026-02-02 10:00,40,3"], "I30"),
        (["E1,x,02/03/2026,40,3"], "I42"),
        ([f"E{n},x,2026-02-02 10:00,{60 * n + 1000},3" for n in range(30)], "I26"),
        ([f",x,2026-02-02 10:00,{n},3" for n in range(30)], "not one of 30 rows"),
    ],
    ids=["rounded ids", "ambiguous dates", "minutes for hours", "nothing readable"],
)
def test_a_file_that_is_doubtful_as_a_whole_stops_the_quarter(store: Store, lines: list[str], message: str) -> None:
    answers(store, *lines)
    with pytest.raises(InputRejected, match=message) as caught:
        ingest(store)
    assert "2026Q1/2026-04-05/first" in str(caught.value)
    assert caught.value.exit_code == 3
    assert "jianfu receive NEWFILES --quarter 2026Q1 --instrument answers" in caught.value.fix
    assert "--supersedes 2026Q1/2026-04-05/first" in caught.value.fix


def test_a_file_of_unknown_regions_is_refused_with_the_count_the_first_row_and_the_file_to_edit(store: Store) -> None:
    lines = [f"E{n},R{n:02},county,10,1" for n in range(60)] + [",R99,county,10,1"]
    receive(store, "list", {"sample": "id,region,tier,weight,diary\n" + "\n".join(lines) + "\n"}, slug="list")
    with pytest.raises(InputRejected) as caught:
        ingest(store)
    assert caught.value.what.splitlines()[1:] == [
        "  61 × I60 no region of regions.csv, first at row 2, column region",
        "  1 × missing:not_answered needed and not there, first at row 62, column id",
    ]
    assert caught.value.fix.startswith("edit reference/regions.csv")
    assert "R07" not in str(caught.value)  # reasons, never values


@pytest.mark.parametrize(
    ("day", "activity", "reason", "fix"),
    [
        ("2026-02-01", "X1", "I64 no activity code of activities.csv", "edit reference/activities.csv"),
        ("2025-11-01", "M1", "F16 a diary day outside the quarter", "the drop is of 2026-01-01 to 2026-03-31"),
    ],
)
def test_a_diary_file_in_which_nothing_fits_says_what_to_edit_or_which_quarter(
    store: Store, day: str, activity: str, reason: str, fix: str
) -> None:
    diary(store, *(f"E{n},{day},00:00,24:00,{activity},2" for n in range(30)))
    with pytest.raises(InputRejected) as caught:
        ingest(store)
    assert f"30 × {reason}, first at row 2" in caught.value.what
    assert caught.value.fix.startswith(fix)


def test_a_file_changed_after_it_was_received_is_refused(store: Store) -> None:
    answers(store, "E1,x,2026-02-02 10:00,40,3")
    path = next(store.study.raw.rglob("questionnaire.csv"))
    path.chmod(0o640)
    path.write_text(HEADER + "E1,x,2026-02-02 10:00,41,3\n", encoding="utf-8")
    with pytest.raises(InputRejected, match="differs from its recorded hash"):
        ingest(store)


def test_an_unknown_role_gets_a_suggestion(store: Store) -> None:
    receive(store, "answers", {"questionaire": HEADER + "E1,x,2026-02-02 10:00,40,3\n"})
    with pytest.raises(InputRejected, match='did you mean "questionnaire"'):
        ingest(store)


def test_one_name_with_two_types_in_a_quarter_is_refused(tmp_path: Path) -> None:
    other = ANSWERS.replace('"answers"', '"other"').replace('type = "count"', 'type = "number"')
    store = make_store(tmp_path, ANSWERS, other)
    answers(store, "E1,x,2026-02-02 10:00,40,3")
    receive(store, "other", {"questionnaire": HEADER + "E2,x,2026-02-02 10:00,40,3\n"}, slug="other")
    with pytest.raises(InputRejected, match="give one name one type"):
        ingest(store)


def test_checking_a_quarter_counts_problems_by_file_rule_and_action(store: Store) -> None:
    answers(store, "E1,x,2026-02-02 10:00,400,3", "E2,x,2026-02-02 10:00,300,77")
    counted = count_problems(ingest(store)["problems"])
    assert counted[["file", "rule", "action", "problems", "first_row"]].to_numpy().tolist() == [
        ["questionnaire.csv", "range", "value_rejected", 3, 2]
    ]


def test_weights_far_above_the_others_are_listed(store: Store) -> None:
    lines = "".join(f"E{n},P01,county,10,1\n" for n in range(9))
    receive(store, "list", {"sample": "id,region,tier,weight,diary\n" + lines + "E9,P01,county,600,1\n"})
    tidy = ingest(store)
    assert len(tidy["sample"]) == 10
    assert listed(tidy["problems"], "row", "column", "rule", "action") == [(11, "base_weight", "I61", "warned")]
