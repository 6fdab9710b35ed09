"""Watching for relapse: false alarms by 8, 12 and 20 quarters, delay by size of relapse, and what half-lives are worth.

Staggered panels as in `looks`: counties with autocorrelated shocks (rho 0.5) and sampling errors, the imputation
estimate by quarters since the start; and single series of shocks alone with twelve quarters before. Both have a peak of
an hour in every fourth quarter, of which the methods know nothing (scenario j). Effects are in hours a week. Without
relapse a share is the probability of a false alarm, promised to be 5 % within 12 charted quarters; ``run`` is the mean
in-control run length in quarters that the share by 20 implies.
``naive`` compares each quarter with the first two by a one-sided test of 5 %. With relapse shares are those found, by
charted quarter; ``delay`` is the median number of quarters from the beginning of the relapse to the
alarm, infinite where half of them are not found within 20. ``holds`` and ``relapsed`` are the words by 20 quarters.
``covers`` is the share of intervals of the half-life, of those given, that hold the true one.

Watched: where too few regions or quarters tell how much quarters scatter. A nation's hours since, with a year or two before
the start, the standard error of the demonstration's headline (0.4 hours) and a fall of two hours; and three of six provinces
that begin one after the other, a standard error of an hour each and a cut of three. Quarters scatter of themselves, beside
sampling, by so many standard errors (rho 0.5); one is what the method assumes until they show more. The path is made anew in
every quarter from what is known by then, as releases do; what counts is the quarter in which a page first says that the cut
was lost, which it never does of a cut that is not told from zero.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from certify.looks import ASKED, LIKE_THE_DEMONSTRATION, PERSISTENCE, SHOCK, STARTS, WITHIN, blank
from scipy import stats

from analysis_lib.effects.difference_in_differences import Contrasts, imputation
from analysis_lib.effects.panel import Panel
from analysis_lib.monitoring.rebound import (
    REFERENCE,
    Path,
    alarm_bounds,
    half_life,
    path_of_panel,
    path_of_series,
    relapse,
)

CHARTED, ASKED_AT = 20, (8, 12, 20)
COLUMNS = [f"by {quarters}" for quarters in ASKED_AT]
QUARTERS = REFERENCE + CHARTED
PERIODS = min(STARTS) + QUARTERS  # the first counties are followed to the end, all for 16 quarters charted
BEFORE = 12  # quarters of a single series
YEAR_END_PEAK = 1.0  # hours in each fourth quarter
CUT, ONSET = -3.0, 4
RESIDUAL_DF = 60.0  # of the demonstration's headline
OF_SERIES = 4  # repetitions of a single series for one of a panel: they cost little
OF_WATCHED = 2
SINCE = np.arange(QUARTERS)
DECAY = -np.log(0.7)
SCENARIOS = {
    "holds": np.full(QUARTERS, CUT),
    "all lost after 4 quarters": np.where(SINCE < ONSET, CUT, 0.0),
    "half lost after 4 quarters": np.where(SINCE < ONSET, CUT, CUT / 2),
    "a quarter lost after 4 quarters": np.where(SINCE < ONSET, CUT, CUT * 3 / 4),
    "fades by 0.7": CUT * np.exp(-DECAY * SINCE),
    "as scenario e": CUT * np.array([0.6, 1.0, 0.7, 0.35, *np.zeros(QUARTERS - 4)]),
}
DECAYS = {"holds": 0.0, "fades by 0.7": DECAY}
WATCHED_FOR = REFERENCE + ASKED_AT[1]
SCATTERS = (0.0, 0.5, 1.0, 2.0)  # of quarters of themselves, in sampling errors
LOST_OR_NOT = list(SCENARIOS)[:3]


def certify(repetitions: int = 250, seed: int = 20269) -> pd.DataFrame:
    """A row for each world and scenario."""
    worlds = {
        "8 of 30 counties": staggered(*LIKE_THE_DEMONSTRATION),
        "8 of 30 counties, the 8 vary half as much again": staggered(*LIKE_THE_DEMONSTRATION, unlike=1.5),
        "30 of 60 counties": staggered(60, 30),
        "one series, rho 0.5": single_series(PERSISTENCE),
        "one series, rho 0": single_series(0.0),
        "one series, rho 0.7": single_series(0.7),
    }
    found = [
        rows(name, world, repetitions * (1 if world.n_treated else OF_SERIES), seed) for name, world in worlds.items()
    ]
    return pd.concat(
        [*found, *(watched(world, OF_WATCHED * repetitions, seed) for world in WATCHED)], ignore_index=True
    )


def watched(world: Watched, repetitions: int, seed: int, effects: Sequence[str] = LOST_OR_NOT) -> pd.DataFrame:
    """False alarms and delay where scatter is assumed, by what is known in each quarter."""
    found = []
    for scenario in effects:
        effect = SCENARIOS[scenario][:WATCHED_FOR] * world.cut / CUT
        rng = np.random.default_rng([seed, world.before, int(10 * world.own)])  # the same noise for every scenario
        alarm, last = np.full(repetitions, np.inf), []
        for place, paths in enumerate(world.lived(effect, repetitions, rng)):
            judged = [
                relapse(path, bounds=known if path.spread == "sampling" else None)
                for path, known in zip(paths, world.bounds, strict=True)
            ]
            raised = [charted for charted, each in enumerate(judged, start=1) if each.outcome == "relapsed"]
            alarm[place] = raised[0] if raised else np.inf
            last.append(judged[-1].outcome)
        row = {"what": world.name, "effect": scenario, "repetitions": repetitions, "seed": seed} | shares(alarm)
        row["by 20"] = np.nan
        if scenario != "holds":
            row["delay"] = np.median(alarm + REFERENCE - 1 - ONSET)
        row |= {word: np.mean([outcome == word for outcome in last]) for word in ("holds", "relapsed")}
        found.append(row)
    return pd.DataFrame(found)


def rows(name: str, world: World, repetitions: int, seed: int) -> pd.DataFrame:
    """False alarms, delay, words and coverage in each scenario; all scenarios share their noise."""
    paths = list(world.paths(repetitions, np.random.default_rng(seed)))
    bounds = [alarm_bounds(path) for path in (paths if world.n_treated else paths[:1])]  # a series' are always the same
    bounds = bounds if world.n_treated else bounds * repetitions
    found = []
    for scenario, effect in SCENARIOS.items():
        moved = [replace(path, estimate=path.estimate + effect) for path in paths]
        judged = [relapse(path, bounds=known) for path, known in zip(moved, bounds, strict=True)]
        alarm = np.array([np.inf if each.alarm is None else each.alarm - REFERENCE + 1 for each in judged])
        common = {"what": name, "effect": scenario, "repetitions": repetitions, "seed": seed}
        row = common | shares(alarm)
        if scenario == "holds":
            row["run"] = CHARTED / -np.log1p(-row["by 20"]) if row["by 20"] else np.inf
            found.append(common | {"effect": "holds, naive"} | shares(np.array([naive(path) for path in moved])))
        else:
            began = np.flatnonzero(effect > effect.min())
            began = began[began >= REFERENCE][0]
            row["delay"] = np.median(alarm + REFERENCE - 1 - began)
        for word in ("holds", "relapsed"):
            row[word] = np.mean([each.outcome == word for each in judged])
        if scenario in DECAYS:
            true = np.log(2) / DECAYS[scenario] if DECAYS[scenario] else np.inf
            lived = np.array([[each.ci_low, each.ci_high] for each in map(half_life, moved)])
            lived = lived[~np.isnan(lived[:, 0])]
            is_covered = (lived[:, 0] <= true) & (true <= lived[:, 1]) & np.isfinite(lived[:, 0])
            row["covers"], row["given"] = is_covered.mean(), len(lived) / repetitions
        found.append(row)
    return pd.DataFrame(found)


def shares(alarm: np.ndarray) -> dict[str, float]:
    return {name: float((alarm <= quarters).mean()) for name, quarters in zip(COLUMNS, ASKED_AT, strict=True)}


def naive(path: Path) -> float:
    """Charted quarter in which a single quarter first looks worse than the first two, at 5 %."""
    steps = np.eye(QUARTERS)[REFERENCE:]
    steps[:, :REFERENCE] -= 1 / REFERENCE
    t = steps @ path.estimate / np.linalg.norm(steps @ path.root, axis=1)
    crossed = np.flatnonzero(t > stats.t.isf(0.05, path.df))
    return float(crossed[0] + 1) if len(crossed) else np.inf


@dataclass(frozen=True)
class World:
    """Noise without effect, as paths of the quarters since a start."""

    n_counties: int
    n_treated: int
    persistence: float = PERSISTENCE
    unlike: float = 1.0

    def paths(self, repetitions: int, rng: np.random.Generator) -> Iterator[Path]:
        """A path for each repetition; of a single series where nobody gets the reform."""
        if not self.n_treated:
            periods = blank(np.full(1, BEFORE), BEFORE + QUARTERS).periods
            season = np.where([period.endswith("Q4") for period in periods], YEAR_END_PEAK, 0.0)
            for values in self.noise((repetitions, 1, len(periods)), rng)[:, 0] + season:
                series = pd.DataFrame({"period": periods, "estimate": values})
                yield path_of_series(series, start=periods[BEFORE])
            return
        never = np.full(self.n_counties - self.n_treated, PERIODS)
        starts = np.concatenate([np.resize(STARTS, self.n_treated), never])
        panel = blank(starts, PERIODS)
        contrasts = imputation(panel)
        season = np.where([period.endswith("Q4") for period in panel.periods], YEAR_END_PEAK, 0.0)
        for values in self.noise((repetitions, self.n_counties, PERIODS), rng) + season:
            values[: self.n_treated] *= self.unlike
            values[: self.n_treated] -= (self.unlike - 1) * season  # the season is everybody's
            yield path_of_panel(contrasts, replace(panel, values=values))

    def noise(self, shape: tuple[int, int, int], rng: np.random.Generator) -> np.ndarray:
        """Autocorrelated shocks and, where regions are compared, sampling errors."""
        shocks = rng.normal(0, SHOCK, shape)
        for place in range(1, shape[-1]):
            fresh = np.sqrt(1 - self.persistence**2) * shocks[..., place]
            shocks[..., place] = self.persistence * shocks[..., place - 1] + fresh
        if not self.n_treated:
            return shocks
        return shocks + rng.normal(0, WITHIN, shape) / np.sqrt(rng.integers(*ASKED, shape))


def staggered(n_counties: int, n_treated: int, unlike: float = 1.0) -> World:
    return World(n_counties, n_treated, unlike=unlike)


def single_series(persistence: float) -> World:
    return World(1, 0, persistence)


@dataclass(frozen=True)
class Watched:
    """Quarters that scatter more or less than the method assumes, watched from one release to the next.

    Attributes
    ----------
    before : int
        Quarters before the (first) start.
    own : float
        How much each quarter scatters of itself, in standard errors.
    starts : tuple of int
        Quarters after the first start in which further provinces begin; as many provinces again never do. Empty: a nation.
    """

    what: str
    before: int
    own: float
    se: float
    cut: float
    starts: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.what}, scatter {self.own:g}"

    def lived(self, effect: np.ndarray, repetitions: int, rng: np.random.Generator) -> Iterator[list[Path]]:
        """For each repetition the path as of each quarter charted."""
        for noise in self.noise(repetitions, rng):
            values = noise + np.where([period.endswith("Q4") for period in self.periods], YEAR_END_PEAK, 0.0)
            for place, start in enumerate(self.starts or (0,)):
                since = self.before + start
                values[place, since:] += effect[: len(self.periods) - since]
            yield [self.path(values, known) for known in self.releases]

    def noise(self, repetitions: int, rng: np.random.Generator) -> np.ndarray:
        shocks = rng.normal(0, self.own * self.se, (repetitions, 2 * len(self.starts) or 1, len(self.periods)))
        for place in range(1, shocks.shape[-1]):
            fresh = np.sqrt(1 - PERSISTENCE**2) * shocks[..., place]
            shocks[..., place] = PERSISTENCE * shocks[..., place - 1] + fresh
        return shocks + rng.normal(0, self.se, shocks.shape)

    def path(self, values: np.ndarray, known: int) -> Path:
        """What a release sees when so many quarters are known."""
        if self.starts:
            contrasts, panel = self.designs[known]
            return path_of_panel(contrasts, replace(panel, values=values[:, :known]))
        series = pd.DataFrame(
            {"period": self.periods[:known], "estimate": values[0, :known], "se": self.se, "df": RESIDUAL_DF}
        )
        return path_of_series(series, start=self.periods[self.before])

    @cached_property
    def periods(self) -> tuple[str, ...]:
        return blank(np.full(1, self.before), self.before + WATCHED_FOR).periods

    @cached_property
    def releases(self) -> list[int]:
        return [self.before + quarters for quarters in range(REFERENCE + 1, WATCHED_FOR + 1)]

    @cached_property
    def designs(self) -> dict[int, tuple[Contrasts, Panel]]:
        """Contrasts and panel of each release, by the number of quarters known."""
        later = [self.before + start for start in self.starts]
        found = {}
        for known in self.releases:
            panel = blank(np.array([*later, *[len(self.periods)] * len(later)]).clip(max=known), known)
            errors = np.tile(self.se**2 * np.eye(known), (len(panel.values), 1, 1))
            panel = replace(panel, sampling=errors)
            found[known] = (imputation(panel), panel)
        return found

    @cached_property
    def bounds(self) -> list[np.ndarray]:
        """Of each release; where scatter is assumed, they hang on correlations alone, which no value changes."""
        any_values = self.noise(1, np.random.default_rng(0))[0]
        return [alarm_bounds(self.path(any_values, known)) for known in self.releases]


WATCHED = [
    *(Watched("a nation, a year before", 4, own, 0.4, -2.0) for own in SCATTERS),
    *(Watched("a nation, two years before", 8, own, 0.4, -2.0) for own in SCATTERS),
    *(Watched("3 of 6 provinces", 4, own, 1.0, -3.0, (0, 2, 4)) for own in SCATTERS),
]
