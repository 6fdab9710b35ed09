"""How sure contrasts of a panel are: standard errors, intervals and tests over regions, the units that got the reform."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats

from analysis_lib.effects.difference_in_differences import Contrasts
from analysis_lib.effects.panel import Panel
from analysis_lib.effects.two_way import two_way_residuals
from analysis_lib.errors import DesignError, UsageError

Inference = Literal["cohort", "influence", "cluster"]

MIN_REGIONS = 2  # of a cohort whose own spread is used; a single region has none
NEGLIGIBLE = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Estimated:
    """Estimates of contrasts.

    Attributes
    ----------
    frame : pandas.DataFrame
        The contrasts' index with estimate, se, df, ci_low, ci_high, p_value (two-sided, of no effect) and se_sampling,
        the standard error that comes from asking a sample of officials, part of ``se``; NaN where it is not known.
    covariance : numpy.ndarray
        Of the estimates, shape (K, K).
    """

    frame: pd.DataFrame
    covariance: np.ndarray


def estimate_contrasts(
    contrasts: Contrasts, panel: Panel, *, inference: Inference = "cohort", confidence_level: float = 0.95
) -> Estimated:
    """Estimates with standard errors and t intervals.

    Parameters
    ----------
    inference : str
        ``cohort``: any contrast is a sum over cohorts of weighted means of regions, so its variance is that of a
        stratified sample of regions, with Satterthwaite's degrees of freedom; see Notes. ``influence``: analytic
        influence functions of group-time effects and their averages (Callaway and Sant'Anna 2021, theorem 2 and
        corollary 2), normal intervals: what the R package did prints, right with many regions. ``cluster``: of
        `two_way`, robust to whatever happens within a region, with the factor R/(R−1) · (RT−1)/(RT−K), where K counts
        periods and regressors but not region effects, which are nested in clusters; R − 1 degrees of freedom.

    Raises
    ------
    UsageError
        When the inference does not fit the contrasts.
    DesignError
        When no cohort has two regions, so that nothing tells chance from effect.

    Notes
    -----
    Within cohort c let h be a region's share of the weights and e its values less the cohort's means and the effects of
    other reforms. Then::

        variance = Σ_c Σ_r (weights_r · e_r)² / (1 − 2 h_r + Σ h²)

    which is n/(n−1) Σ (…)² with equal weights and unbiased when regions vary alike. A cohort of one
    region has no spread of its own and takes the covariance of e over periods pooled over all cohorts.
    """
    estimate = np.tensordot(contrasts.weights, panel.values, 2)
    covariance, df = RULES[inference](contrasts, panel)
    se = np.sqrt(np.diag(covariance))
    t = np.divide(estimate, se, out=np.full(len(se), np.nan), where=se > 0)
    reach = stats.t.ppf((1 + confidence_level) / 2, df) * se
    numbers = {
        "estimate": estimate,
        "se": se,
        "df": df,
        "ci_low": estimate - reach,
        "ci_high": estimate + reach,
        "p_value": 2 * stats.t.sf(np.abs(t), df),
        "se_sampling": _sampling_errors(contrasts, panel),
    }
    # Made whole: columns assigned to a frame one by one take as long as all of the above.
    frame = pd.DataFrame(dict(contrasts.index.items()) | numbers, index=contrasts.index.index)
    return Estimated(frame, covariance)


def _sampling_errors(contrasts: Contrasts, panel: Panel) -> np.ndarray:
    if panel.sampling is None:
        return np.full(len(contrasts.index), np.nan)
    spread = np.einsum("krt,rts->krs", contrasts.weights, panel.sampling)
    # Rounding can leave a trace below zero where sampling errors cancel.
    return np.sqrt(np.einsum("krs,krs->k", spread, contrasts.weights).clip(min=0))


def _by_cohort(contrasts: Contrasts, panel: Panel) -> tuple[np.ndarray, np.ndarray]:
    blocks = cohort_scores(contrasts.weights, panel)
    if not blocks:
        raise DesignError(
            "no two regions began together, so nothing tells chance from effect",
            where="panel",
            fix="use randomisation inference, or an estimator for single regions",
        )
    variances = np.array([(scores**2).sum(axis=1) for scores, _ in blocks])
    degrees = np.array([df for _, df in blocks])[:, None]
    total, denominator = variances.sum(axis=0), (variances**2 / degrees).sum(axis=0)
    df = np.divide(total**2, denominator, out=np.full(len(total), degrees.min()), where=denominator > 0)
    df = np.minimum(df, cohort_residuals(panel)[1].sum())  # a pooled block shares its residuals with the others
    every = np.concatenate([scores for scores, _ in blocks], axis=1)
    return every @ every.T, df


def cohort_scores(weights: np.ndarray, panel: Panel) -> list[tuple[np.ndarray, float]]:
    """Blocks of scores whose products add up to the covariance of contrasts, (K, scores) each, with degrees of freedom.

    Scores are linear in the values. A block each is of a cohort with regions enough; the last of all others, whose
    scores are their weights times the residuals of every region. There is none where no two regions began together.
    """
    residuals, left = cohort_residuals(panel)
    if left.sum() < NEGLIGIBLE:
        return []
    cohort = cohort_of(panel)
    sizes = np.bincount(cohort)
    own = np.einsum("krt,rt->kr", weights, residuals)
    blocks = []
    for start in np.flatnonzero(sizes >= MIN_REGIONS):
        chosen = cohort == start
        blocks.append((own[:, chosen] / np.sqrt(left[chosen]), _degrees_of_freedom(panel.weights[chosen])))
    is_small = sizes[cohort] < MIN_REGIONS
    if is_small.any():
        pooled = weights[:, is_small] @ (residuals.T / np.sqrt(left.sum()))
        blocks.append((pooled.reshape(len(weights), -1), float(left.sum())))
    return blocks


def cohort_residuals(panel: Panel) -> tuple[np.ndarray, np.ndarray]:
    """Values less the means of their cohort and effects of other reforms, (R, T); and the share of variance left, (R,).

    Effects of other reforms are fitted within cohorts and regions.
    """
    cohort = cohort_of(panel)
    share = np.equal.outer(cohort, cohort) * panel.weights
    share /= share.sum(axis=1, keepdims=True)
    residuals = panel.values - share @ panel.values
    if panel.exposures:
        others = np.stack(list(panel.exposures.values()))
        others = others - np.einsum("rs,jst->jrt", share, others)
        within = (others - others.mean(axis=2, keepdims=True)).reshape(len(others), -1)
        effects = np.linalg.pinv(within @ within.T, hermitian=True) @ (within @ residuals.ravel())
        residuals = residuals - np.tensordot(effects, others, 1)
    own = np.diag(share)
    return residuals, 1 - 2 * own + (share**2).sum(axis=1)


def _degrees_of_freedom(weights: np.ndarray) -> float:
    """Of the variance of a weighted mean when regions vary alike (Bell and McCaffrey 2002); n − 1 with equal weights."""
    share = weights / weights.sum()
    covariance = np.eye(len(share)) - share[:, None] - share[None, :] + (share**2).sum()
    scale = share**2 / np.diag(covariance)
    return float((scale @ np.diag(covariance)) ** 2 / (scale @ covariance**2 @ scale))


def cohort_of(panel: Panel) -> np.ndarray:
    """Start of each region's reform, T where there is none: regions that began together are one cohort."""
    return np.where(panel.is_ever, panel.starts, len(panel.periods))


def _by_influence(contrasts: Contrasts, panel: Panel) -> tuple[np.ndarray, np.ndarray]:
    parts = contrasts.average.parts if contrasts.average else contrasts
    if panel.exposures or (parts.index["kind"] != "group_time").any():
        raise UsageError(
            "influence functions are there for group-time effects without other reforms",
            where="inference",
            fix='use "cohort"',
        )
    moved = np.einsum("krt,rt->kr", parts.weights, panel.values)
    share = np.abs(parts.weights).max(axis=2)
    is_cohort = panel.starts == parts.index["start"].to_numpy(int)[:, None]
    influence = moved.copy()
    for group in (is_cohort, ~is_cohort):
        influence -= np.where(group, share * np.where(group, moved, 0.0).sum(axis=1, keepdims=True), 0.0)
    if contrasts.average:
        counts = panel.weights / panel.weights.sum()
        in_cohort = np.equal.outer(panel.cohorts, panel.starts) * counts
        sizes = in_cohort.sum(axis=1, keepdims=True)
        of_sizes = in_cohort - sizes / len(panel.regions)
        by_size = np.einsum("kjc,j->kc", contrasts.average.slopes, moved.sum(axis=1))
        influence = contrasts.average.mix @ influence + by_size @ of_sizes
    return influence @ influence.T, np.full(len(influence), np.inf)


def _by_cluster(contrasts: Contrasts, panel: Panel) -> tuple[np.ndarray, np.ndarray]:
    if contrasts.index["kind"].tolist() != ["two_way"]:
        raise UsageError(
            "errors by cluster are there for the two-way coefficient", where="inference", fix='use "cohort"'
        )
    weights = contrasts.weights[0]
    treatment = weights / panel.weights[:, None]
    treatment = treatment / (weights * treatment).sum()
    estimate = (weights * panel.values).sum()
    residuals = two_way_residuals(panel.values, panel) - estimate * treatment
    scores = (weights * residuals).sum(axis=1)
    n_regions, n_periods = panel.values.shape
    n = n_regions * n_periods
    counted = n_periods + len(panel.exposures) + 1
    factor = n_regions / (n_regions - 1) * (n - 1) / (n - counted)
    return np.array([[factor * scores @ scores]]), np.array([n_regions - 1.0])


RULES = {"cohort": _by_cohort, "influence": _by_influence, "cluster": _by_cluster}
