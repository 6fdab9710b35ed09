"""The static regression on region and period effects, a foil: what it is made of when reforms are staggered.

With staggered starts and effects that change it also compares late cohorts with early ones, which already have the
reform (Goodman-Bacon 2021); it is shown beside the estimators of `difference_in_differences`, not instead of them.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis_lib.effects.difference_in_differences import INDEX_COLUMNS, INDEX_TYPES, Contrasts, other_regressors
from analysis_lib.effects.panel import Panel
from analysis_lib.errors import DesignError

NEGLIGIBLE = 1e-9


def two_way(panel: Panel, *, treatment: np.ndarray | None = None) -> Contrasts:
    """Coefficient of the reform beside region and period effects and other reforms; one contrast.

    Parameters
    ----------
    treatment : numpy.ndarray or None
        Share of each period in which the reform is in force, shape (R, T); None: `Panel.in_force`.

    Raises
    ------
    DesignError
        When region and period effects and other reforms explain all of it.
    """
    asked = panel.in_force.astype(float) if treatment is None else treatment
    residual = two_way_residuals(asked, panel)
    weighted = panel.weights[:, None] * residual
    spread = float((weighted * residual).sum())
    if spread <= NEGLIGIBLE * float(panel.weights @ (asked**2).sum(axis=1)):
        raise DesignError(
            "the reform cannot be told from region and period effects and other reforms",
            where="panel",
            fix="take in regions or periods without it",
        )
    index = pd.DataFrame({"kind": ["two_way"]}).reindex(columns=INDEX_COLUMNS).astype(INDEX_TYPES)
    return Contrasts(index, (weighted / spread)[None])


def two_way_residuals(values: np.ndarray, panel: Panel) -> np.ndarray:
    """What region effects, period effects and other reforms leave of values, shape (R, T)."""
    regressors = other_regressors(panel)
    regressors = regressors - regressors.mean(axis=1, keepdims=True)
    centred = values - values.mean(axis=1, keepdims=True)
    scores = panel.weights[:, None, None] * regressors
    cross = np.tensordot(scores, regressors, ([0, 1], [0, 1]))
    inverse = np.linalg.pinv(cross, rcond=NEGLIGIBLE, hermitian=True)
    return centred - regressors @ (inverse @ np.tensordot(scores, centred, ([0, 1], [0, 1])))


def decompose_two_way(panel: Panel) -> pd.DataFrame:
    """The two-way coefficient as a weighted mean of comparisons of two cohorts (Goodman-Bacon 2021, theorem 1).

    Other reforms are not in it: it takes apart the coefficient beside region and period effects alone.

    Returns
    -------
    pandas.DataFrame
        A row for each comparison: ``comparison`` (``treated_untreated``, ``earlier_later`` with the later cohort as not
        yet treated, ``later_earlier`` with the earlier one as already treated), ``start`` of the cohort that is
        compared, ``against`` (start of the other; missing: never), ``weight`` (they sum to 1) and ``estimate``.
    """
    last = len(panel.periods)
    starts = np.where(panel.is_ever, panel.starts, last)
    size = {int(start): panel.weights[starts == start].sum() for start in np.unique(starts)}
    mean = {start: np.average(panel.values[starts == start], axis=0, weights=panel.weights[starts == start])
            for start in size}  # fmt: skip
    rows = []
    for start in panel.cohorts:
        for other in size:
            if other == start:
                continue
            # A window in which only the cohort's status changes, and the share of it in force.
            first, end = (other, last) if other < start else (0, other)
            in_force = (end - start) / (end - first)
            both = size[start] + size[other]
            weight = (both * (end - first)) ** 2 * size[start] * size[other] / both**2 * in_force * (1 - in_force)
            gap = mean[start] - mean[other]
            kind = "treated_untreated" if other == last else "earlier_later" if start < other else "later_earlier"
            rows.append((kind, start, other, weight, gap[start:end].mean() - gap[first:start].mean()))
    found = pd.DataFrame(rows, columns=pd.Index(["comparison", "start", "against", "weight", "estimate"]))
    against = found["against"].astype("Int64").mask(found["against"] == last)
    return found.assign(against=against, weight=found["weight"] / found["weight"].sum())
