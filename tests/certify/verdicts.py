"""How often the three verdict words are right: a required fall and four guards, drawn again and again.

The share of releases that say yes, no and cannot tell, by what is true; half-widths are those of the demonstration
study's national changes between years (gross hours 0.7, service 0.6, guards of scales and shares well below their margins)
and half of them, as with four times the officials.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from analysis_lib.monitoring.guardrails import Distinction, Indicator, judge

DF, LEVEL = 170, 0.95
WATCHED = Distinction(
    "responsibilities",
    (
        Indicator("gross", "fall", 0.5),
        Indicator("avoidable", "not_rise", 0.5),
        Indicator("excess", "not_rise", 0.5),
        Indicator("service", "not_fall", 0.5),
        Indicator("authority_gap", "not_rise", 0.05),
    ),
)
HALF_WIDTHS = np.array([0.7, 0.5, 0.65, 0.6, 0.008])
WORLDS = {  # true changes, and the right answer
    "a cut of two hours, all kept": ([-2.0, -1.3, -1.5, 0.3, 0.0], "yes"),
    "a cut of one hour, all kept": ([-1.0, -0.7, -0.8, 0.0, 0.0], "yes"),
    "a cut that just matters, all kept": ([-0.5, -0.3, -0.4, 0.0, 0.0], "yes"),
    "nothing happens": ([0.0, 0.0, 0.0, 0.0, 0.0], "no"),
    "more hours": ([1.0, 0.7, 0.8, 0.0, 0.0], "no"),
    "a cut, service falls to its margin": ([-2.0, -1.3, -1.5, -0.5, 0.0], "yes"),
    "a cut, service falls by an hour": ([-2.0, -1.3, -1.5, -1.0, 0.0], "no"),
    "a cut, service falls by two hours": ([-2.0, -1.3, -1.5, -2.0, 0.0], "no"),
    "a cut, tasks lose their authority": ([-2.0, -1.3, -1.5, 0.0, 0.08], "no"),
}


def certify(repetitions: int = 2000, seed: int = 20271) -> pd.DataFrame:
    """A row for each world and precision: the right answer and how often each is given."""
    rng = np.random.default_rng(seed)
    quantile = stats.t.isf((1 - LEVEL) / 2, DF)
    rows = []
    for precision, widths in (("demonstration", HALF_WIDTHS), ("four times the officials", HALF_WIDTHS / 2)):
        for world, (truth, right) in WORLDS.items():
            se = widths / quantile
            estimates = truth + se * rng.standard_normal((repetitions, len(truth)))
            halves = widths * np.sqrt(rng.chisquare(DF, estimates.shape) / DF)
            said = [_answer(*pair) for pair in zip(estimates, halves, strict=True)]
            shares = {answer: said.count(answer) / repetitions for answer in ("yes", "no", "cannot_tell")}
            rows.append({"precision": precision, "what is true": world, "right": right, **shares})
    return pd.DataFrame(rows)


def _answer(estimate: np.ndarray, half: np.ndarray) -> str:
    measures = [each.measure for each in WATCHED.indicators]
    changes = pd.DataFrame(
        {"measure": measures, "estimate": estimate, "ci_low": estimate - half, "ci_high": estimate + half, "df": DF}
    )
    return judge(WATCHED, changes, confidence_level=LEVEL).answer
