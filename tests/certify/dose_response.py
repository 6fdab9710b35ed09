"""Regions whose effects go, or do not go, with what they carried before, made up again and again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from certify.effects import ASKED, PERIODS, REGION_SPREAD, SHOCK, UNLIKE, WITHIN, blank

from analysis_lib.effects.dose_response import DoseResponse, dose_response
from analysis_lib.effects.panel import Panel

MEAN_LEVEL, MEAN_EFFECT, LEVEL = 20.0, -2.0, 0.95


@dataclass(frozen=True)
class World:
    """How the effect goes with the burden, how lasting and large shocks are, and what officials answer again."""

    slope: float = 0.0
    persistence: float = 0.5
    shock: float = SHOCK
    again: float = 0.0  # correlation of the sampling errors of a region between any two quarters
    other_reform: bool = False


WORLDS = {
    "alike everywhere": World(),
    "a fifth of the burden": World(slope=-0.2),
    "alike, three in four answer again": World(again=0.75),
    "a fifth, three in four answer again": World(slope=-0.2, again=0.75),
    "a fifth, another reform taken out": World(slope=-0.2, other_reform=True),
    "alike, shocks without memory": World(persistence=0.0),
    "alike, shocks last (0.8)": World(persistence=0.8),
    "alike, shocks as large as the spread": World(shock=REGION_SPREAD),
}
SIZES = ((8, 22), (12, 18), (15, 15), (30, 30), (90, 90))


def certify(repetitions: int = 1000, seed: int = 20267) -> pd.DataFrame:
    """Slopes of effects on burdens: median error, coverage of 95 % intervals, and how often there is an interval.

    Regions start in three of twelve quarters; burdens spread by 2 hours, effects have a mean of −2 and three tenths of
    it of their own, shocks of 0.7 hours have memory 0.5, officials' sampling errors are 0.7–1.1 hours. ``coverage``
    counts a slope without an interval as one that says nothing false; ``coverage_told`` is of intervals given alone,
    ``thirds`` of the mean effects in each third, ``placebo`` of zero by the placebo's interval.
    """
    plans = [(name, size) for name in WORLDS for size in SIZES[-3:]]
    plans += [(name, size) for name in list(WORLDS)[:2] for size in SIZES[:-3]]
    return pd.concat([certified(name, size, repetitions, seed) for name, size in plans], ignore_index=True)


def certified(name: str, size: tuple[int, int], repetitions: int, seed: int) -> pd.DataFrame:
    """One row: a world with so many regions with and without the reform."""
    world, rng = WORLDS[name], np.random.default_rng([seed, list(WORLDS).index(name), *size])
    panel = blank(*size, rng, "another reform taken out" if world.other_reform else "")
    rows = [_judged(dose_response(filled), world, effect) for filled, effect in draws(world, panel, repetitions, rng)]
    found = pd.DataFrame(rows)
    is_told = found["ci_low"].notna()
    holds = (found["ci_low"] <= world.slope) & (world.slope <= found["ci_high"])
    row = {
        "what": name,
        "treated": size[0],
        "comparison": size[1],
        "repetitions": repetitions,
        "truth": world.slope,
        "median_error": found["estimate"].median() - world.slope,
        "interval_given": is_told.mean(),
        "coverage": (holds | ~is_told).mean(),
        "coverage_told": holds[is_told].mean(),
        "median_length": (found["ci_high"] - found["ci_low"]).median(),
        "thirds": found["thirds"].mean(),
        "placebo": found["placebo"].mean(),
        "seed": seed,
    }
    return pd.DataFrame([row])


def draws(world: World, panel: Panel, repetitions: int, rng: np.random.Generator) -> Iterator[tuple[Panel, np.ndarray]]:
    """The panel filled with values, and the effects of the regions, again and again."""
    n, since = len(panel.regions), panel.in_force.astype(float)
    common = rng.normal(0, 1, PERIODS).cumsum()
    others = sum(panel.exposures.values(), np.zeros(panel.values.shape))
    for _ in range(repetitions):
        burden = rng.normal(0, REGION_SPREAD, n)
        effect = MEAN_EFFECT + world.slope * burden + rng.normal(0, UNLIKE * abs(MEAN_EFFECT), n)
        shocks = rng.normal(0, world.shock, (n, PERIODS))
        for place in range(1, PERIODS):
            fresh = np.sqrt(1 - world.persistence**2) * shocks[:, place]
            shocks[:, place] = world.persistence * shocks[:, place - 1] + fresh
        error = WITHIN / np.sqrt(rng.integers(*ASKED, n))
        lasting, passing = rng.normal(0, 1, (n, 1)), rng.normal(0, 1, (n, PERIODS))
        noise = error[:, None] * (np.sqrt(world.again) * lasting + np.sqrt(1 - world.again) * passing)
        correlation = world.again + (1 - world.again) * np.eye(PERIODS)
        values = MEAN_LEVEL + burden[:, None] + common + shocks + noise + since * effect[:, None] - 1.5 * others
        yield replace(panel, values=values, sampling=error[:, None, None] ** 2 * correlation), effect


def _judged(found: DoseResponse, world: World, effect: np.ndarray) -> dict[str, float]:
    """The slope, and whether the intervals of the thirds and of the placebo hold what they should."""
    place = found.points["region"].astype(int).to_numpy()
    groups = np.array_split(place[np.argsort(found.points["burden"].to_numpy())], len(found.thirds))
    truth = np.array([effect[group].mean() for group in groups])
    placebo = found.placebo
    return {
        "estimate": found.slope.estimate,
        "ci_low": found.slope.ci_low,
        "ci_high": found.slope.ci_high,
        "thirds": float(((found.thirds["ci_low"] <= truth) & (truth <= found.thirds["ci_high"])).mean()),
        "placebo": np.nan if placebo is None else float(not (placebo.ci_low > 0 or placebo.ci_high < 0)),
    }
