"""Areas with a known truth, estimated again and again: coverage and error of direct and model estimates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from analysis_lib.survey.fay_herriot import benchmark, diagnose, fit, gap_variance, smooth_variances

N_AREAS, DF_OF_AN_AREA, PER_RESPONDENT = 30, 4, 90.0
BETA = np.array([24.0, 1.5])
MODEL_VARIANCES = (0.0, 1.0, 3.0, 9.0)  # the mean sampling variance is about 4.8


def certify(repetitions: int = 2000, seed: int = 20261) -> pd.DataFrame:
    """Coverage of 95 % intervals, bias, and mean squared error of the model beside the direct estimate's.

    Thirty areas of 13 to 25 respondents in five regions, a covariate, sampling variances known only by estimates of
    four degrees of freedom each: those of counties in the demonstration study.
    """
    return pd.concat(
        [_certified(variance, repetitions, seed + step) for step, variance in enumerate(MODEL_VARIANCES)],
        ignore_index=True,
    )


@dataclass(frozen=True)
class Simulated:
    """Errors, variances and degrees of freedom of each sample by kind, and how many models were adjusted or passed."""

    respondents: np.ndarray  # by area
    kinds: dict[str, list[tuple[np.ndarray, np.ndarray, float]]]
    adjusted: int
    passed: int

    def errors(self, kind: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Errors, estimated variances, and half widths of 95 % intervals, shape (repetitions, areas)."""
        found = self.kinds[kind]
        error, variance = np.array([item[0] for item in found]), np.array([item[1] for item in found])
        return error, variance, stats.t.ppf(0.975, found[0][2]) * np.sqrt(variance)


def simulate(model_variance: float, repetitions: int, seed: int) -> Simulated:
    """The areas of `certify`, made up and estimated again and again."""
    rng = np.random.default_rng(seed)
    n = rng.integers(13, 26, N_AREAS)
    psi = PER_RESPONDENT / n
    covariates = np.column_stack([np.ones(N_AREAS), rng.normal(0, 1, N_AREAS)])
    region = np.arange(N_AREAS) // 6
    kinds: dict[str, list[tuple[np.ndarray, np.ndarray, float]]] = {"direct": [], "model": [], "benchmarked model": []}
    adjusted = passed = 0
    for _ in range(repetitions):
        truth = covariates @ BETA + rng.normal(0, np.sqrt(model_variance), N_AREAS)
        direct = truth + rng.normal(0, np.sqrt(psi))
        variance = psi * rng.chisquare(DF_OF_AN_AREA, N_AREAS) / DF_OF_AN_AREA
        model = fit(direct, smooth_variances(variance, n, np.full(N_AREAS, DF_OF_AN_AREA)), covariates)
        adjusted, passed = adjusted + model.is_adjusted, passed + diagnose(model).passes
        kinds["direct"].append((direct - truth, variance, DF_OF_AN_AREA))
        kinds["model"].append((model.eblup - truth, model.mse, model.df))
        tied, mse = model.eblup.copy(), model.mse.copy()
        for code in range(region[-1] + 1):
            inside = region == code
            share = inside / inside.sum()
            fitted = benchmark(
                tied[inside], mse[inside], share[inside], float(share @ direct), gap_variance(model, share)
            )
            tied[inside], mse[inside] = fitted.estimate, fitted.mse
        kinds["benchmarked model"].append((tied - truth, mse, model.df))
    return Simulated(n, kinds, adjusted, passed)


def _certified(model_variance: float, repetitions: int, seed: int) -> pd.DataFrame:
    simulated = simulate(model_variance, repetitions, seed)
    of_direct, *_ = simulated.errors("direct")
    rows = []
    for kind in simulated.kinds:
        error, variance, reach = simulated.errors(kind)
        rows.append(
            {
                "what": f"small areas, {kind}, model variance {model_variance:g}",
                "n": N_AREAS,
                "repetitions": repetitions,
                "bias": error.mean(),
                "mse": np.mean(error**2),
                "mse_estimated": variance.mean(),
                "coverage": np.mean(np.abs(error) <= reach),
                "gain": np.mean(error**2) / np.mean(of_direct**2),
                "adjusted": simulated.adjusted / repetitions,
                "passes": simulated.passed / repetitions,
                "seed": seed,
            }
        )
    return pd.DataFrame(rows)
