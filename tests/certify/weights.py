"""Samples drawn again and again from a known population: calibrated weights, replicate weights, medians, models."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis_lib.survey.calibration import Calibration, calibrate, margin, one_hot
from analysis_lib.survey.design import SurveyDesign
from analysis_lib.survey.estimation import mean
from analysis_lib.survey.quantiles import quantile
from analysis_lib.survey.regression import linear_model
from analysis_lib.survey.replication import balanced, bootstrap, estimate_replicated, jackknife

STRATA, TOWNSHIPS, OFFICIALS = 8, 60, 20  # townships per stratum, officials per township
DRAWN_TOWNSHIPS, DRAWN_OFFICIALS = 6, 5
DESIGN = SurveyDesign(stratum="stratum", psu="township")
MEETING_HOURS = 1.2  # what one more meeting a month costs, in the population


def certify(repetitions: int = 1000, seed: int = 20263) -> pd.DataFrame:
    """Bias, coverage of 95 % intervals, and standard error said ÷ standard error found, for each kind of estimate.

    Officials of 480 townships in eight strata; 48 townships and five officials in each are drawn. Hours depend on the
    tier (whose margin is known) and on meetings, with a skewed rest. Response depends on the tier, so that uncalibrated
    means are biased; half-samples pair the six townships of a stratum by merging three and three.
    """
    population = _population(seed)
    tiers = {str(tier): float(count) for tier, count in population["tier"].value_counts().items()}
    truth_line = _line(population)
    truths = {
        "mean, calibrated to the tier": population["hours"].mean(),
        "mean, not calibrated": population["hours"].mean(),
        "median": float(np.median(population["answer"])),
        "regression coefficient": truth_line,
        "mean, jackknife": population["answer"].mean(),
        "mean, half-samples": population["answer"].mean(),
        "mean, bootstrap": population["answer"].mean(),
        "median, bootstrap": float(np.median(population["answer"])),
    }
    found: dict[str, list[pd.Series]] = {name: [] for name in truths}
    for number, drawn in enumerate(_draws(population, repetitions, seed + 1)):
        answered = drawn[drawn["responds"]]
        calibration = _calibrated(answered, tiers)
        found["mean, calibrated to the tier"].append(
            mean(answered, "hours", design=DESIGN, calibration=calibration).iloc[0]
        )
        found["mean, not calibrated"].append(mean(answered, "hours", design=DESIGN).iloc[0])
        found["median"].append(quantile(drawn, "answer", 0.5, design=DESIGN).iloc[0])
        found["regression coefficient"].append(linear_model(drawn, "hours", ["meetings"], design=DESIGN).table.iloc[1])
        found["mean, jackknife"].append(estimate_replicated(drawn, "answer", weights=jackknife(drawn, DESIGN)).iloc[0])
        halves = drawn.assign(township=drawn["order"] % 2)
        found["mean, half-samples"].append(
            estimate_replicated(halves, "answer", weights=balanced(halves, DESIGN)).iloc[0]
        )
        shaken = bootstrap(drawn, DESIGN, replicates=100, seed=seed + number)
        found["mean, bootstrap"].append(estimate_replicated(drawn, "answer", weights=shaken).iloc[0])
        found["median, bootstrap"].append(
            estimate_replicated(drawn, "answer", weights=shaken, statistic="quantile").iloc[0]
        )
    return pd.DataFrame([_row(name, rows, truths[name], seed) for name, rows in found.items()])


def _row(name: str, rows: list[pd.Series], truth: float, seed: int) -> dict[str, object]:
    frame = pd.DataFrame(rows)
    spread = frame["estimate"].std()
    return {
        "what": name,
        "n": STRATA * DRAWN_TOWNSHIPS * DRAWN_OFFICIALS,
        "repetitions": len(frame),
        "bias": frame["estimate"].mean() - truth,
        "bias_in_se": (frame["estimate"].mean() - truth) / spread,
        "coverage": ((frame["ci_low"] <= truth) & (truth <= frame["ci_high"])).mean(),
        "se_ratio": float(np.sqrt((frame["se"] ** 2).mean()) / spread),
        "spread": spread,
        "seed": seed,
    }


def _population(seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    n = STRATA * TOWNSHIPS * OFFICIALS
    township = np.arange(n) // OFFICIALS
    tier = rng.choice([0, 1, 2], n, p=[0.2, 0.3, 0.5])
    meetings = rng.poisson(4, n)
    own = rng.normal(0, 2, STRATA * TOWNSHIPS)[township]
    rest = rng.gamma(2, 3, n)
    answer = 10 + own + rest + 0.5 * (township // TOWNSHIPS)
    return pd.DataFrame(
        {
            "stratum": township // TOWNSHIPS,
            "township": township,
            "tier": tier.astype(str),
            "meetings": meetings,
            "answer": answer,
            "hours": answer + 6 * tier + MEETING_HOURS * meetings,
            "responds": rng.random(n) < np.array([0.5, 0.7, 0.95])[tier],
        }
    )


def _draws(population: pd.DataFrame, repetitions: int, seed: int):
    rng = np.random.default_rng(seed)
    rows = np.arange(len(population)).reshape(STRATA, TOWNSHIPS, OFFICIALS)
    weight = TOWNSHIPS / DRAWN_TOWNSHIPS * OFFICIALS / DRAWN_OFFICIALS
    order = np.repeat(np.arange(STRATA * DRAWN_TOWNSHIPS), DRAWN_OFFICIALS)
    for _ in range(repetitions):
        townships = rng.permuted(np.tile(np.arange(TOWNSHIPS), (STRATA, 1)), axis=1)[:, :DRAWN_TOWNSHIPS]
        chosen = rows[np.arange(STRATA)[:, None], townships].reshape(-1, OFFICIALS)
        taken = rng.permuted(chosen, axis=1)[:, :DRAWN_OFFICIALS].ravel()
        yield population.iloc[taken].reset_index(drop=True).assign(weight=weight, order=order)


def _calibrated(answered: pd.DataFrame, tiers: dict[str, float]) -> Calibration:
    code, totals = margin(answered["tier"], tiers)
    return calibrate(answered["weight"].to_numpy(), one_hot(code, len(totals)), totals, method="raking")


def _line(population: pd.DataFrame) -> float:
    """The slope of the line through the whole population: what the regression estimates, whatever the model."""
    return float(np.polyfit(population["meetings"], population["hours"], 1)[0])
