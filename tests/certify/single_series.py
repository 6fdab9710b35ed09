"""One series with a known break, drawn again and again: bias, coverage, and what other methods would have said.

Series have a trend, a season and autocorrelated noise of standard deviation 1; from two thirds or so of the quarters on
the reform takes off 2. Estimates move with the effect and errors do not, so ``size``, how often no effect is rejected
where there is none, is what coverage lacks to one. Foils: ``ols`` takes the noise as independent, ``hac`` corrects
standard errors for autocorrelation, and ``reml`` takes the estimated autocorrelation for the true one. All three
promise too much under autocorrelation in few quarters; ours, which weighs every one, is wide where there is none.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis_lib.effects.interrupted_time_series import segmented
from analysis_lib.quarters import Quarter

LENGTHS = {12: 8, 20: 12, 40: 24}  # quarters in all, and before the reform
PHIS = (0.0, 0.3, 0.6)
LEVEL = -2.0
SAMPLING_SHARE = 0.5  # of the variance of a quarter's mean, where sampling errors are known


def certify(repetitions: int = 600, seed: int = 20265) -> pd.DataFrame:
    """Rows for interrupted series of 12, 20 and 40 quarters at three autocorrelations."""
    return pd.concat(
        [
            interrupted_series(n, phi, is_sampled, repetitions if n < 40 else repetitions // 2, seed + step)
            for step, (n, phi, is_sampled) in enumerate(
                (n, phi, is_sampled) for n in LENGTHS for phi in PHIS for is_sampled in (False, True)
            )
        ],
        ignore_index=True,
    )


def interrupted_series(n: int, phi: float, is_sampled: bool, repetitions: int, seed: int) -> pd.DataFrame:
    """A row for our interval, and without sampling errors one for each foil."""
    rng = np.random.default_rng(seed)
    t = np.arange(n)
    in_force = t >= LENGTHS[n]
    process = 1 - SAMPLING_SHARE if is_sampled else 1.0
    covariance = process * phi ** np.abs(np.subtract.outer(t, t)) + (1 - process) * np.eye(n)
    root = np.linalg.cholesky(covariance)
    expected = 30 - 0.1 * t + np.array([1.0, -0.5, 0.5, -1.0])[t % 4] + LEVEL * in_force
    frame = pd.DataFrame({"period": [str(Quarter(2023, 1).shift(int(step))) for step in t]})
    if is_sampled:
        frame["se"] = np.sqrt(1 - process)
    start = str(frame["period"][LENGTHS[n]])
    found: dict[str, list[pd.Series]] = {"ours": []} if is_sampled else {"ours": [], "ols": [], "hac": [], "reml": []}
    for _ in range(repetitions):
        result = segmented(frame.assign(estimate=expected + root @ rng.standard_normal(n)), start=start)
        for method, rows in found.items():
            rows.append(result.effects.loc["level"] if method == "ours" else result.foils.loc[(method, "level")])
    which = "known sampling errors" if is_sampled else "no sampling errors"
    return pd.DataFrame(
        [_row(f"interrupted series, {which}, phi {phi:g}: {method}", n, pd.DataFrame(rows), LEVEL, repetitions, seed)
         for method, rows in found.items()]
    )  # fmt: skip


def _row(what: str, n: int, found: pd.DataFrame, truth: float, repetitions: int, seed: int) -> dict[str, object]:
    is_covered = (found["ci_low"] <= truth) & (truth <= found["ci_high"])
    return {
        "what": what,
        "n": n,
        "repetitions": repetitions,
        "truth": truth,
        "bias": float(found["estimate"].mean() - truth),
        "sd": float(found["estimate"].std()),
        "se": float(found["se"].mean()),
        "coverage": float(is_covered.mean()),
        "size": float(1 - is_covered.mean()),
        "power": float((found["p_value"] < 0.05).mean()),
        "seed": seed,
    }
