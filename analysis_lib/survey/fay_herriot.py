"""The area-level model of Fay and Herriot (1979): direct estimates drawn towards a regression; numbers only.

For areas i = 1 … m with direct estimates y, covariates x and known sampling variances ψ::

    y_i = x_i'β + u_i + e_i            u_i ~ (0, A), e_i ~ (0, ψ_i)
    EBLUP   θ_i = γ_i y_i + (1 − γ_i) x_i'β        γ_i = A / (A + ψ_i), the shrinkage factor: 1 is the direct estimate
    MSE     g1 + g2 + 2 g3 (REML)                  Datta and Lahiri (2000); Rao and Molina (2015), ch. 6
            g1 = γ_i ψ_i                           what is left when β and A are known
            g2 = (1 − γ_i)² x_i' Q x_i             Q = (Σ x x' / (A + ψ))⁻¹, the price of estimating β
            g3 = (1 − γ_i)² V(A) / (A + ψ_i)       the price of estimating A; V(A) = 2 / Σ (A + ψ)⁻²

ML and the moment estimator of Fay and Herriot carry a bias in A, whose effect (1 − γ)² b is taken off their MSE.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import optimize, stats

from analysis_lib.errors import DesignError

Method = Literal["reml", "ml", "moments"]
SMALLEST_DF = 5  # areas beyond the number of coefficients, below which the model variance is anybody's guess
LEVEL = 0.05  # at which the diagnostics together reject a true model


@dataclass(frozen=True, slots=True, eq=False)
class FayHerriot:
    """A fitted model.

    Attributes
    ----------
    direct, sampling_variance, covariates : numpy.ndarray
        What went in: shapes (m,), (m,), (m, p).
    method : str
        How A was estimated.
    model_variance : float
        A.
    is_adjusted : bool
        Whether the likelihood put A at zero, and A is the maximum of the adjusted likelihood instead.
    coefficients, coefficient_covariance : numpy.ndarray
        β and Q.
    synthetic, shrinkage, eblup, mse : numpy.ndarray
        x'β, γ, θ and its mean squared error, shape (m,).
    loglikelihood : float
        Of the data at (β, A), normal errors.
    """

    direct: np.ndarray
    sampling_variance: np.ndarray
    covariates: np.ndarray
    method: Method
    model_variance: float
    is_adjusted: bool
    coefficients: np.ndarray
    coefficient_covariance: np.ndarray
    synthetic: np.ndarray
    shrinkage: np.ndarray
    eblup: np.ndarray
    mse: np.ndarray
    loglikelihood: float

    @property
    def df(self) -> int:
        """Areas less coefficients."""
        return len(self.direct) - len(self.coefficients)

    @property
    def residuals(self) -> np.ndarray:
        """Direct less synthetic estimates, in their standard deviations."""
        return (self.direct - self.synthetic) / np.sqrt(self.model_variance + self.sampling_variance)

    def predict(self, covariates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Synthetic estimates x'β of areas without a direct one, and their mean squared errors A + x'Qx."""
        spread = _quadratic(covariates, self.coefficient_covariance)
        return covariates @ self.coefficients, self.model_variance + spread


def fit(
    direct: np.ndarray, sampling_variance: np.ndarray, covariates: np.ndarray, method: Method = "reml"
) -> FayHerriot:
    """Fit the model.

    Parameters
    ----------
    direct, sampling_variance : numpy.ndarray
        Estimates of the areas and their known variances, all above zero.
    covariates : numpy.ndarray
        Shape (m, p), the column of ones included.
    method : str
        ``reml``, ``ml`` or ``moments``. REML at zero would give every area its synthetic estimate with hardly any
        error; A is then the maximum of the likelihood times arctan(Σγ)^(1/m), which is never zero (Yoshimori and
        Lahiri 2014). The other two keep their zero.

    Raises
    ------
    DesignError
        For missing values, variances that are not positive, too few areas, or covariates that say the same twice.
    """
    y, psi, x = (np.asarray(values, float) for values in (direct, sampling_variance, covariates))
    _check(y, psi, x)
    model_variance, is_adjusted = _model_variance(y, psi, x, method), False
    if method == "reml" and model_variance == 0:
        model_variance, is_adjusted = _root(_adjusted_score, y, psi, x), True
    beta, q, _ = _regression(model_variance, y, psi, x)
    synthetic = x @ beta
    gamma = model_variance / (model_variance + psi)
    total = model_variance + psi
    return FayHerriot(
        direct=y,
        sampling_variance=psi,
        covariates=x,
        method=method,
        model_variance=model_variance,
        is_adjusted=is_adjusted,
        coefficients=beta,
        coefficient_covariance=q,
        synthetic=synthetic,
        shrinkage=gamma,
        eblup=gamma * y + (1 - gamma) * synthetic,
        mse=_mse(model_variance, psi, x, q, method),
        loglikelihood=float(-0.5 * np.sum(np.log(2 * np.pi * total) + (y - synthetic) ** 2 / total)),
    )


def smooth_variances(variance: np.ndarray, n: np.ndarray, df: np.ndarray) -> np.ndarray:
    """Sampling variances from a generalised variance function, for areas whose own are too noisy to weigh by.

    Parameters
    ----------
    variance : numpy.ndarray
        Estimated variances of the areas; missing where an area shows none.
    n, df : numpy.ndarray
        Respondents behind each estimate, and degrees of freedom of each variance.

    Returns
    -------
    numpy.ndarray
        κ / n, where κ is the mean of n · variance over the areas, weighted by their degrees of freedom: one variance
        per respondent for all areas of a model, design effect included. It rests on the sum of the degrees of freedom
        instead of a handful. Missing where n is zero.

    Notes
    -----
    A variance of four degrees of freedom is off by a factor of two or more in one area of five; used as it is, the
    model would trust the areas that look precise by luck (Rao and Molina 2015, 6.4.1). The function holds the
    variance between people alike in all areas; `diagnose` tests it.
    """
    n = n.astype(float)
    usable = np.isfinite(variance) & (n > 0) & (df >= 1)
    if not usable.any():
        raise DesignError("no area shows a variance", where="small areas", fix="widen the areas, or pool more quarters")
    per_respondent = np.average((n * variance)[usable], weights=df[usable])
    return np.divide(per_respondent, n, out=np.full(len(n), np.nan), where=n > 0)


@dataclass(frozen=True, slots=True)
class Diagnostics:
    """Whether a fitted model may speak for areas.

    Attributes
    ----------
    normality : float
        p-value of Shapiro and Wilk on the standardised residuals.
    outlier : float
        p-value of the largest of them, for as many areas.
    variances : float
        p-value of the rank correlation of their squares with ψ: the variances fit the areas of every size.
    agreement : float
        p-value of Σ (y − θ)² / (ψ + mse) against χ²(m): the model does not contradict the direct estimates (Brown et
        al. 2001).
    passes : bool
        None of the four is below a quarter of `LEVEL`.
    """

    normality: float
    outlier: float
    variances: float
    agreement: float

    @property
    def passes(self) -> bool:
        """Whether a true model would often look so."""
        return min(self.normality, self.outlier, self.variances, self.agreement) >= LEVEL / 4


def diagnose(model: FayHerriot) -> Diagnostics:
    """Test the assumptions that the shrunken estimates and their errors rest on."""
    residuals, psi = model.residuals, model.sampling_variance
    distance = np.sum((model.direct - model.eblup) ** 2 / (psi + model.mse))
    is_constant = np.ptp(psi) == 0
    return Diagnostics(
        normality=float(stats.shapiro(residuals).pvalue),
        outlier=float(min(1.0, len(residuals) * 2 * stats.norm.sf(np.abs(residuals).max()))),
        variances=1.0 if is_constant else float(np.asarray(stats.spearmanr(residuals**2, psi))[1]),
        agreement=float(stats.chi2.sf(distance, len(residuals))),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Benchmarked:
    """Estimates of areas that average to a given total.

    Attributes
    ----------
    estimate, mse : numpy.ndarray
        Adjusted estimates and their mean squared errors.
    gap : float
        Benchmark less the average before the adjustment.
    """

    estimate: np.ndarray
    mse: np.ndarray
    gap: float


def benchmark(
    estimate: np.ndarray,
    mse: np.ndarray,
    share: np.ndarray,
    target: float,
    gap_variance: float,
    how: Literal["ratio", "difference"] = "ratio",
) -> Benchmarked:
    """Adjust the areas of a larger region so that their average is the region's own estimate.

    Parameters
    ----------
    estimate, mse : numpy.ndarray
        EBLUPs of all areas of the region.
    share : numpy.ndarray
        Share of each area in the region's population, adding up to one.
    target : float
        The region's own estimate.
    gap_variance : float
        Variance of the gap, from `gap_variance`.
    how : str
        ``ratio`` multiplies every area by the same factor (keeps hours above zero), ``difference`` adds the same.

    Notes
    -----
    The error of a BLUP is uncorrelated with every contrast of the direct estimates, hence with the gap: adding a_i times
    the gap adds a_i² V(gap) to the MSE, as far as A is known and the target is the same direct estimates averaged
    (Steorts and Ghosh 2013). a_i is one for ``difference``, estimate ÷ average for ``ratio`` (to first order).
    """
    average = float(share @ estimate)
    gap = target - average
    if how == "ratio" and average <= 0:
        raise DesignError("the average is not positive", where="benchmark", fix='take how = "difference"')
    step = estimate / average if how == "ratio" else np.ones(len(estimate))
    return Benchmarked(estimate + step * gap, mse + step**2 * gap_variance, gap)


def gap_variance(model: FayHerriot, share: np.ndarray) -> float:
    """Variance of Σ share (y − θ) under the model; ``share`` has one entry for each area of the model."""
    weight = share * (1 - model.shrinkage)
    total = model.model_variance + model.sampling_variance
    pulled = model.covariates.T @ weight
    return float(max(0.0, weight**2 @ total - pulled @ model.coefficient_covariance @ pulled))


# -- the model variance -------------------------------------------------------------------------------

Score = Callable[[float, np.ndarray, np.ndarray, np.ndarray], float]


def _check(y: np.ndarray, psi: np.ndarray, x: np.ndarray) -> None:
    if not (np.isfinite(y).all() and np.isfinite(psi).all() and np.isfinite(x).all()) or (psi <= 0).any():
        raise DesignError(
            "an area has no estimate, no covariate, or no variance above zero",
            where="small areas",
            fix="leave such areas to predict(), and smooth the variances",
        )
    if len(y) < x.shape[1] + SMALLEST_DF:
        raise DesignError(
            f"{len(y)} areas are too few for {x.shape[1]} coefficients",
            where="small areas",
            fix=f"drop covariates or take at least {x.shape[1] + SMALLEST_DF} areas",
        )
    if np.linalg.matrix_rank(x) < x.shape[1]:
        raise DesignError("the covariates are collinear", where="small areas", fix="drop one of them")


def _regression(
    model_variance: float, y: np.ndarray, psi: np.ndarray, x: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Generalised least squares at a given A: β, Q and the residuals."""
    inverse = 1 / (model_variance + psi)
    q = np.linalg.inv(x.T @ (inverse[:, None] * x))
    beta = q @ (x.T @ (inverse * y))
    return beta, q, y - x @ beta


def _ml_score(a: float, y: np.ndarray, psi: np.ndarray, x: np.ndarray) -> float:
    inverse = 1 / (a + psi)
    _, _, residual = _regression(a, y, psi, x)
    return float(0.5 * np.sum((inverse * residual) ** 2) - 0.5 * inverse.sum())


def _reml_score(a: float, y: np.ndarray, psi: np.ndarray, x: np.ndarray) -> float:
    inverse = 1 / (a + psi)
    _, q, residual = _regression(a, y, psi, x)
    trace = inverse.sum() - np.sum(q * (x.T @ (inverse[:, None] ** 2 * x)))
    return float(0.5 * np.sum((inverse * residual) ** 2) - 0.5 * trace)


def _adjusted_score(a: float, y: np.ndarray, psi: np.ndarray, x: np.ndarray) -> float:
    gamma = np.sum(a / (a + psi))
    slope = np.sum(psi / (a + psi) ** 2) / (1 + gamma**2) / np.arctan(gamma)
    return _reml_score(a, y, psi, x) + slope / len(y)


def _moment_score(a: float, y: np.ndarray, psi: np.ndarray, x: np.ndarray) -> float:
    _, _, residual = _regression(a, y, psi, x)
    return float(np.sum(residual**2 / (a + psi)) - (len(y) - x.shape[1]))


_SCORES: dict[str, Score] = {"ml": _ml_score, "reml": _reml_score, "moments": _moment_score}


def _model_variance(y: np.ndarray, psi: np.ndarray, x: np.ndarray, method: Method) -> float:
    """A, or zero where the likelihood falls from there on."""
    return _root(_SCORES[method], y, psi, x)


def _root(score: Score, y: np.ndarray, psi: np.ndarray, x: np.ndarray) -> float:
    """The largest A at which the score turns from rising to falling; zero when it does so nowhere.

    The score is looked at on a grid first: a likelihood with two maxima has the larger one where areas differ most.
    """
    residual = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
    largest = 100 * (residual @ residual / max(1, len(y) - x.shape[1]) + psi.max())
    grid = np.geomspace(1e-8 * psi.min(), largest, 60)
    rising = np.flatnonzero([score(a, y, psi, x) > 0 for a in grid])
    if not len(rising):
        return 0.0
    last = int(rising[-1])
    if last == len(grid) - 1:
        raise DesignError("no model variance fits", where="small areas", fix="look for an area of another scale")
    found = optimize.root_scalar(
        score, args=(y, psi, x), bracket=(grid[last], grid[last + 1]), method="brentq", xtol=1e-14, rtol=1e-13
    )
    return float(found.root)


def _mse(a: float, psi: np.ndarray, x: np.ndarray, q: np.ndarray, method: Method) -> np.ndarray:
    inverse = 1 / (a + psi)
    lost = psi * inverse  # 1 − γ
    m, s1, s2 = len(psi), inverse.sum(), np.sum(inverse**2)
    if method == "moments":
        variance_of_a, bias = 2 * m / s1**2, 2 * (m * s2 - s1**2) / s1**3
    else:
        variance_of_a = 2 / s2
        bias = -np.sum(q * (x.T @ (inverse[:, None] ** 2 * x))) / s2 if method == "ml" else 0.0
    g1 = psi * (1 - lost)
    g2 = lost**2 * _quadratic(x, q)
    g3 = lost**2 * variance_of_a * inverse
    return g1 + g2 + 2 * g3 - bias * lost**2


def _quadratic(x: np.ndarray, q: np.ndarray) -> np.ndarray:
    return np.einsum("ij,jk,ik->i", x, q, x)
