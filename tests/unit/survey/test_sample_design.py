import numpy as np
import pandas as pd
import pytest

from analysis_lib.errors import DesignError
from analysis_lib.survey.design import SurveyDesign, read_sample
from analysis_lib.survey.estimation import mean, total

LONELY = pd.DataFrame(
    {
        "stratum": ["a", "a", "b", "b", "c"],
        "psu": [1, 2, 1, 2, 1],
        "weight": 1.0,
        "y": [1.0, 3.0, 10.0, 14.0, 7.0],
    }
)


def design(**options: str) -> SurveyDesign:
    return SurveyDesign(stratum="stratum", psu="psu", **options)  # pyright: ignore[reportArgumentType]


def se_of_total(single_psu: str) -> float:
    return float(total(LONELY, "y", design=design(single_psu=single_psu)).at[0, "se"])


def test_psu_numbers_may_start_again_in_every_stratum() -> None:
    sample = read_sample(LONELY, design(single_psu="certainty"))
    assert len(set(sample.psu)) == 5
    assert sample.stages[0].sampled.tolist() == [2, 2, 1]


def test_f36_a_stratum_with_a_single_unit_is_refused_by_name_unless_the_study_says_what_it_does() -> None:
    with pytest.raises(DesignError, match=r"stratum c with a single sampled unit"):
        mean(LONELY, "y", design=design())


def test_a_whole_sample_of_one_unit_is_refused() -> None:
    with pytest.raises(DesignError, match="the whole sample is one stratum"):
        mean(LONELY.iloc[:1], "y", design=SurveyDesign())


def test_a_single_psu_counts_as_the_design_says() -> None:
    """By hand: strata a and b give 2 (z1 − mean)² + … = 2 and 8; the single PSU's score is 7."""
    assert se_of_total("certainty") ** 2 == pytest.approx(2 * 2 + 2 * 8)
    assert se_of_total("adjust") ** 2 == pytest.approx(2 * 2 + 2 * 8 + 7**2)
    assert se_of_total("average") ** 2 == pytest.approx((2 * 2 + 2 * 8) * 3 / 2)


def test_averaging_needs_a_stratum_to_average_over() -> None:
    assert np.isnan(total(LONELY[4:], "y", design=design(single_psu="average")).at[0, "se"])


def test_a_stratum_drawn_whole_adds_no_variance_even_with_one_psu() -> None:
    frame = LONELY.assign(population=[10, 10, 10, 10, 1])
    found = total(frame, "y", design=design(population="population"))
    assert found.at[0, "se"] ** 2 == pytest.approx(0.8 * (2 * 2 + 2 * 8))


@pytest.mark.parametrize("population", [[10, 9, 10, 10, 1], [1, 1, 10, 10, 1], [None, None, 10, 10, 1]])
def test_population_counts_that_cannot_be_are_refused(population: list) -> None:
    with pytest.raises(DesignError, match="population"):
        mean(LONELY.assign(population=population), "y", design=design(population="population"))


def test_a_gap_in_the_design_is_refused() -> None:
    with pytest.raises(DesignError, match="some rows have no value"):
        mean(LONELY.assign(stratum=["a", "a", None, "b", "c"]), "y", design=design())


def test_an_absent_design_column_is_refused_with_a_suggestion() -> None:
    with pytest.raises(DesignError, match='did you mean "stratum"'):
        mean(LONELY, "y", design=SurveyDesign(stratum="strata"))
