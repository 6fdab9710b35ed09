"""Linear models whose errors follow the sample design, and the tests that rest on them.

The coefficients are weighted least squares; their covariance is that of the totals of their scores
w x e (X'WX)⁻¹ under the design (Binder 1983), as R's ``svyglm`` of a Gaussian family. Residual degrees of freedom are
those of the design, one more, less the number of coefficients.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import linalg, stats

from analysis_lib.errors import DesignError, UsageError, did_you_mean
from analysis_lib.survey.calibration import Calibration
from analysis_lib.survey.design import Sample, SurveyDesign, read_sample

REFINEMENTS = 4  # the first finds the solution, the others its last digits


@dataclass(frozen=True, slots=True, eq=False)
class LeastSquares:
    """A least-squares fit.

    Attributes
    ----------
    coefficients : numpy.ndarray
        Shape (k,).
    residuals : numpy.ndarray
        Shape (rows,).
    inverse : numpy.ndarray
        (X'WX)⁻¹, shape (k, k).
    """

    coefficients: np.ndarray
    residuals: np.ndarray
    inverse: np.ndarray


def least_squares(x: np.ndarray, y: np.ndarray, weight: np.ndarray | None = None) -> LeastSquares:
    """Weighted least squares by orthogonal triangularisation, then refined.

    Columns are brought to one length first; normal equations, which square the condition number, are never formed.
    Coefficients and residuals are refined together on what the two equations y = r + Xb and X'r = 0 leave, summed with
    twice the digits of a double (Björck 1967; Ogita, Rump and Oishi 2005): polynomials of high degree need it.

    Raises
    ------
    DesignError
        When a column repeats others to the last digit of a double.
    """
    root = np.ones(len(y)) if weight is None else np.sqrt(weight)
    x, y = x * root[:, None], y * root
    length = np.linalg.norm(x, axis=0)
    length[length == 0] = 1.0
    q, r = np.linalg.qr(x / length)
    weakest = np.abs(np.diagonal(r)).min(initial=np.inf)
    if len(y) < x.shape[1] or weakest < x.shape[1] * np.finfo(float).eps:
        raise DesignError(
            f"{x.shape[1]} coefficients cannot be told apart by {len(y)} rows",
            where="linear model",
            fix="leave out predictors that repeat others",
        )
    coefficients, residuals = np.zeros(x.shape[1]), np.zeros(len(y))
    for _ in range(REFINEMENTS):
        products, errors = _exact_products(x.T, -coefficients[:, None])
        missed = _careful_sum(np.vstack([y, -residuals, products]), errors.sum(axis=0))
        products, errors = _exact_products(x, -residuals[:, None])
        slanted = _careful_sum(products, errors.sum(axis=0)) / length
        turned = q.T @ missed - linalg.solve_triangular(r, slanted, trans=1)
        coefficients = coefficients + linalg.solve_triangular(r, turned) / length
        residuals = residuals + missed - q @ turned
    half = linalg.solve_triangular(r, np.eye(len(r))) / length[:, None]
    return LeastSquares(coefficients, np.divide(residuals, root, where=root > 0, out=residuals), half @ half.T)


def _careful_sum(terms: np.ndarray, carried: np.ndarray) -> np.ndarray:
    """Sum over the first axis, in pairs, what each addition rounds away being carried along."""
    while len(terms) > 1:
        half = len(terms) // 2
        a, b, rest = terms[:half], terms[half : 2 * half], terms[2 * half :]
        total = a + b
        grown = total - a
        carried = carried + ((a - (total - grown)) + (b - grown)).sum(axis=0)
        terms = np.concatenate([total, rest])
    return terms[0] + carried


def _exact_products(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Products and what their rounding took away (Dekker 1971)."""

    def halves(number: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        shifted = number * (2**27 + 1)
        high = shifted - (shifted - number)
        return high, number - high

    product, (a_high, a_low), (b_high, b_low) = a * b, halves(a), halves(b)
    return product, ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low


@dataclass(frozen=True, slots=True, eq=False)
class LinearModel:
    """A fitted model.

    Attributes
    ----------
    table : pandas.DataFrame
        ``term``, ``estimate``, ``se``, ``t``, ``p``, ``ci_low``, ``ci_high``.
    covariance : numpy.ndarray
        Design-based covariance of the coefficients, in the order of the table.
    df : int
        Residual degrees of freedom.
    n : int
        Rows fitted.
    """

    table: pd.DataFrame
    covariance: np.ndarray
    df: int
    n: int


def linear_model(
    frame: pd.DataFrame,
    outcome: str,
    predictors: list[str],
    *,
    design: SurveyDesign,
    where: pd.Series | None = None,
    calibration: Calibration | None = None,
    confidence_level: float = 0.95,
) -> LinearModel:
    """Survey-weighted linear regression.

    Parameters
    ----------
    frame : pandas.DataFrame
        The whole sample; name a domain in ``where``.
    outcome, predictors : str, list of str
        Columns. Text and booleans become indicators of every category but the first in order. Rows with a gap, or
        without a positive weight, leave the domain.
    calibration : Calibration, optional
        Calibrated weights in the place of the design's, and their smaller variance.

    Raises
    ------
    DesignError
        When there are no degrees of freedom left or predictors repeat each other.
    """
    sample = read_sample(frame, design)
    weight = frame[design.weight].to_numpy(float) if calibration is None else calibration.weights
    for column in [outcome, *predictors]:
        if column not in frame.columns:
            raise UsageError(f"{column!r} is no column", where="linear model", fix=did_you_mean(column, frame.columns))
    inside = frame[[outcome, *predictors]].notna().all(axis=1).to_numpy() & (np.nan_to_num(weight) > 0)
    if where is not None:
        inside &= where.to_numpy(bool)
    terms, x = _model_matrix(frame[predictors][inside])
    fit = least_squares(x, frame.loc[inside, outcome].to_numpy(float), weight[inside])
    scores = np.zeros((len(frame), len(terms)))
    scores[inside] = x * fit.residuals[:, None] @ fit.inverse
    covariance = design_covariance(sample, scores, weight, calibration)
    df = _degrees_of_freedom(sample, inside) + 1 - len(terms)
    if df < 1:
        raise DesignError(
            f"{len(terms)} coefficients leave no degrees of freedom", where="linear model", fix="take fewer predictors"
        )
    se = np.sqrt(np.diagonal(covariance))
    half = stats.t.ppf((1 + confidence_level) / 2, df) * se
    t = np.divide(fit.coefficients, se, out=np.full(len(se), np.nan), where=se > 0)
    table = pd.DataFrame(
        {
            "term": terms,
            "estimate": fit.coefficients,
            "se": se,
            "t": t,
            "p": 2 * stats.t.sf(np.abs(t), df),
            "ci_low": fit.coefficients - half,
            "ci_high": fit.coefficients + half,
        }
    )
    return LinearModel(table, covariance, df, int(inside.sum()))


def t_test(
    frame: pd.DataFrame,
    column: str,
    group: str,
    *,
    design: SurveyDesign,
    where: pd.Series | None = None,
    confidence_level: float = 0.95,
) -> pd.Series:
    """Test of equal means of two groups: the row of the second group's coefficient, as R's ``svyttest``, with ``df``."""
    model = linear_model(frame, column, [group], design=design, where=where, confidence_level=confidence_level)
    if len(model.table) != 2:
        raise UsageError("not two groups", where=group, fix="name a column of two categories, or limit the domain")
    return pd.concat([model.table.iloc[1], pd.Series({"df": model.df})])


def rao_scott_test(
    frame: pd.DataFrame, rows: str, columns: str, *, design: SurveyDesign, where: pd.Series | None = None
) -> pd.Series:
    """Test of independence of two categories: Pearson's statistic with Rao and Scott's second-order correction.

    As R's ``svychisq(statistic = "F")``: ``f``, ``df_numerator``, ``df_denominator``, ``p``. Rows with a gap, or
    without a positive weight, leave the domain.

    Raises
    ------
    DesignError
        When a category of either column has nobody opposite every other: the table must have no empty cell.
    """
    sample = read_sample(frame, design)
    weight = frame[design.weight].to_numpy(float)
    inside = frame[[rows, columns]].notna().all(axis=1).to_numpy() & (np.nan_to_num(weight) > 0)
    if where is not None:
        inside &= where.to_numpy(bool)
    row, row_names = pd.factorize(frame.loc[inside, rows], sort=True)
    column, column_names = pd.factorize(frame.loc[inside, columns], sort=True)
    n_rows, n_columns = len(row_names), len(column_names)
    cell = row * n_columns + column
    share = np.bincount(cell, weight[inside], minlength=n_rows * n_columns) / weight[inside].sum()
    if (share == 0).any() or min(n_rows, n_columns) < 2:
        raise DesignError("the table has an empty cell or a single line", where=f"{rows} × {columns}", fix="merge")
    scores = np.zeros((len(frame), len(share)))
    scores[inside] = (np.eye(len(share))[cell] - share) / weight[inside].sum()
    covariance = design_covariance(sample, scores, weight, None)
    expected = np.outer(share.reshape(n_rows, n_columns).sum(axis=1), share.reshape(n_rows, n_columns).sum(axis=0))
    n = int(inside.sum())
    pearson = n * ((share - expected.ravel()) ** 2 / expected.ravel()).sum()
    contrast = _interactions(n_rows, n_columns)
    simple = contrast.T @ (contrast / share[:, None]) / n
    complex_ = (contrast / share[:, None]).T @ covariance @ (contrast / share[:, None])
    effects = np.linalg.solve(simple, complex_)  # generalised design effects
    trace = np.trace(effects)
    ndf = trace**2 / np.trace(effects @ effects)
    ddf = ndf * _degrees_of_freedom(sample, inside)
    f = pearson / trace
    return pd.Series({"f": f, "df_numerator": ndf, "df_denominator": ddf, "p": stats.f.sf(f, ndf, ddf)})


def design_covariance(
    sample: Sample, scores: np.ndarray, weight: np.ndarray, calibration: Calibration | None = None
) -> np.ndarray:
    """Covariance of estimates from the unweighted scores of every row (zero outside the domain), shape (rows, k)."""
    if calibration is not None:
        scores, weight = calibration.residuals(scores), calibration.weights
    return sample.covariance(np.nan_to_num(weight)[:, None] * scores)


def _degrees_of_freedom(sample: Sample, inside: np.ndarray) -> int:
    """PSUs less strata that hold the domain."""
    psu = np.unique(sample.psu[inside])
    return len(psu) - len(np.unique(sample.stages[0].parent[psu]))


def _model_matrix(frame: pd.DataFrame) -> tuple[list[str], np.ndarray]:
    """Intercept, numbers, and indicators of categories."""
    terms, columns = ["intercept"], [np.ones(len(frame))]
    for name in frame.columns:
        column = frame[name]
        if pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype):
            terms.append(str(name))
            columns.append(column.to_numpy(float))
            continue
        code, categories = pd.factorize(column, sort=True)
        for number, category in enumerate(categories[1:], start=1):
            terms.append(f"{name}={category}")
            columns.append((code == number).astype(float))
    return terms, np.column_stack(columns)


def _interactions(n_rows: int, n_columns: int) -> np.ndarray:
    """Columns of the saturated model of a table that are orthogonal to its main effects."""
    row, column = np.repeat(np.eye(n_rows), n_columns, axis=0), np.tile(np.eye(n_columns), (n_rows, 1))
    main = np.column_stack([row, column[:, 1:]])
    both = np.einsum("ij,ik->ijk", row[:, 1:], column[:, 1:]).reshape(len(row), -1)
    return both - main @ np.linalg.lstsq(main, both, rcond=None)[0]
