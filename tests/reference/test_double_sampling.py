"""Two-phase regression estimates against R survey 4.1 (R 4.2.2); the commands stand in the tests.

Every example makes the second phase with ``half``, and a two-phase design with ``two``::

    half <- function(d, s) ave((seq_len(nrow(d)) * 104729) %% 100003, s, FUN = rank) <= ave(d$id, s, FUN = length) / 2
    two <- function(d, unit, s1, s2) twophase(id = list(unit, ~id), strata = list(s1, s2), weights = list(~w, NULL),
                                              subset = ~diary, data = d, method = "approx")

Estimates agree to ten digits. Standard errors cannot: R estimates the first phase's variance from the second phase, we
from the predictions of everybody, and R takes out the fraction subsampled. They agree to 2 % where there are hundreds of
units, and to 8 % in domains of a few dozen.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis_lib.survey.design import SurveyDesign, read_sample
from analysis_lib.survey.double_sampling import combine_hours
from analysis_lib.survey.linearisation import Statistic, as_variable, estimate_domains

pytestmark = pytest.mark.real_data
TEN_DIGITS, SE_OF_MANY, SE_OF_FEW = 1e-10, 0.02, 0.08


def half(stratum: pd.Series) -> pd.Series:
    luck = pd.Series((np.arange(1, len(stratum) + 1) * 104729) % 100003, index=stratum.index)
    return luck.groupby(stratum).rank() <= stratum.groupby(stratum).transform("size") / 2


def combined(
    frame: pd.DataFrame,
    hours: str,
    answers: list[str],
    *,
    design: SurveyDesign,
    stratum: str,
    within: str = "",
    by: str = "",
    denominator: str = "",
    statistic: Statistic = "mean",
) -> tuple[np.ndarray, np.ndarray]:
    """Estimates and standard errors where half of each stratum is the second phase."""
    diary = half(frame[stratum])
    sampled = frame.groupby(stratum)[stratum].transform("size") / diary.groupby(frame[stratum]).transform("sum")
    weight, everybody = frame["weight"].to_numpy(float), np.zeros(len(frame), dtype=np.int64)
    groups = pd.factorize(frame[within], sort=True)[0] if within else everybody

    def values(column: str) -> np.ndarray:
        return combine_hours(
            frame[column].where(diary).to_numpy(float), frame[answers].to_numpy(float), weight=weight,
            diary_weight=weight * sampled.to_numpy(), groupings=[groups, everybody], min_diaries=10,
        ).values  # fmt: skip

    x = values(denominator) if denominator else np.ones(len(frame))
    domain = pd.factorize(frame[by], sort=True)[0] if by else everybody
    found = estimate_domains(
        read_sample(frame, design), domain, domain.max() + 1,
        [as_variable(values(hours), x, weight, statistic)], 0.95,
    )  # fmt: skip
    return found["estimate"][:, 0], found["se"][:, 0]


@pytest.fixture(scope="module")
def schools(shared_data: Callable[[str], Path]) -> pd.DataFrame:
    """d <- apistrat; d$w <- d$pw; d$diary <- half(d, d$stype); two(d, ~id, ~stype, ~stype)"""
    return pd.read_csv(shared_data("r_survey_api") / "apistrat.csv.gz").assign(weight=lambda frame: frame["pw"])


@pytest.fixture(scope="module")
def youths(shared_data: Callable[[str], Path]) -> pd.DataFrame:
    """d <- subset(syc, !is.na(agefirst) & agefirst < 99); d$w <- 1; d$diary <- half(d, d$stratum);
    two(d, ~interaction(stratum, psu), ~stratum, ~stratum)"""
    frame = pd.read_csv(shared_data("sda_textbook") / "syc.csv.gz")
    return frame[frame["agefirst"] < 99].reset_index(drop=True).assign(weight=1.0)


STRATA = SurveyDesign(stratum="stype")
CLUSTERS = SurveyDesign(stratum="stratum", psu="psu")


def test_mean_total_and_ratio_fitted_within_strata(schools: pd.DataFrame) -> None:
    """c2 <- calibrate(des, ~stype * api99, phase = 2)
    svymean(~api00, c2); svytotal(~enroll, c2); svyratio(~api.stu, ~enroll, c2)"""
    published: dict[tuple[str, str, Statistic], tuple[float, float]] = {
        ("api00", "", "mean"): (660.526148983, 10.0300573118),
        ("enroll", "", "total"): (3793642.57302, 170915.326297),
        ("api.stu", "enroll", "ratio"): (0.829911564761, 0.0111322345695),
    }
    for kind, (estimate, se) in published.items():
        hours, denominator, statistic = kind
        found, error = combined(
            schools, hours, ["api99"], design=STRATA, stratum="stype", within="stype", denominator=denominator,
            statistic=statistic,
        )  # fmt: skip
        assert found[0] == pytest.approx(estimate, rel=TEN_DIGITS)
        assert error[0] == pytest.approx(se, rel=SE_OF_MANY)


def test_domains_that_are_the_groups(schools: pd.DataFrame, youths: pd.DataFrame) -> None:
    """svyby(~api00, ~stype, c2, svymean)
    svyby(~age, ~gender, calibrate(des, ~factor(gender) * agefirst, phase = 2), svymean)"""
    found, error = combined(schools, "api00", ["api99"], design=STRATA, stratum="stype", within="stype", by="stype")
    assert found == pytest.approx([673.025200440, 626.153288525, 631.737549603], rel=TEN_DIGITS)
    assert error == pytest.approx([13.2662133352, 16.0119110384, 16.2514678831], rel=SE_OF_FEW)
    found, error = combined(
        youths, "age", ["agefirst"], design=CLUSTERS, stratum="stratum", within="gender", by="gender"
    )
    assert found == pytest.approx([16.8133206797, 16.5141034357], rel=TEN_DIGITS)
    assert error == pytest.approx([0.100086899091, 0.316471939809], rel=SE_OF_FEW)


def test_clusters_with_one_fit_and_with_one_for_each_group(youths: pd.DataFrame) -> None:
    """svymean(~age, des); svymean(~age, calibrate(des, ~agefirst, phase = 2))
    svymean(~age, calibrate(des, ~factor(gender) * agefirst, phase = 2))"""
    for answers, within, estimate, se in (
        ([], "", 16.8096094437, 0.10209588898),
        (["agefirst"], "", 16.7967000812, 0.102754358307),
        (["agefirst"], "gender", 16.796407897, 0.102867160271),
    ):
        found, error = combined(youths, "age", answers, design=CLUSTERS, stratum="stratum", within=within)
        assert found[0] == pytest.approx(estimate, rel=TEN_DIGITS)
        assert error[0] == pytest.approx(se, rel=SE_OF_MANY)
