"""How often intervals of the next four quarters hold what comes, and how large the errors are against the naive forecast.

Series of quarterly means with a season and known sampling error: a level that stays, wanders slowly, or wanders as
much as the sampling error and more, and one that falls by a step two quarters before the forecast. Of a calm series a
step is taken for chance by the longer ones: there the intervals fail. ``error`` is the mean absolute error over four
quarters, ``naive error`` that of the same quarter last year; both and ``width`` in hours a week, with a sampling error of
0.4.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis_lib.monitoring.forecasts import HORIZON, forecast, interval_score
from analysis_lib.quarters import QUARTERS_PER_YEAR, Quarter

SE = 0.4  # hours a week, as in the demonstration
SEASON = np.array([0.0, 0.2, -0.4, 0.9])
WORLDS = {"stays": (0.0, 0.0), "wanders slowly": (0.5, 0.0), "wanders": (1.5, 0.5), "falls by a step": (0.0, 2.0)}
QUARTERS = (12, 20, 40)


def certify(repetitions: int = 500, seed: int = 20260401) -> pd.DataFrame:
    """Coverage and scores by world and length of the series."""
    rows = [
        recovered(world, n, repetitions=repetitions, seed=seed + place)
        for place, (world, n) in enumerate((world, n) for world in WORLDS for n in QUARTERS)
    ]
    return pd.DataFrame(rows)


def recovered(world: str, n_quarters: int, *, repetitions: int, seed: int) -> dict:
    """One world: coverage at one and four quarters ahead, mean width, and errors."""
    rng = np.random.default_rng(seed)
    found = np.array([_once(rng, world, n_quarters) for _ in range(repetitions)])
    covered, width, error, naive, score = np.moveaxis(found, 1, 0)
    return {
        "world": world, "quarters": n_quarters, "coverage, next quarter": covered[:, 0].mean(),
        "coverage, a year ahead": covered[:, -1].mean(), "coverage": covered.mean(), "width": width.mean(),
        "error": error.mean(), "naive error": naive.mean(), "interval score": score.mean(), "repetitions": repetitions,
        "seed": seed,
    }  # fmt: skip


def _once(rng: np.random.Generator, world: str, n: int) -> np.ndarray:
    wander, own = WORLDS[world]
    total = n + HORIZON
    level = 17 + np.cumsum(rng.normal(0, wander * SE, total)) + np.tile(SEASON, total)[:total]
    if world == "falls by a step":
        level[n - 2 :] -= own * SE
        own = 0.0
    y = level + rng.normal(0, own * SE, total) + rng.normal(0, SE, total)
    first = Quarter(2014, 1)
    series = pd.DataFrame({"period": [str(first.shift(t)) for t in range(n)], "estimate": y[:n], "se": SE})
    made, came = forecast(series), y[n:]
    low, high = made["ci_low"].to_numpy(), made["ci_high"].to_numpy()
    score = [interval_score(a, b, x, 0.95) for a, b, x in zip(low, high, came, strict=True)]
    naive = np.abs(y[n - QUARTERS_PER_YEAR : n] - came)
    return np.array([(low <= came) & (came <= high), high - low, np.abs(made["estimate"] - came), naive, score])
