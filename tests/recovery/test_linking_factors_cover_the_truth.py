"""Fieller's interval of a linking factor covers the true factor about as often as it says."""

import numpy as np
import pandas as pd

from analysis_lib.monitoring.linking import link_random_halves, link_same_people
from analysis_lib.survey.design import SurveyDesign

DESIGN = SurveyDesign(psu="psu")
WORLDS, TRUTH = 300, 1.15
TOLERANCE = 0.04  # three binomial standard errors of 95 % in 300 worlds


def test_same_people_and_random_halves_cover_the_factor():
    covered = {"same": 0, "halves": 0}
    for seed in range(WORLDS):
        rng = np.random.default_rng(seed)
        psu = np.repeat(np.arange(30), 8)
        old = rng.gamma(6, 2, len(psu)) + rng.normal(0, 1.5, 30)[psu]
        frame = pd.DataFrame(
            {"psu": psu.astype(str), "weight": 1.0, "old": old, "new": TRUTH * old + rng.normal(0, 2, len(psu))}
        )
        is_new = pd.Series(rng.random(len(psu)) < 0.5)
        same = link_same_people(frame, "new", "old", design=DESIGN)
        halves = link_random_halves(
            frame.assign(y=frame["new"].where(is_new, frame["old"])), "y", is_new, design=DESIGN
        )
        covered["same"] += same.ci_low <= TRUTH <= same.ci_high
        covered["halves"] += halves.ci_low <= TRUTH <= halves.ci_high
    for count in covered.values():
        assert abs(count / WORLDS - 0.95) < TOLERANCE, covered
