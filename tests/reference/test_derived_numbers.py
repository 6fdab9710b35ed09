"""Division of two means against R `survey`'s ``svyratio``, on every sample of the api data.

Truth: ``expected.json`` of the shared data set ``r_survey_api`` (R survey 4.1.1), ten digits each:
``svyratio(~api.stu, ~enroll, design, na.rm = TRUE)``, whose linearisation is the delta method of the quotient.
"""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from analysis_lib.survey.derived import mean_of, measured
from analysis_lib.survey.design import SurveyDesign, read_sample

pytestmark = pytest.mark.real_data

TEN_DIGITS = 1e-9
DESIGNS = {
    "srs": ("apisrs", SurveyDesign(weight="pw", population="fpc")),
    "strat": ("apistrat", SurveyDesign(stratum="stype", weight="pw", population="fpc")),
    "clus1": ("apiclus1", SurveyDesign(psu="dnum", weight="pw", population="fpc")),
    "clus2": (
        "apiclus2",
        SurveyDesign(psu="dnum", weight="pw", population="fpc1", ssu="snum", ssu_population="fpc2"),
    ),
}


@pytest.mark.parametrize("name", DESIGNS)
def test_a_quotient_of_two_means_has_the_error_of_a_ratio(shared_data, name):
    folder, (file, design) = shared_data("r_survey_api"), DESIGNS[name]
    frame = pd.read_csv(folder / f"{file}.csv.gz")
    truth = json.loads((folder / "expected.json").read_text())[name]["ratio_api.stu_enroll"]
    sample = read_sample(frame, design)
    both = frame[["api.stu", "enroll"]].notna().all(axis=1).to_numpy()
    weight = frame["pw"].to_numpy(float)
    tested, enrolled = (mean_of(sample, frame[c].to_numpy(float), weight, both) for c in ("api.stu", "enroll"))
    found = measured(sample, [tested / enrolled, (tested / enrolled) * enrolled, tested], 0.95)
    assert found["estimate"][0] == pytest.approx(truth["estimate"], rel=TEN_DIGITS)
    assert found["se"][0] == pytest.approx(truth["se"], rel=TEN_DIGITS)
    assert np.isclose(found["se"][1], found["se"][2], rtol=1e-12)  # a product undoes the quotient
