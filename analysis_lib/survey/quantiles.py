"""Quantiles by domain, with Woodruff's interval.

The quantile of p is the smallest value whose cumulative share of weight reaches p. Its interval is that of the share F
at or below it, carried back through the same distribution (Woodruff 1952): from the quantile of F − t se(F) to that of
F + t se(F), as R's ``svyquantile`` by default. The standard error is the interval's length over 2 t. A side that leaves
0 … 1 is unknown: the sample does not reach so far out.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from analysis_lib.errors import UsageError
from analysis_lib.survey.calibration import Calibration
from analysis_lib.survey.design import SurveyDesign, read_sample
from analysis_lib.survey.estimation import domains_of
from analysis_lib.survey.linearisation import as_variable, estimate_domains

ROUNDING = 1e-12  # cumulative weights this close to p reach it


def quantile(
    frame: pd.DataFrame,
    column: str,
    probability: float,
    *,
    design: SurveyDesign,
    by: str = "",
    where: pd.Series | None = None,
    calibration: Calibration | None = None,
    confidence_level: float = 0.95,
) -> pd.DataFrame:
    """Weighted quantile of a column, one row per category of ``by``.

    Parameters
    ----------
    frame : pandas.DataFrame
        The whole sample; name a domain in ``where``.
    probability : float
        Between 0 and 1; 0.5 for the median.

    Returns
    -------
    pandas.DataFrame
        ``category``, ``estimate``, ``se``, ``ci_low``, ``ci_high``, ``df``, ``n``, ``n_psu``. Rows where the column is
        missing leave the domain; an empty domain has no estimate.
    """
    if not 0 < probability < 1:
        raise UsageError(f"probability {probability}", where="quantile", fix="take one between 0 and 1")
    sample = read_sample(frame, design)
    domain, categories = domains_of(frame, by, where)
    value = frame[column].to_numpy(float)
    weight = frame[design.weight].to_numpy(float) if calibration is None else calibration.weights
    inside = (domain >= 0) & np.isfinite(value) & (np.nan_to_num(weight) > 0)
    distributions = [
        WeightedDistribution(value[rows], weight[rows])
        for rows in (np.flatnonzero(inside & (domain == number)) for number in range(len(categories)))
    ]
    estimate = np.array([each.quantile(probability) for each in distributions])
    is_below = np.where(inside, value <= estimate[domain], np.nan)
    share = as_variable(is_below, np.ones(len(frame)), weight, "mean", calibration=calibration)
    found = {
        name: values[:, 0]
        for name, values in estimate_domains(sample, domain, len(categories), [share], confidence_level).items()
    }
    bounds = [
        [each.quantile(low), each.quantile(high)]
        for each, low, high in zip(distributions, found["ci_low"], found["ci_high"], strict=True)
    ]
    low, high = np.array(bounds).reshape(-1, 2).T
    t = stats.t.ppf((1 + confidence_level) / 2, found["df"])
    return pd.DataFrame(
        {
            "category": categories,
            "estimate": estimate,
            "se": (high - low) / (2 * t),
            "ci_low": low,
            "ci_high": high,
            **{name: found[name] for name in ("df", "n", "n_psu")},
        }
    )


class WeightedDistribution:
    """The cumulative distribution of weighted values.

    Parameters
    ----------
    values, weight : numpy.ndarray
        Shape (rows,).
    """

    def __init__(self, values: np.ndarray, weight: np.ndarray) -> None:
        order = np.argsort(values, kind="stable")
        self._values, self._reached = values[order], np.cumsum(weight[order])

    def quantile(self, probability: float) -> float:
        """Smallest value whose share of weight reaches the probability; unknown outside 0 … 1 or without values."""
        if not len(self._values) or not 0 <= probability <= 1:
            return float("nan")
        wanted = probability * self._reached[-1] * (1 - ROUNDING)
        return float(self._values[np.searchsorted(self._reached, wanted)])
