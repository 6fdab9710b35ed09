"""A population in which some hide what they do, sampled and randomised again and again."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis_lib.survey.design import SurveyDesign, read_sample
from analysis_lib.survey.list_experiment import ListResult, count_items

STRATA, TOWNSHIPS, OFFICIALS = 6, 60, 30  # townships per stratum, officials per township
DRAWN_TOWNSHIPS, DRAWN_OFFICIALS = 20, 10
DESIGN = SurveyDesign(stratum="stratum", psu="township")
LEVEL = 0.95
NEUTRAL = np.array([0.5, 0.45, 0.6, 0.35])


def certify(repetitions: int = 4000, seed: int = 20264) -> pd.DataFrame:
    """Bias, coverage of 95 % intervals, gain of combining, and how often the placebo tests reject at 5 %.

    Two-stage samples of 1,200 officials. In the first population the assumptions hold, in the second one in five of
    those who admit it do not do it (false confessions), which the first placebo test should notice.
    """
    frames = [
        _certified(name, repetitions, seed + step) for step, name in enumerate(("as assumed", "false confessions"))
    ]
    return pd.concat(frames, ignore_index=True)


def estimated(name: str, repetitions: int, seed: int) -> tuple[dict[str, float], dict[str, list[ListResult]]]:
    """True shares, and what was found in each sample, by key."""
    rng = np.random.default_rng(seed)
    size = STRATA * TOWNSHIPS * OFFICIALS
    stratum = np.repeat(np.arange(STRATA), TOWNSHIPS * OFFICIALS)
    township = np.repeat(np.arange(STRATA * TOWNSHIPS), OFFICIALS)
    level = 0.25 + 0.03 * stratum + rng.normal(0, 0.05, STRATA * TOWNSHIPS)[township]
    does = rng.random(size) < level
    admits = does & (rng.random(size) < 0.6)
    if name == "false confessions":
        admits |= ~does & (rng.random(size) < 0.2 * admits.mean() / (1 - does.mean()))
    truth = {"direct": admits.mean(), "listed": does.mean(), "combined": does.mean(), "hidden": (does & ~admits).mean()}
    rows = np.arange(size).reshape(STRATA, TOWNSHIPS, OFFICIALS)
    found: dict[str, list[ListResult]] = {}
    for _ in range(repetitions):
        drawn = np.argsort(rng.random((STRATA, TOWNSHIPS)), axis=1)[:, :DRAWN_TOWNSHIPS]
        people = np.take_along_axis(rows, drawn[:, :, None], axis=1).reshape(-1, OFFICIALS)
        who = rng.permuted(people, axis=1)[:, :DRAWN_OFFICIALS].ravel()
        is_long = rng.random(len(who)) < 0.5
        count = (rng.random((len(who), len(NEUTRAL))) < NEUTRAL).sum(axis=1) + (is_long & does[who])
        frame = pd.DataFrame({"stratum": stratum[who], "township": township[who]})
        results = count_items(
            count.astype(float), is_long, admits[who].astype(float), np.ones(len(who)),
            sample=read_sample(frame, DESIGN), confidence_level=LEVEL,
        )  # fmt: skip
        for key, result in results.items():
            found.setdefault(key, []).append(result)
    return truth, found


def _certified(name: str, repetitions: int, seed: int) -> pd.DataFrame:
    truth, found = estimated(name, repetitions, seed)
    table = []
    for key, results in found.items():
        estimate, se, p = (
            np.array([getattr(result, column) for result in results]) for column in ("estimate", "se", "p")
        )
        covers = np.array([result.ci_low <= truth.get(key, np.nan) <= result.ci_high for result in results])
        is_test = key not in truth
        table.append(
            {
                "what": f"list experiment, {name}: {key}",
                "n": STRATA * DRAWN_TOWNSHIPS * DRAWN_OFFICIALS,
                "repetitions": repetitions,
                "bias": np.nan if is_test else estimate.mean() - truth[key],
                "coverage": np.nan if is_test else covers.mean(),
                "se_over_spread": np.sqrt((se**2).mean()) / estimate.std(),
                "spread": estimate.std(),
                "rejected_at_5_percent": (p < 1 - LEVEL).mean() if is_test else np.nan,
                "seed": seed,
            }
        )
    return pd.DataFrame(table)
