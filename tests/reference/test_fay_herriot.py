"""The area-level model against R `sae` on expenditure on milk in 43 areas (Arora and Lahiri 1997).

Data and truth: ``sae_milk.csv``. R's values are those that ``print()`` shows for::

    library(sae); data(milk)
    mseFH(yi ~ as.factor(MajorArea), SD^2, data = milk)                    # reml_…
    mseFH(yi ~ as.factor(MajorArea), SD^2, method = "ML", data = milk)     # ml_…
    mseFH(yi ~ as.factor(MajorArea), SD^2, method = "FH", data = milk)     # moments_…

as kept, seven digits each, in the tests of samplics (``tests/sae/test_eblup_area_model.py``). R stops its scoring at a
relative step of 1e-4 in the model variance (``PRECISION``), so that its later digits are not those of the maximum: the
tolerances say how far that reaches. Run to the maximum, saePy 0.2.0 (``mseFH(…, MAXITER=1000, PRECISION=1e-13)``) gives
the model variances below, and all mean squared errors as here to 1e-14; samplics 0.6.1 does for REML and FH.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis_lib.survey.fay_herriot import fit

MODEL_VARIANCE = {"reml": 0.0185503347627664, "ml": 0.0155175087124194, "moments": 0.0164202636541286}
EBLUP_TOLERANCE = {"reml": 1e-6, "ml": 1e-6, "moments": 2e-6}  # R printed the last with six digits
MSE_TOLERANCE = 2e-5  # relative


@pytest.fixture(scope="module")
def milk() -> pd.DataFrame:
    return pd.read_csv(Path(__file__).parent / "sae_milk.csv")


def fitted(milk: pd.DataFrame, method):
    areas = [(milk["major_area"] == major).astype(float) for major in (2, 3, 4)]
    covariates = np.column_stack([np.ones(len(milk)), *areas])
    return fit(milk["yi"].to_numpy(), milk["sd"].to_numpy() ** 2, covariates, method)


@pytest.mark.parametrize("method", MODEL_VARIANCE)
def test_every_area_and_its_error_come_out_as_in_r(milk, method):
    model = fitted(milk, method)
    assert np.abs(model.eblup - milk[f"{method}_eblup"]).max() < EBLUP_TOLERANCE[method]
    assert np.abs(model.mse / milk[f"{method}_mse"] - 1).max() < MSE_TOLERANCE


@pytest.mark.parametrize("method", MODEL_VARIANCE)
def test_the_model_variance_is_that_of_a_second_implementation(milk, method):
    model = fitted(milk, method)
    assert model.model_variance == pytest.approx(MODEL_VARIANCE[method], rel=1e-12)
    assert not model.is_adjusted


def test_coefficients_and_their_errors_come_out_as_in_r(milk):
    model = fitted(milk, "reml")
    assert model.coefficients == pytest.approx([0.9681890, 0.1327801, 0.2269462, -0.2413011], abs=5e-7)
    errors = np.sqrt(np.diag(model.coefficient_covariance))
    assert errors == pytest.approx([0.06936208, 0.10300072, 0.09232981, 0.08161707], rel=1e-5)
