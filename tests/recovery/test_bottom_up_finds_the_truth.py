"""The account of counts and minutes finds the parts that were put in, with intervals that hold them."""

from __future__ import annotations

import pytest
from certify.bottom_up import ASKED, certify

REPETITIONS = 60  # coverage to ± 5.6 points; the thousands are for the certificate


@pytest.fixture(scope="module")
def certified():
    return certify(REPETITIONS).set_index("what")


@pytest.mark.parametrize("measure", ASKED)
def test_each_number_is_right_on_average_and_its_interval_holds_it(certified, measure):
    row = certified.loc[measure]
    assert abs(row["bias"]) < 4 * row["sd"] / REPETITIONS**0.5 + 0.002 * abs(row["truth"])
    assert row["se"] == pytest.approx(row["sd"], rel=0.3)
    assert 0.85 <= row["coverage"] <= 1
