"""Regions with known effects of a reform that begins at different times, made up again and again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from analysis_lib.effects.difference_in_differences import Contrasts, by_event_time, group_time, imputation, overall
from analysis_lib.effects.inference import estimate_contrasts
from analysis_lib.effects.panel import Panel
from analysis_lib.effects.randomisation import randomise

PERIODS, STARTS = 12, (4, 6, 8)
REGION_SPREAD, SHOCK, PERSISTENCE = 2.0, 0.7, 0.5  # hours; shocks of a region and quarter are autocorrelated
WITHIN, ASKED = 6.0, (30, 80)  # spread between officials of a region; how many of them are asked
UNLIKE = 0.3  # spread of the effect between regions, as a share of it
LEVEL = 0.95

Build = Callable[[Panel], Contrasts]
ESTIMATORS: dict[str, Build] = {
    "group-time": lambda panel: overall(group_time(panel), panel),
    "imputation": lambda panel: overall(imputation(panel), panel),
}


@dataclass(frozen=True)
class Scenario:
    """Mean effect by quarters since the start, hours a week; and the spread of regions' year-end peaks."""

    effect: Callable[[np.ndarray], np.ndarray]
    season: float = 0.0


SCENARIOS = {
    "a, no effect": Scenario(lambda since: 0.0 * since),
    "b, constant": Scenario(lambda since: -2.0 + 0.0 * since),
    "b, growing": Scenario(lambda since: -0.5 * (since + 1)),
    "c, counts only": Scenario(lambda since: 0.0 * since),
    "e, rebounding": Scenario(lambda since: -3.0 * 0.7**since),
    "f, small": Scenario(lambda since: -0.3 + 0.0 * since),
    "g, leaders only": Scenario(lambda since: -2.0 / 3 + 0.0 * since),
    "j, year-end season": Scenario(lambda since: -2.0 + 0.0 * since, season=1.0),
}


def certify(repetitions: int = 4000, seed: int = 20263) -> pd.DataFrame:
    """Bias, coverage of 95 % intervals, and how often no effect is rejected at 5 %: the size where there is none.

    Half of the regions get the reform, in three of twelve quarters; their effects differ by three tenths. Regions have
    levels, autocorrelated shocks and sampling errors of their own. Under c the number of items falls and hours do not.
    "Randomised" has three regions with and three without the reform.
    """
    frames = [certified(name, n_treated, repetitions, seed) for name in SCENARIOS for n_treated in (10, 30, 100)]
    frames += [certified("b, constant", 30, repetitions, seed, variant=what) for what in VARIANTS]
    frames += [certified("a, no effect", n_treated, repetitions, seed) for n_treated in (3, 4, 6)]
    frames += [
        certified_randomisation(name, starts, repetitions // 4, seed)
        for name in ("a, no effect", "b, constant")
        for starts in ((4, 6, 8), (6, 6, 6))
    ]
    return pd.concat(frames, ignore_index=True)


def certified(name: str, n_treated: int, repetitions: int, seed: int, *, variant: str = "") -> pd.DataFrame:
    """Both estimators on one scenario, by cohort."""
    rng = np.random.default_rng([seed, n_treated, list(SCENARIOS).index(name)])
    scenario, panel = SCENARIOS[name], blank(n_treated, n_treated, rng, variant)
    builds = {variant: VARIANTS[variant]} if variant else ESTIMATORS
    contrasts = {label: build(panel) for label, build in builds.items()}
    truth = mean_effect(scenario, panel)
    found: dict[str, list[np.ndarray]] = {label: [] for label in builds}
    for filled in draws(scenario, panel, repetitions, rng):
        for label, of_panel in contrasts.items():
            row = estimate_contrasts(of_panel, filled, confidence_level=LEVEL).frame.iloc[0]
            found[label].append(row[COLUMNS].to_numpy(float))
    return pd.DataFrame(
        [
            _summary(f"{name}: {label}", panel, float((contrasts[label].weights[0] * truth).sum()), rows, seed)
            for label, rows in found.items()
        ]
    )


def certified_randomisation(name: str, starts: tuple[int, ...], repetitions: int, seed: int) -> pd.DataFrame:
    """Randomisation inference with as many regions without the reform as with it; no interval counts as the whole line."""
    rng = np.random.default_rng([seed, *starts])
    scenario = SCENARIOS[name]
    panel = replace(blank(len(starts), len(starts), rng), starts=np.array([*starts, *[PERIODS] * len(starts)]))
    build = ESTIMATORS["group-time"]
    truth = float((build(panel).weights[0] * mean_effect(scenario, panel)).sum())
    rows = []
    for filled in draws(scenario, panel, repetitions, rng):
        found = randomise(build, filled, confidence_level=LEVEL)
        low, high = np.nan_to_num([found.ci_low, found.ci_high], nan=np.inf) * [-1 if np.isnan(found.ci_low) else 1, 1]
        rows.append(np.array([found.estimate, np.nan, low, high, found.p_value]))
    dates = "three dates" if len(set(starts)) > 1 else "one date"
    return pd.DataFrame([_summary(f"{name}: randomised, {dates}", panel, truth, rows, seed)])


COLUMNS = ["estimate", "se", "ci_low", "ci_high", "p_value"]


def _weighted(panel: Panel) -> Contrasts:
    return overall(group_time(panel), panel)


VARIANTS: dict[str, Build] = {
    "unequal weights": _weighted,
    "another reform taken out": _weighted,
    "fourth quarter in force": lambda panel: by_event_time(group_time(panel), panel, earliest=3, latest=3),
    "pre-trend": lambda panel: by_event_time(group_time(panel), panel, earliest=-3, latest=-3),
}


def blank(n_treated: int, n_comparison: int, rng: np.random.Generator, variant: str = "") -> Panel:
    """A rollout without values."""
    n = n_treated + n_comparison
    starts = np.concatenate([np.resize(STARTS, n_treated), np.full(n_comparison, PERIODS)])
    weights = rng.lognormal(0, 0.7, n) if variant == "unequal weights" else np.ones(n)
    other = {}
    if variant == "another reform taken out":
        began = rng.integers(1, 2 * PERIODS, n)[:, None]
        other = {"other": (np.arange(PERIODS) >= began).astype(float)}
    names = tuple(f"{place:03}" for place in range(n))
    periods = tuple(f"{2024 + place // 4}Q{place % 4 + 1}" for place in range(PERIODS))
    return Panel(names, periods, np.zeros((n, PERIODS)), starts, weights, other)


def mean_effect(scenario: Scenario, panel: Panel) -> np.ndarray:
    """Expected effect in each cell."""
    return np.where(panel.in_force, scenario.effect(np.maximum(panel.event_time, 0).astype(float)), 0.0)


def draws(scenario: Scenario, panel: Panel, repetitions: int, rng: np.random.Generator) -> Iterator[Panel]:
    """The panel filled with values, again and again."""
    effect, shape = mean_effect(scenario, panel), panel.values.shape
    others = sum(panel.exposures.values(), np.zeros(shape))
    is_year_end = np.arange(PERIODS) % 4 == 3
    common = rng.normal(0, 1, PERIODS).cumsum() + 3.0 * is_year_end
    for _ in range(repetitions):
        level = rng.normal(20, REGION_SPREAD, (shape[0], 1))
        shocks = rng.normal(0, SHOCK, shape)
        for place in range(1, PERIODS):
            shocks[:, place] = PERSISTENCE * shocks[:, place - 1] + np.sqrt(1 - PERSISTENCE**2) * shocks[:, place]
        error = rng.normal(0, WITHIN / np.sqrt(rng.integers(*ASKED, shape)))
        peak = scenario.season * rng.normal(0, 1, (shape[0], 1)) * is_year_end
        strength = rng.normal(1, UNLIKE, (shape[0], 1))
        yield replace(panel, values=level + common + shocks + error + peak + strength * effect - 1.5 * others)


def _summary(what: str, panel: Panel, truth: float, rows: list[np.ndarray], seed: int) -> dict[str, object]:
    estimate, se, low, high, p_value = np.array(rows).T
    rejected = float((p_value <= 1 - LEVEL + 1e-9).mean())
    return {
        "what": what,
        "treated": int(panel.is_ever.sum()),
        "comparison": int((~panel.is_ever).sum()),
        "repetitions": len(rows),
        "truth": truth,
        "bias": estimate.mean() - truth,
        "sd": estimate.std(ddof=1),
        "se": np.sqrt((se**2).mean()),
        "coverage": ((low <= truth) & (truth <= high)).mean(),
        "size": rejected if truth == 0 else np.nan,
        "power": np.nan if truth == 0 else rejected,
        "seed": seed,
    }
