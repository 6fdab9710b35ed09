"""Average changes under a scenario, drawn again and again from a known population."""

import numpy as np
import pandas as pd
from scipy import stats

from analysis_lib.survey.design import SurveyDesign, read_sample
from analysis_lib.survey.mean_model import average_change, fit_mean, variances


def test_intervals_hold_the_change_of_the_population_as_often_as_they_say():
    """200 samples of clusters from a known population; 95 % meant, 90 to 99 % found (± 3 standard errors)."""
    rng, held, repetitions = np.random.default_rng(8), 0, 200
    township = np.repeat(np.arange(240), 25)
    items = rng.poisson(3 * rng.lognormal(0, 0.3, 240)[township]).astype(float)
    mean = np.exp(1.2 + 0.15 * items) * rng.lognormal(-0.02, 0.2, 240)[township]
    x = np.column_stack([np.ones(len(items)), items])
    hours = mean * rng.gamma(2, 0.5, len(items))
    after = x * [1, 0.5]
    truth = average_change(fit_mean(hours, x, np.ones(len(hours)), "log"), x, after)[0]
    for _ in range(repetitions):
        drawn = np.isin(township, rng.choice(240, 30, replace=False))
        frame = pd.DataFrame({"psu": township[drawn], "w": 1.0})
        model = fit_mean(hours[drawn], x[drawn], np.ones(drawn.sum()), "log")
        estimate, scores = average_change(model, x[drawn], after[drawn])
        sample = read_sample(frame, SurveyDesign(psu="psu", weight="w"))
        held += abs(estimate - truth) <= stats.t.ppf(0.975, 29) * np.sqrt(variances(sample, scores[:, None])[0])
    assert 0.90 <= held / repetitions <= 0.99
