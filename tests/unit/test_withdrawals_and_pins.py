"""A drop can be withdrawn and never deleted; a release's drops can be read again whatever became of them."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from ingest_study import QUARTER, make_store, receive

from analysis_lib.errors import InputRejected, NotReproducible, UsageError
from analysis_lib.quarters import Quarter
from analysis_lib.study import Study
from analysis_lib.tables.store import Store, pinned_drops


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return make_store(tmp_path)


def ids(store: Store) -> list[str]:
    return [drop.id for drop in store.drops(QUARTER)]


def day(text: str) -> dt.date:
    return dt.date.fromisoformat(text)


def test_a_withdrawn_drop_counts_until_the_day_before_and_stays_where_it_is(store: Store) -> None:
    drop = receive(store, "answers", {"q": "1"})
    store.withdraw(drop.id, since=day("2026-05-01"), reason="sent by mistake")
    assert ids(store) == []
    assert ids(store.as_of(day("2026-04-30"))) == [drop.id]
    assert ids(store.as_of(day("2026-05-01"))) == []
    assert drop.files[0].path.read_text(encoding="utf-8") == "1"
    (state,) = store.states(QUARTER)
    assert (state.state, state.since, state.why) == ("withdrawn", day("2026-05-01"), "sent by mistake")
    assert store.as_of(day("2026-04-04")).states(QUARTER) == []


def test_what_a_withdrawn_drop_had_replaced_is_in_force_again(store: Store) -> None:
    first = receive(store, "answers", {"q": "1"}, slug="first")
    second = receive(store, "answers", {"q": "2"}, received="2026-04-20", slug="second", supersedes=(first.id,))
    assert [(each.state, each.why) for each in store.states(QUARTER)] == [("superseded", second.id), ("in_force", "")]
    store.withdraw(second.id, since=day("2026-05-01"), reason="the wrong wave")
    assert ids(store) == [first.id]
    assert ids(store.as_of(day("2026-04-25"))) == [second.id]


@pytest.mark.parametrize("how", ["superseded", "withdrawn"])
def test_only_a_drop_in_force_can_be_withdrawn_or_replaced(store: Store, how: str) -> None:
    first = receive(store, "answers", {"q": "1"}, slug="first")
    if how == "superseded":
        receive(store, "answers", {"q": "2"}, slug="second", supersedes=(first.id,))
    else:
        store.withdraw(first.id, since=day("2026-05-01"), reason="the wrong wave")
    with pytest.raises(UsageError, match=f"{how} since"):
        store.withdraw(first.id, since=day("2026-05-02"), reason="again")
    with pytest.raises(UsageError, match=f"{how} since"):
        receive(store, "answers", {"q": "3"}, slug="third", supersedes=(first.id,))


def test_a_withdrawal_needs_a_drop_a_reason_and_a_day_after_receipt(store: Store) -> None:
    drop = receive(store, "answers", {"q": "1"})
    with pytest.raises(UsageError, match="did you mean"):
        store.withdraw(f"{drop.id}x", since=day("2026-05-01"), reason="no such drop")
    with pytest.raises(UsageError, match="before the day of receipt"):
        store.withdraw(drop.id, since=day("2026-04-04"), reason="too early")
    with pytest.raises(UsageError, match="no reason"):
        store.withdraw(drop.id, since=day("2026-05-01"), reason=" ")


def test_withdrawn_content_can_be_received_anew_and_replaced_content_when_asked_for(store: Store) -> None:
    first = receive(store, "answers", {"q": "1"}, slug="first")
    store.withdraw(first.id, since=day("2026-04-10"), reason="under the wrong instrument")
    again = receive(store, "answers", {"q": "1"}, received="2026-04-11", slug="again")
    assert again != first
    other = receive(store, "answers", {"q": "2"}, received="2026-04-12", slug="other", supersedes=(again.id,))
    assert receive(store, "answers", {"q": "1"}, received="2026-04-13", slug="back") == again  # replaced: a no-op
    back = receive(store, "answers", {"q": "1"}, received="2026-04-13", slug="back", supersedes=(other.id,))
    assert ids(store) == [back.id]


def test_pinned_drops_are_read_whatever_became_of_them(store: Store) -> None:
    first = receive(store, "answers", {"q": "1"}, slug="first")
    second = receive(store, "answers", {"q": "2"}, slug="second")
    pins = pinned_drops(store, [QUARTER])
    assert pins == {first.id: first.sha256, second.id: second.sha256}
    receive(store, "answers", {"q": "3"}, received="2026-05-01", slug="third", supersedes=(first.id,))
    store.withdraw(second.id, since=day("2026-05-02"), reason="a test")
    then = Store(store.study, only=pins)
    assert ids(then) == [first.id, second.id]
    assert then.drops(QUARTER) == [first, second]
    assert then.quarters_with_data() == [QUARTER]


def test_a_pinned_drop_that_is_gone_or_another_is_named(store: Store) -> None:
    drop = receive(store, "answers", {"q": "1"})
    with pytest.raises(NotReproducible, match=r"second: the drop is gone"):
        Store(store.study, only={f"{QUARTER}/2026-04-05/second": "0"}).drops(QUARTER)
    with pytest.raises(NotReproducible, match=r"first: the drop holds something else"):
        Store(store.study, only={drop.id: "0"}).drops(QUARTER)


def test_a_quarter_is_provisional_then_revised_then_final(store: Store) -> None:
    study, quarter = store.study, Quarter.parse("2026Q1")
    revised, final = study.revised_day(quarter), study.final_day(quarter)
    assert study.due_date(quarter) < revised < final
    one = dt.timedelta(days=1)
    days = [quarter.last_day, revised - one, revised, final - one, final]
    assert [study.state_of(quarter, each) for each in days] == [
        "provisional", "provisional", "revised", "revised", "final",
    ]  # fmt: skip


def test_a_calendar_that_is_final_before_it_is_revised_is_refused(tmp_path: Path) -> None:
    make_store(tmp_path)
    path = tmp_path / "study.toml"
    text = path.read_text(encoding="utf-8").replace("[calendar]", "[calendar]\nrevised_days = 9\nfinal_days = 9")
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match="more than revised_days"):
        Study.open(tmp_path)


def test_after_a_quarter_is_final_somebody_must_let_data_in_or_out(store: Store) -> None:
    final = store.study.final_day(QUARTER).isoformat()
    drop = receive(store, "answers", {"q": "1"})
    with pytest.raises(InputRejected, match=f"final since {final}") as refused:
        receive(store, "answers", {"q": "2"}, received=final, slug="late")
    assert "--after-final" in refused.value.fix
    with pytest.raises(InputRejected, match="final since"):
        store.withdraw(drop.id, since=day(final), reason="found wrong")
    store.withdraw(drop.id, since=day(final), reason="found wrong", after_final="A. Lead: a court asked")
    (state,) = store.states(QUARTER)
    assert state.drop.withdrawn is not None
    assert state.drop.withdrawn.after_final == "A. Lead: a court asked"
