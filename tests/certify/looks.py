"""Looking every quarter: how often a direction is declared by look 8, 12, 20 and 40, with and without an effect.

Staggered panels: counties, some of which get the reform after four to eight quarters, with autocorrelated shocks
(rho 0.5) and sampling errors; the imputation estimate over the quarters in force so far, its standard error between
counties. Without effect a share is the probability of a false alarm, to be 5 % at most. ``efficient`` are estimates
with independent increments, equal steps of information and known errors, by numerical integration.

``naive`` takes the usual interval at every look, ``sequence`` is what a page follows, ``spending`` what it follows in
the quarters that the register declares. Warnings: the last bound of a plan used again, a sequence with the estimated
degrees of freedom or with normal tails. ``delay`` is the mean number of looks until the direction is declared, 40 where
it never is; ``price`` the median half-width at look 12 as a multiple of the usual one. Effects are constant, in hours a
week; the usual standard error of look 12 stands in ``se``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from analysis_lib.effects.difference_in_differences import imputation, overall
from analysis_lib.effects.panel import Panel
from analysis_lib.monitoring.repeated_looks import (
    TUNED_AT,
    confidence_sequence,
    design_df,
    false_alarm,
    information_of,
    sequence_factor,
    spending_bounds,
    with_student_tails,
)

LOOKS, ASKED_AT = 40, (8, 12, 20, 40)
COLUMNS = [f"by {looks}" for looks in ASKED_AT]
STARTS = (4, 5, 6, 8)
PERIODS = min(STARTS) + LOOKS
SHOCK, PERSISTENCE = 0.7, 0.5  # hours; of a county and quarter
WITHIN, ASKED = 6.0, (30, 80)  # spread between officials of a county; how many of them are asked
EFFECTS = (0.0, -0.25, -0.5, -1.0, -2.0)
ALPHA = 0.05
LIKE_THE_DEMONSTRATION = (30, 8)
COUNTIES = ((16, 8), LIKE_THE_DEMONSTRATION, (60, 30))  # in all, and with the reform
WITH_EFFECTS = {"naive", "sequence", "spending for 12, then the sequence", "spending for 40"}


def certify(repetitions: int = 2000, seed: int = 20267) -> pd.DataFrame:
    """False alarms, power, delay and price, of each practice; spending with every repetition's own information."""
    return pd.concat(
        [efficient(), *(staggered(*counties, repetitions, seed) for counties in COUNTIES)], ignore_index=True
    )


def efficient() -> pd.DataFrame:
    """Estimates with independent increments: exact, and the worst that any dependence can do to the sequence."""
    quarters = np.arange(1.0, LOOKS + 1)
    sequence = sequence_factor(1 / np.sqrt(quarters), tuned_for=1 / np.sqrt(TUNED_AT))
    usual = stats.norm.isf(ALPHA / 2)
    found = {"naive": [false_alarm(np.full(looks, usual), quarters[:looks]) for looks in ASKED_AT]}
    for declared in ASKED_AT[:-1]:
        bounds = spending_bounds(quarters[:declared] / declared)
        bounds = np.concatenate([bounds, np.full(LOOKS - declared, bounds[-1])])
        found[f"spending for {declared}, then its last bound"] = [
            false_alarm(bounds[:looks], quarters[:looks]) for looks in ASKED_AT
        ]
    found["sequence"] = [false_alarm(sequence[:looks], quarters[:looks]) for looks in ASKED_AT]
    found["sequence, worst dependence"] = [float(2 * stats.norm.sf(sequence[:looks]).sum()) for looks in ASKED_AT]
    return pd.DataFrame(
        [
            {"what": f"efficient: {practice}", "effect": 0.0} | dict(zip(COLUMNS, shares, strict=True))
            for practice, shares in found.items()
        ]
    )


def staggered(
    n_counties: int, n_treated: int, repetitions: int, seed: int, *, plans: tuple[int, ...] = ASKED_AT
) -> pd.DataFrame:
    """A row for each practice and effect; plans are numbers of looks declared."""
    world = World.of(n_counties, n_treated)
    looked = world.looks(world.values(repetitions, np.random.default_rng([seed, n_counties])))
    with_effects = WITH_EFFECTS if (n_counties, n_treated) == LIKE_THE_DEMONSTRATION else set()
    rows = []
    for practice, reach in practices(looked, plans):
        for effect in EFFECTS if practice in with_effects else EFFECTS[:1]:
            declared = np.abs(looked.estimate + effect) > reach
            if effect:
                declared &= looked.estimate + effect < 0
            by = declared.cumsum(axis=1) > 0
            rows.append(
                {"what": f"{n_treated} of {n_counties} counties: {practice}", "effect": effect}
                | {name: by[:, looks - 1].mean() for name, looks in zip(COLUMNS, ASKED_AT, strict=True)}
                | {
                    "delay": np.where(by.any(axis=1), by.argmax(axis=1) + 1, LOOKS).mean() if effect else np.nan,
                    "price": float(np.median(reach[:, 11] / looked.usual[:, 11])),
                    "se": looked.se[:, 11].mean(),
                    "repetitions": repetitions,
                    "seed": seed,
                }
            )
    return pd.DataFrame(rows)


@dataclass(frozen=True, eq=False)
class Looked:
    """Estimates of no effect at every look, shape (repetitions, looks), and degrees of freedom of the design, (looks,)."""

    estimate: np.ndarray
    se: np.ndarray
    df: np.ndarray
    design_df: np.ndarray

    @property
    def usual(self) -> np.ndarray:
        return stats.t.isf(ALPHA / 2, self.df) * self.se


def practices(looked: Looked, plans: tuple[int, ...]) -> Iterator[tuple[str, np.ndarray]]:
    """Half-widths of each practice at every look."""
    yield "naive", looked.usual
    zero = np.zeros_like(looked.se)
    tuned_for = looked.se[:, :1] / np.sqrt(TUNED_AT)
    sequence = confidence_sequence(zero, looked.se, df=looked.design_df, tuned_for=tuned_for)[1]
    sequence = np.maximum(sequence, looked.usual)
    yield "sequence", sequence
    yield "sequence, estimated df", confidence_sequence(zero, looked.se, df=looked.df, tuned_for=tuned_for)[1]
    on_z = confidence_sequence(zero, looked.se, tuned_for=tuned_for)[1]
    yield "sequence, normal tails", on_z
    for declared in plans:
        shares = np.arange(1, declared + 1) / declared
        bounds = np.stack([spending_bounds(information_of(se), spent_at=shares) for se in looked.se[:, :declared]])
        spent = with_student_tails(bounds, looked.design_df[:declared]) * looked.se[:, :declared]
        spent = np.maximum(spent, looked.usual[:, :declared])
        if declared == LOOKS:
            yield f"spending for {declared}", spent
        else:
            yield f"spending for {declared}, then the sequence", np.hstack([spent, sequence[:, declared:]])
            last = with_student_tails(bounds[:, -1:], looked.design_df[declared:]) * looked.se[:, declared:]
            yield f"spending for {declared}, then its last bound", np.hstack([spent, last])


@dataclass(frozen=True, eq=False)
class World:
    """A rollout over counties, some of which get the reform, and the weights of the estimate at every look."""

    starts: np.ndarray
    weights: np.ndarray
    design_df: np.ndarray

    @classmethod
    def of(cls, n_counties: int, n_treated: int) -> World:
        starts = np.concatenate([np.resize(STARTS, n_treated), np.full(n_counties - n_treated, PERIODS)])
        weights, of_design = np.zeros((LOOKS, n_counties, PERIODS)), np.zeros(LOOKS)
        for look, last in enumerate(range(min(STARTS), PERIODS)):
            panel = blank(starts, last + 1)
            weights[look, :, : last + 1] = overall(imputation(panel), panel).weights[0]
            of_design[look] = design_df(weights[look, :, : last + 1], panel)
        return cls(starts, weights, of_design)

    def values(self, repetitions: int, rng: np.random.Generator) -> np.ndarray:
        """Means of counties and quarters, shape (repetitions, counties, quarters); levels and quarters drop out."""
        shape = (repetitions, len(self.starts), PERIODS)
        shocks = rng.normal(0, SHOCK, shape)
        for place in range(1, PERIODS):
            fresh = np.sqrt(1 - PERSISTENCE**2) * shocks[..., place]
            shocks[..., place] = PERSISTENCE * shocks[..., place - 1] + fresh
        return shocks + rng.normal(0, WITHIN, shape) / np.sqrt(rng.integers(*ASKED, shape))

    def looks(self, values: np.ndarray) -> Looked:
        """What `estimate_contrasts` finds by cohort on the panel of each look, for all repetitions at once."""
        estimate = np.einsum("nrt,krt->nk", values, self.weights)
        variance, spread = np.zeros_like(estimate), np.zeros_like(estimate)
        total_df = np.zeros(LOOKS)
        for look in range(LOOKS):
            begun = np.minimum(self.starts, min(STARTS) + look + 1)
            for start in np.unique(begun):
                chosen = begun == start
                n = chosen.sum()
                own = np.einsum("nrt,rt->nr", values[:, chosen], self.weights[look, chosen])
                # Counties of a cohort have equal weights, so that the cohort's mean is the mean of their sums.
                of_cohort = ((own - own.mean(axis=1, keepdims=True)) ** 2).sum(axis=1) * n / (n - 1)
                variance[:, look] += of_cohort
                spread[:, look] += of_cohort**2 / (n - 1)
                total_df[look] += n - 1
        df = np.minimum(variance**2 / spread, total_df)
        return Looked(estimate, np.sqrt(variance), df, self.design_df)


def blank(starts: np.ndarray, n_periods: int) -> Panel:
    """A rollout without values."""
    names = tuple(f"{place:02}" for place in range(len(starts)))
    periods = tuple(f"{2024 + place // 4}Q{place % 4 + 1}" for place in range(n_periods))
    return Panel(names, periods, np.zeros((len(names), n_periods)), starts, np.ones(len(names)))
