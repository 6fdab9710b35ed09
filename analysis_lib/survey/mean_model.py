"""A weighted model of mean hours and what follows from it: arrays in, frozen results out.

The only home of statsmodels' names. Only the mean is modelled; the design gives the errors, whatever the distribution::

    log        E y = exp(x'β)      Poisson quasi-likelihood: zeros and skew are no problem, no variance is assumed
    identity   E y = x'β           weighted least squares
    equations  Σ w (y − μ) x = 0   of both forms (their links are canonical)
    influence  ψ = A⁻¹ w (y − μ) x        A = Σ w μ' x x'      of a row on β (Binder 1983)
    effect     θ = Σ w [μ(x¹) − μ(x⁰)] / Σ w
               w ([μ(x¹) − μ(x⁰)] − θ) / Σ w + ψ'g             of a row on θ, g the derivative of θ by β

The influence of a row is its linearised score: summed to PSUs it gives every variance by the formula of all other
estimates. An effect's score holds both the delta method for β and the sampling of those it is averaged over.
Rows outside (weight zero) have no influence and stay in their strata and PSUs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from statsmodels.genmod import families
from statsmodels.genmod.generalized_linear_model import GLM

from analysis_lib.errors import DesignError
from analysis_lib.survey.design import Sample
from analysis_lib.survey.driver_plan import Form

DEPENDENT = 1e-11  # a column of whose square no more is left by the others is a combination of them
CONVERGED = 1e-10
MAX_ITERATIONS = 100


@dataclass(frozen=True, slots=True, eq=False)
class MeanModel:
    """A fitted mean.

    Attributes
    ----------
    y, x, weight : numpy.ndarray
        What was fitted: shapes (rows,), (rows, k), (rows,).
    form : str
        ``log`` or ``identity``.
    beta : numpy.ndarray
        Coefficients, shape (k,).
    mean : numpy.ndarray
        Fitted mean of each row, shape (rows,).
    influence : numpy.ndarray
        Linearised scores of the coefficients, shape (rows, k).
    """

    y: np.ndarray
    x: np.ndarray
    weight: np.ndarray
    form: Form
    beta: np.ndarray
    mean: np.ndarray
    influence: np.ndarray

    @property
    def index(self) -> np.ndarray:
        """Linear predictor x'β of each row."""
        return self.x @ self.beta

    def mean_at(self, x: np.ndarray) -> np.ndarray:
        """Mean of rows of ``x``."""
        return np.exp(x @ self.beta) if self.form == "log" else x @ self.beta

    def slope_at(self, x: np.ndarray) -> np.ndarray:
        """Derivative of the mean by the linear predictor."""
        return self.mean_at(x) if self.form == "log" else np.ones(len(x))


def fit_mean(
    y: np.ndarray, x: np.ndarray, weight: np.ndarray, form: Form, *, start: np.ndarray | None = None
) -> MeanModel:
    """Fit the mean of ``y`` given ``x``; rows of weight zero are outside.

    Parameters
    ----------
    start : numpy.ndarray, optional
        Coefficients known to be near, as of the same model on nearly the same rows: a few Newton steps then do.

    Raises
    ------
    DesignError
        When a column of ``x`` is a combination of others, a log mean meets negative values or nothing but zeros, or
        the iterations do not settle.
    """
    inside = weight > 0
    if len(dependent_columns(x, weight)):
        raise DesignError("terms cannot be told apart", where="model of the mean", fix="take one of them out")
    if form == "log" and ((y[inside] < 0).any() or not y[inside].any()):
        raise DesignError(
            "values below zero, or nothing but zeros", where="model of the mean, log form", fix='form = "identity"'
        )
    try:
        beta = _glm(y, x, weight, form) if start is None else _settled(y, x, weight, form, start)
        mean, bread = _mean_and_bread(x, weight, form, beta)
        influence = np.linalg.solve(bread, (x * (weight * (y - mean))[:, None]).T).T
    except np.linalg.LinAlgError as error:  # a mean that runs off to zero leaves nothing to solve
        raise _unsettled() from error
    return MeanModel(y, x, weight, form, beta, mean, influence)


def _glm(y: np.ndarray, x: np.ndarray, weight: np.ndarray, form: Form) -> np.ndarray:
    inside = weight > 0
    scale = weight[inside].mean()  # keeps sums of large weights from swamping the convergence check
    fitted = GLM(y[inside], x[inside], family=_family(form), var_weights=weight[inside] / scale).fit(
        maxiter=MAX_ITERATIONS, tol=1e-12, rtol=CONVERGED, tol_criterion="params"
    )
    if not fitted.converged:
        raise _unsettled()
    return np.asarray(fitted.params)


def _settled(y: np.ndarray, x: np.ndarray, weight: np.ndarray, form: Form, beta: np.ndarray) -> np.ndarray:
    """Newton steps for Σ w (y − μ) x = 0."""
    for _ in range(MAX_ITERATIONS):
        mean, bread = _mean_and_bread(x, weight, form, beta)
        step = np.linalg.solve(bread, x.T @ (weight * (y - mean)))
        beta = beta + step
        if (np.abs(step) <= CONVERGED * np.abs(beta) + 1e-12).all():
            return beta
    raise _unsettled()


def _mean_and_bread(x: np.ndarray, weight: np.ndarray, form: Form, beta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    index = x @ beta
    mean = np.exp(index) if form == "log" else index
    slope = mean if form == "log" else np.ones(len(x))
    return mean, (x * (weight * slope)[:, None]).T @ x


def _family(form: Form) -> families.Family:
    return families.Poisson() if form == "log" else families.Gaussian()


def _unsettled() -> DesignError:
    return DesignError(
        f"no solution after {MAX_ITERATIONS} steps", where="model of the mean", fix="take rare categories together"
    )


def dependent_columns(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Columns that are combinations of the columns before them, within the rows of positive weight."""
    inside = x[weight > 0]
    length = np.sqrt((inside**2).sum(axis=0))
    unit = inside / np.where(length > 0, length, 1.0)
    products = unit.T @ unit
    left = products.diagonal().copy()
    for place in range(1, len(left)):  # what is left of a column when the columns before it are taken out
        before = products[:place, place]
        left[place] -= before @ np.linalg.lstsq(products[:place, :place], before, rcond=DEPENDENT)[0]
    return np.flatnonzero(left < DEPENDENT)


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """A comparison that an effect is about: columns of ``x`` set or raised for everybody.

    Attributes
    ----------
    columns : list of int
        Columns that the comparison sets.
    before, after : numpy.ndarray or None
        Their values on both sides; None before: as they are, with ``after`` added.
    """

    columns: list[int]
    before: np.ndarray | None
    after: np.ndarray


def average_effects(model: MeanModel, steps: list[Step]) -> tuple[np.ndarray, np.ndarray]:
    """Average change of the mean by each step, all else as it is, and the score of each row.

    Returns
    -------
    tuple of numpy.ndarray
        Effects, shape (steps,), and linearised scores, shape (rows, steps).
    """
    effects, scores = np.empty(len(steps)), np.empty((len(model.y), len(steps)))
    for place, step in enumerate(steps):
        before, after = model.x.copy(), model.x.copy()
        if step.before is None:
            after[:, step.columns] += step.after
        else:
            before[:, step.columns], after[:, step.columns] = step.before, step.after
        effects[place], scores[:, place] = average_change(model, before, after)
    return effects, scores


def average_change(model: MeanModel, before: np.ndarray, after: np.ndarray) -> tuple[float, np.ndarray]:
    """Average change of the mean between two model matrices of the rows fitted, and the score of each row."""
    share = model.weight / model.weight.sum()
    change = model.mean_at(after) - model.mean_at(before)
    effect = float(share @ change)
    gradient = (share * model.slope_at(after)) @ after - (share * model.slope_at(before)) @ before
    return effect, share * (change - effect) + model.influence @ gradient


def variances(sample: Sample, scores: np.ndarray) -> np.ndarray:
    """Design variance of each column of linearised scores, rows in the order of the sample."""
    return sample.variances(scores, np.zeros(len(scores), dtype=np.int64), sample.stages[-1].unit, 1)[0]


# -- diagnostics --------------------------------------------------------------------------------------


def generalised_vif(model: MeanModel, groups: list[list[int]]) -> np.ndarray:
    """Variance inflation of each group of columns by the others, GVIF^(1/p) (Fox and Monette 1992); column 0 is constant.

    For a single column it is the usual variance inflation factor.
    """
    share = model.weight / model.weight.sum()
    centred = (model.x - share @ model.x)[:, 1:]
    spread = np.sqrt(share @ centred**2)
    correlation = (centred * share[:, None]).T @ centred / np.outer(spread, spread)
    found = np.empty(len(groups))
    for place, columns in enumerate(groups):
        own = np.array(columns) - 1
        others = np.setdiff1d(np.arange(len(correlation)), own)
        parts = [np.linalg.slogdet(correlation[np.ix_(part, part)])[1] for part in (own, others)]
        found[place] = np.exp((sum(parts) - np.linalg.slogdet(correlation)[1]) / len(own))
    return found


def deviance_residuals(model: MeanModel) -> np.ndarray:
    """Signed root of each row's part of the (Poisson or normal) deviance."""
    family = _family(model.form)
    return family.resid_dev(model.y, np.where(model.weight > 0, model.mean, np.maximum(model.mean, 1e-300)))


def explained(model: MeanModel) -> tuple[float, float]:
    """Share of the deviance that the model explains, and squared correlation of fitted with observed."""
    inside = model.weight > 0
    weight = model.weight[inside] / model.weight[inside].sum()
    level = np.full(inside.sum(), weight @ model.y[inside])
    family = _family(model.form)
    left = family.deviance(model.y[inside], model.mean[inside], var_weights=weight)
    whole = family.deviance(model.y[inside], level, var_weights=weight)
    off, fit = model.y[inside] - level, model.mean[inside] - weight @ model.mean[inside]
    squared = (weight @ (off * fit)) ** 2 / ((weight @ off**2) * (weight @ fit**2))
    return float(1 - left / whole), float(squared)


def link_test(model: MeanModel) -> MeanModel:
    """The outcome on the fitted index and its square; the last coefficient is zero where the form fits (Pregibon 1980)."""
    index = model.index
    level = np.average(index, weights=model.weight)
    index = index - level
    return fit_mean(model.y, np.column_stack([np.ones(len(index)), index, index**2]), model.weight, model.form)


def variance_power(model: MeanModel) -> MeanModel:
    """log E (y − μ)² on log μ: the slope is 0 for a constant variance, 1 for Poisson, 2 for gamma (Park test)."""
    mean = np.where(model.weight > 0, model.mean, 1.0)
    weight = np.where(mean > 0, model.weight, 0.0)
    log_mean = np.log(np.where(mean > 0, mean, 1.0))
    return fit_mean((model.y - mean) ** 2, np.column_stack([np.ones(len(mean)), log_mean]), weight, "log")
