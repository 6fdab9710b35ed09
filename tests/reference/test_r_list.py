"""The list experiment against the R package `list` (9.2.6): its tests, its vignette, and the published counts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analysis_lib.survey.design import SurveyDesign, read_sample
from analysis_lib.survey.list_experiment import ListResult, count_items

# Blair and Imai (2012), Political Analysis 20, table 2: how many gave each count 0, 1, 2, 3 (4).
CONTROL = [8, 132, 222, 227]
BLACK_FAMILY = [19, 123, 229, 219, 34]
AFFIRMATIVE_ACTION = [9, 78, 172, 184, 139]


def counted(short: list[int], long: list[int]) -> tuple[np.ndarray, np.ndarray]:
    counts = [np.repeat(np.arange(len(arm)), arm) for arm in (short, long)]
    return np.concatenate(counts).astype(float), np.repeat([False, True], [sum(short), sum(long)])


def estimated(count: np.ndarray, is_long: np.ndarray, admits: np.ndarray) -> dict[str, ListResult]:
    """Arms as strata of one-person PSUs: the linearised variance is then that of two independent samples, exactly."""
    frame = pd.DataFrame({"arm": is_long})
    sample = read_sample(frame, SurveyDesign(stratum="arm"))
    return count_items(count, is_long, admits, np.ones(len(count)), sample=sample)


def test_the_difference_in_means_of_the_race_data_is_that_of_the_r_package():
    # R: ictreg(y ~ 1, data = race, treat = "treat", J = 3, method = "lm"); tests/testthat/test-ictreg.R of the package
    # has coefficients 0.068 and 2.134 with standard errors 0.050 and 0.033.
    count, is_long = counted(CONTROL, BLACK_FAMILY)
    listed = estimated(count, is_long, np.zeros(len(count)))["listed"]
    assert round(listed.estimate, 3) == 0.068
    assert round(listed.se, 3) == 0.050
    assert round(count[~is_long].mean(), 3) == 2.134


def test_without_anybody_admitting_the_combined_share_is_the_listed_one():
    count, is_long = counted(CONTROL, AFFIRMATIVE_ACTION)
    found = estimated(count, is_long, np.zeros(len(count)))
    assert found["combined"].estimate == pytest.approx(found["listed"].estimate, rel=1e-12)
    assert found["combined"].se == pytest.approx(found["listed"].se, rel=1e-12)
    assert np.isnan(found["placebo_admitting"].estimate)


# -- the vignette "combined-list" of the package, its random numbers drawn again ------------------------------


def r_uniform(seed: int, size: int) -> np.ndarray:
    """What ``set.seed(seed); runif(size)`` gives in R: the Mersenne Twister with R's own seeding."""
    state = []
    for step in range(50 + 625):
        seed = (69069 * seed + 1) % 2**32
        if step >= 50:
            state.append(seed)
    twister = np.random.RandomState()
    twister.set_state(("MT19937", np.array(state[1:], dtype=np.uint32), 624))
    return twister.randint(0, 2**32, size, dtype=np.uint32) * 2.3283064365386963e-10


@pytest.fixture(scope="module")
def vignette() -> dict[str, ListResult]:
    # set.seed(123); Y0 <- sample(1:4, 1500, replace = TRUE); Z <- rbinom(1500, 1, 0.5), as R 3.4 drew them.
    luck = r_uniform(123, 3000)
    admits, does = np.repeat([1.0, 0.0, 0.0], 500), np.repeat([1, 1, 0], 500)
    is_long = luck[1500:] >= 0.5
    count = 1 + np.floor(4 * luck[:1500]) + is_long * does
    return estimated(count, is_long, admits)


# summary(combinedListDirect(Y ~ Z, data = df, treat = "Z", direct = "D")), as printed on the package's site.
@pytest.mark.parametrize(
    ("name", "estimate", "se", "tolerance"),
    [
        ("listed", 0.63342318, 0.05996451, 1e-7),
        ("combined", 0.65863351, 0.04987643, 6e-3),  # R plugs the arms' sizes as designed into its formula
        ("direct", 0.33333333, 0.01217567, 1e-3),  # here the arms are strata, there they are not
        ("placebo_admitting", 0.9232591, 0.09940286, 2e-3),  # those who admit are a domain of the whole sample
        ("placebo_arms", 0.00177798, 0.02436116, 1e-5),
    ],
)
def test_the_vignette_of_the_r_package_comes_out_the_same(vignette, name, estimate, se, tolerance):
    assert vignette[name].estimate == pytest.approx(estimate, abs=5.1e-9 if "placebo_ad" not in name else 5.1e-8)
    assert vignette[name].se == pytest.approx(se, rel=tolerance)


def test_the_placebo_tests_of_the_vignette_have_its_p_values(vignette):
    """R takes the normal distribution, here it is t with about 1,500 degrees of freedom (500 among those who admit)."""
    assert vignette["placebo_admitting"].p == pytest.approx(0.4401031, abs=2e-3)
    assert vignette["placebo_arms"].p == pytest.approx(0.9418187, abs=1e-4)
