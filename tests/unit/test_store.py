"""Raw drops are immutable and have two time axes; rebuilt tables are there whole or not at all."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pandas as pd
import pytest
from ingest_study import ANSWERS, QUARTER, SAMPLE, make_store, receive

from analysis_lib.errors import ContractError, InputRejected, UsageError
from analysis_lib.quarters import Quarter
from analysis_lib.tables.drops import verify_drop
from analysis_lib.tables.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return make_store(tmp_path)


def ids(store: Store) -> list[str]:
    return [drop.id for drop in store.drops(QUARTER)]


def test_a_drop_is_read_back_as_it_was_received(store: Store) -> None:
    drop = receive(store, "answers", {"questionnaire": "a,b\n1,2\n"}, received="2026-04-05", slug="east")
    (found,) = store.drops(QUARTER)
    assert found == drop
    assert (drop.id, drop.quarter, drop.received) == ("2026Q1/2026-04-05/east", QUARTER, dt.date(2026, 4, 5))
    assert [(file.path.name, file.role) for file in drop.files] == [("questionnaire.csv", "questionnaire")]
    assert drop.files[0].path.read_text(encoding="utf-8") == "a,b\n1,2\n"


def test_a_later_drop_is_unknown_the_day_before_it_came(store: Store) -> None:
    receive(store, "answers", {"q": "1"}, received="2026-04-05", slug="first")
    receive(store, "answers", {"q": "2"}, received="2026-05-01", slug="late")
    assert ids(store.as_of(dt.date(2026, 4, 4))) == []
    assert ids(store.as_of(dt.date(2026, 4, 30))) == ["2026Q1/2026-04-05/first"]
    assert ids(store.as_of(dt.date(2026, 5, 1))) == ids(store.as_of(None)) == ids(store)
    assert ids(store) == ["2026Q1/2026-04-05/first", "2026Q1/2026-05-01/late"]


def test_drops_come_in_the_order_received_whatever_their_names(store: Store) -> None:
    receive(store, "answers", {"q": "1"}, received="2026-05-01", slug="a")
    receive(store, "answers", {"q": "2"}, received="2026-04-05", slug="z")
    assert ids(store) == ["2026Q1/2026-04-05/z", "2026Q1/2026-05-01/a"]


def test_a_replaced_drop_is_hidden_from_the_day_of_its_successor_only(store: Store) -> None:
    first = receive(store, "answers", {"q": "1"}, received="2026-04-05", slug="first")
    receive(store, "answers", {"q": "2"}, received="2026-05-01", slug="whole", supersedes=(first.id,))
    assert ids(store) == ["2026Q1/2026-05-01/whole"]
    assert ids(store.as_of(dt.date(2026, 4, 30))) == [first.id]


def test_the_same_content_again_is_the_earlier_drop(store: Store) -> None:
    first = receive(store, "answers", {"q": "1"}, received="2026-04-05", slug="first")
    again = receive(store, "answers", {"q": "1"}, received="2026-05-01", slug="again")
    assert again == first
    assert ids(store) == [first.id]


def test_other_content_under_a_known_name_is_refused(store: Store) -> None:
    receive(store, "answers", {"q": "1"})
    with pytest.raises(InputRejected, match="another drop with other content") as refused:
        receive(store, "answers", {"q": "2"})
    assert "--supersedes 2026Q1/2026-04-05/first" in refused.value.fix


def test_a_free_slug_is_the_wanted_one_or_the_next_number(store: Store) -> None:
    day = dt.date(2026, 4, 5)
    assert store.free_slug(QUARTER, day, "first") == "first"
    receive(store, "answers", {"q": "1"})
    receive(store, "answers", {"q": "2"}, slug="first-2")
    assert store.free_slug(QUARTER, day, "first") == "first-3"


def test_only_a_drop_of_the_quarter_can_be_replaced(store: Store) -> None:
    receive(store, "answers", {"q": "1"})
    with pytest.raises(UsageError, match='did you mean "2026Q1/2026-04-05/first"'):
        receive(store, "answers", {"q": "2"}, slug="second", supersedes=("2026Q1/2026-04-05/frist",))


def test_received_files_are_write_protected_and_a_changed_one_is_found(store: Store) -> None:
    drop = receive(store, "answers", {"q": "1"})
    path = drop.files[0].path
    assert path.stat().st_mode & 0o222 == 0
    verify_drop(drop)
    path.chmod(0o640)
    path.write_text("2", encoding="utf-8")
    with pytest.raises(InputRejected, match="differs from its recorded hash"):
        verify_drop(drop)


@pytest.mark.parametrize("slug", ["../out", "A", "", "a/b", "con ", "-x"])
def test_a_name_that_leaves_the_folder_is_refused(store: Store, slug: str) -> None:
    source = store.study.root / "a.csv"
    source.write_text("1", encoding="utf-8")
    with pytest.raises(UsageError, match="no folder name"):
        store.receive(
            {"q": source}, quarter=QUARTER, instrument="x", source="x", slug=slug, received=dt.date(2026, 4, 5)
        )


@pytest.mark.parametrize(("name", "content"), [("a.csv", ""), ("数据.csv", "1"), ("-a.csv", "1"), ("a b.csv", "1")])
def test_an_empty_file_and_an_unsafe_file_name_are_refused(store: Store, name: str, content: str) -> None:
    source = store.study.root / name
    source.write_text(content, encoding="utf-8")
    with pytest.raises(InputRejected, match=r"empty|unsafe"):
        store.receive(
            {"q": source}, quarter=QUARTER, instrument="x", source="x", slug="a", received=dt.date(2026, 4, 5)
        )


def test_a_damaged_sidecar_and_a_lost_file_are_named(store: Store) -> None:
    drop = receive(store, "answers", {"q": "1"})
    drop.files[0].path.unlink()
    with pytest.raises(InputRejected, match=r"q\.csv is gone"):
        store.drops(QUARTER)
    (drop.files[0].path.parent / "drop.toml").write_text("quarter = ", encoding="utf-8")
    with pytest.raises(InputRejected, match="damaged sidecar"):
        store.drops(QUARTER)


def test_quarters_with_data_follow_the_calendar_and_the_day(store: Store) -> None:
    receive(store, "answers", {"q": "1"}, received="2026-04-05")
    assert store.quarters_with_data() == [QUARTER]
    assert store.as_of(dt.date(2026, 1, 1)).quarters_with_data() == []


def test_a_list_of_who_will_be_asked_makes_no_quarter_with_data(tmp_path: Path) -> None:
    store = make_store(tmp_path / "study", SAMPLE, ANSWERS)
    receive(store, "list", {"sample": "id,region,tier,weight,diary\n1,P01,county,2,1\n"}, slug="list")
    assert store.quarters_with_data() == []
    receive(store, "answers", {"questionnaire": "id,name,submitted,hours,meetings\n1,x,2026-02-01 10:00,40,3\n"})
    assert store.quarters_with_data() == [QUARTER]


# -- rebuilt tables ------------------------------------------------------------------------------------

COUNTS = pd.DataFrame({"respondent_id": ["E1"], "quarter": ["2026Q1"], "item": ["apps"], "count": [3.0]})


def test_tables_are_read_back_under_their_fingerprint_alone(store: Store) -> None:
    store.write(QUARTER, "abc", {"counts": COUNTS})
    assert store.has(QUARTER, "abc")
    assert not store.has(QUARTER, "abd")
    assert not store.has(Quarter.parse("2025Q4"), "abc")
    pd.testing.assert_frame_equal(store.read("counts", QUARTER, "abc"), COUNTS)
    assert store.scan("counts", QUARTER, "abc").collect().height == 1
    with pytest.raises(InputRejected, match="is not there"):
        store.read("counts", QUARTER, "abd")


def test_one_broken_table_leaves_nothing_behind(store: Store) -> None:
    broken = COUNTS.assign(count=-1.0)
    with pytest.raises(ContractError, match="count: column_in_schema"):
        store.write(QUARTER, "abc", {"counts": COUNTS, "problems": broken})
    with pytest.raises(ContractError, match=r"count: greater_than_or_equal_to\(0") as caught:
        store.write(QUARTER, "abc", {"counts": broken})
    assert "E1" not in str(caught.value)
    assert not store.has(QUARTER, "abc")
    assert list((store.study.tidy / str(QUARTER)).iterdir()) == []


def test_writing_again_replaces_the_whole_folder(store: Store) -> None:
    store.write(QUARTER, "abc", {"counts": COUNTS})
    store.write(QUARTER, "abc", {"counts": COUNTS.assign(count=4.0)})
    assert store.read("counts", QUARTER, "abc")["count"].tolist() == [4.0]
