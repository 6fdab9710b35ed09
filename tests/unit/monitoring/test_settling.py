"""A figure has settled when no later vintage moved it by more than matters."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ingest_study import QUARTER, make_store, receive

from analysis_lib.monitoring.settling import settling, vintage_days

END = dt.date(2026, 3, 31)


def vintages(*estimates: float, half_width: float = 1.0) -> pd.DataFrame:
    """A measure known a day, two days … after the quarter, from ten respondents more each time."""
    values = np.array(estimates)
    return pd.DataFrame(
        {
            "measure": "gross",
            "day": [END + dt.timedelta(days=1 + step) for step in range(len(values))],
            "estimate": values,
            "ci_low": values - half_width,
            "ci_high": values + half_width,
            "n": 10.0 * np.arange(1, len(values) + 1),
        }
    )


@pytest.mark.parametrize(
    ("estimates", "interval", "smallest"),
    [
        ([20.0], 1, 1),
        ([18.0, 19.2, 20.0], 2, 3),  # inside the interval from the second on, within half an hour from the third
        ([20.1, 18.0, 20.2, 20.0], 3, 3),  # it wandered out again, so it had not settled
        ([np.nan, 20.0, 20.0], 2, 2),  # too thin to be estimated is not settled
    ],
)
def test_a_measure_settles_at_the_vintage_from_which_none_is_farther_off(
    estimates: list[float], interval: int, smallest: int
) -> None:
    (row,) = settling(vintages(*estimates), smallest_change=0.5, since=END).to_dict("records")
    assert (row["within_interval_vintages"], row["within_smallest_vintages"]) == (interval, smallest)
    assert (row["within_interval_days"], row["within_smallest_days"]) == (interval, smallest)  # one vintage a day


def test_first_last_and_largest_revision_are_of_the_estimates_there_were() -> None:
    (row,) = settling(vintages(np.nan, 18.5, 21.0, 20.0), smallest_change=0.5, since=END).to_dict("records")
    assert (row["vintages"], row["first"], row["last"]) == (4, 18.5, 20.0)
    assert row["largest_revision"] == 1.5
    assert row["share_at_first"] == 0.5


def test_without_a_last_estimate_nothing_settled() -> None:
    (row,) = settling(vintages(20.0, np.nan), smallest_change=0.5, since=END).to_dict("records")
    assert pd.isna(row["within_interval_days"])
    assert pd.isna(row["within_smallest_vintages"])


def test_vintages_are_the_days_on_which_the_drops_that_count_change(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    first = receive(store, "answers", {"q": "1"}, received="2026-04-05", slug="a")
    receive(store, "answers", {"q": "2"}, received="2026-04-05", slug="b")
    receive(store, "answers", {"q": "3"}, received="2026-04-20", slug="c", supersedes=(first.id,))
    store.withdraw("2026Q1/2026-04-05/b", since=dt.date(2026, 5, 1), reason="made up")
    days = [dt.date(2026, 4, 5), dt.date(2026, 4, 20), dt.date(2026, 5, 1)]
    assert vintage_days(store, QUARTER) == days
    assert vintage_days(store.as_of(days[1]), QUARTER) == days[:2]
    assert vintage_days(store, QUARTER, at_most=2) == [days[0], days[2]]
