"""Where memory errs by tier and by hours and the busy leave answers out: recalled, by diary, and combined."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from certify.two_instruments import OF_HOURS, certify, where_memory_errs
from sample_study import STUDY_TOML, write_study

REPETITIONS = 100
FOUR_ERRORS = 4.0  # of the simulation


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    study = write_study(tmp_path_factory.mktemp("two") / "study", study_toml=STUDY_TOML + 'categories = ["tier"]\n')
    table = where_memory_errs(study, repetitions=REPETITIONS, keys=OF_HOURS, periods=["quarter"])
    return table.set_index(["measure", "region", "category", "period"])


def test_memory_alone_is_wrong_in_every_tier_and_says_it_is_sure(certified: pd.DataFrame) -> None:
    recalled = certified.loc["recall_gross"]
    assert (recalled["bias_in_se"].abs() > FOUR_ERRORS).all()
    assert recalled["coverage"].min() < 0.2


def test_the_combined_estimate_is_unbiased_in_the_nation_every_tier_a_province_and_for_a_change(certified) -> None:
    combined = certified.loc["gross_combined"]
    assert len(combined) == 1 + 3 + 1 + 1
    assert (combined["bias_in_se"].abs() < FOUR_ERRORS).all()


def test_its_intervals_hold_the_truth_as_often_as_they_say(certified: pd.DataFrame) -> None:
    combined = certified.loc[["gross_combined", "excess_combined"]]
    assert combined["coverage"].mean() == pytest.approx(0.95, abs=0.03)
    assert combined["coverage"].min() > 0.87
    assert combined["se_by_spread"].mean() == pytest.approx(1, abs=0.12)


def test_it_is_more_precise_than_the_diaries_alone(certified: pd.DataFrame) -> None:
    gross, combined = certified.loc["gross"], certified.loc["gross_combined"]
    assert (combined["se"] < 0.93 * gross["se"]).all()


def test_excess_loses_the_bias_of_scattering_days(certified: pd.DataFrame) -> None:
    by_diary, combined = certified.loc["excess"], certified.loc["excess_combined"]
    assert (by_diary["bias_in_se"] > FOUR_ERRORS).all()
    assert (combined["bias"].abs() < 0.5 * by_diary["bias"]).all()
    nation = certified[["bias", "se", "bias_in_se"]].xs(("all", "", "quarter"), level=("region", "category", "period"))
    assert abs(nation["bias_in_se"]["excess_combined"]) < FOUR_ERRORS
    whole_error = np.hypot(nation["bias"], nation["se"])
    assert whole_error["excess_combined"] < whole_error["excess"]


def test_the_certificate_can_be_made() -> None:
    """A smoke run; `make certify` repeats it often enough to say something."""
    table = certify(repetitions=2)
    assert table["what"].is_unique
    assert np.isfinite(table[["bias", "coverage", "se"]]).all(axis=None)
