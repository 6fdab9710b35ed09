"""The true week of every official in every quarter: what each diary and each answer is drawn from.

Calibrated by published figures: about 52 hours of work, half of them lost to meetings, documents, forms, inspections
and online tasks; skewed to the right; leaders work seven hours more; inspections come in bursts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis_lib.ingest.simulate.scenarios import Scenario, exposure
from analysis_lib.ingest.simulate.streams import centred_lognormal, stream
from analysis_lib.quarters import Quarter
from analysis_lib.reforms import Reform

HOURS_PER_WEEK = 168
GROUPS = ["meeting", "document", "form", "inspection", "digital"]

# Mean weekly hours of township staff, share of weeks with any, factors of tier and rank, share that is avoidable.
_BURDEN = pd.DataFrame(
    [
        ("M1", "meeting", 5.3, 1.00, 1.10, 0.80, 1.55, 0.45),
        ("M2", "meeting", 1.1, 0.75, 1.10, 0.75, 0.80, 0.55),
        ("M3", "meeting", 1.2, 0.85, 0.75, 1.00, 1.40, 0.45),
        ("D1", "document", 3.1, 1.00, 1.15, 0.80, 1.20, 0.30),
        ("D2", "document", 3.4, 0.90, 1.35, 0.65, 1.00, 0.45),
        ("F1", "form", 3.9, 0.95, 0.80, 1.30, 0.60, 0.45),
        ("F2", "form", 1.7, 0.75, 0.75, 1.25, 0.50, 0.90),
        ("I1", "inspection", 2.3, 0.60, 0.90, 0.95, 1.00, 0.65),
        ("I2", "inspection", 1.3, 0.55, 1.05, 0.80, 1.90, 0.40),
        ("G1", "digital", 2.5, 1.00, 0.95, 1.05, 1.00, 0.45),
        ("G2", "digital", 1.3, 0.80, 0.85, 1.15, 0.80, 0.85),
    ],
    columns=pd.Index(["code", "group", "hours", "takes_part", "county", "village", "leader", "avoidable"]),
).set_index("code")

# How the rest of the working week is shared out.
_OTHER = pd.DataFrame(
    [
        ("S1", "service", 5.5, 0.95, 0.55, 1.20, 0.50),
        ("S2", "service", 5.5, 0.95, 0.40, 1.40, 0.90),
        ("S3", "service", 2.0, 0.45, 0.60, 1.20, 1.20),
        ("C1", "core", 7.5, 1.00, 1.60, 0.60, 0.90),
        ("C2", "core", 3.2, 0.95, 1.50, 0.60, 2.00),
        ("T1", "training", 1.1, 0.60, 1.10, 0.90, 1.00),
    ],
    columns=pd.Index(["code", "group", "hours", "takes_part", "county", "village", "leader"]),
).set_index("code")

BURDEN_CODES = list(_BURDEN.index)
OTHER_CODES = list(_OTHER.index)
WORK_CODES = BURDEN_CODES + OTHER_CODES
PERSONAL_CODE = "P0"
GROUP_OF = {**_BURDEN["group"].to_dict(), **_OTHER["group"].to_dict()}
TRAINING_FOR_SHOW = 0.35  # share of training hours
_SHARE_OF_TRAINING = {"training": 1 - TRAINING_FOR_SHOW, "for_show": TRAINING_FOR_SHOW}

_MEAN_WORK = {"county": 51.0, "township": 53.5, "village": 49.5}
_LEADER_WORK = 7.0
_SHORTEST_WEEK, _LONGEST_WEEK = 40.0, 78.0
_MOST_BURDEN = 0.78  # share of the week beyond which nothing more fits in
_GIVEN_BACK = 0.7  # share of hours cut that turns into service and core work; the rest shortens the week
_AVOIDABLE_IN_CUT = 0.7  # share of hours cut that were avoidable ones
_AVOIDABLE_IN_NEW = 0.8  # share of coping and moved-online hours that is avoidable
_ACCEPTABLE = 0.62  # share of the usual burden that an official finds reasonable
_SEASON = {  # quarter → code → factor
    1: {"D2": 1.08, "C2": 1.15},
    2: {},
    3: {"S3": 1.6},
    4: {"D2": 1.06},
}


@dataclass(frozen=True)
class TrueWeeks:
    """True weeks of a quarter: arrays in the order of the frame of officials, in hours per week.

    Attributes
    ----------
    hours : numpy.ndarray
        Official × code of ``WORK_CODES``.
    avoidable : numpy.ndarray
        Official × code of ``BURDEN_CODES``: the avoidable part of ``hours``.
    untreated : numpy.ndarray
        As ``hours``, had there been no reform.
    parallel : numpy.ndarray
        Hours on chats and apps while doing something else.
    acceptable : numpy.ndarray
        Hours of burden that the official finds reasonable.
    exposure : numpy.ndarray
        Official × group of ``GROUPS``: share of the full effect in force.
    """

    quarter: Quarter
    hours: np.ndarray
    avoidable: np.ndarray
    untreated: np.ndarray
    parallel: np.ndarray
    acceptable: np.ndarray
    exposure: np.ndarray

    @property
    def gross(self) -> np.ndarray:
        """Hours lost: burden, and training for show."""
        return hours_lost(self.hours)

    @property
    def work(self) -> np.ndarray:
        """All hours worked."""
        return self.hours.sum(axis=1)

    def group(self, name: str) -> np.ndarray:
        """Hours of an activity group."""
        return group_hours(self.hours, name)


def group_hours(hours: np.ndarray, group: str) -> np.ndarray:
    """Hours of an activity group; training for show is a group of its own, as it is to the reader of diaries."""
    if group in _SHARE_OF_TRAINING:
        return _SHARE_OF_TRAINING[group] * hours[:, WORK_CODES.index("T1")]
    return hours[:, [GROUP_OF[code] == group for code in WORK_CODES]].sum(axis=1)


def hours_lost(hours: np.ndarray) -> np.ndarray:
    """Gross hours lost."""
    return hours[:, : len(BURDEN_CODES)].sum(axis=1) + group_hours(hours, "for_show")


@dataclass(frozen=True)
class Habits:
    """What stays with an official over the years: expected hours before season, chance and reform."""

    burden: np.ndarray
    other: np.ndarray
    work: np.ndarray
    parallel: np.ndarray
    acceptable: np.ndarray


def settle_habits(frame: pd.DataFrame, *, seed: int) -> Habits:
    """Draw every official's habits: by tier, rank, county, unit and person."""
    rng = stream(seed, "habits")
    size = len(frame)
    groups = [GROUPS.index(group) for group in _BURDEN["group"]]
    county = frame["region"].astype("category").cat.codes.to_numpy()
    unit = frame["psu"].astype("category").cat.codes.to_numpy()
    leader = frame["role"].eq("leader").to_numpy()
    by_county = centred_lognormal(rng, 0.10, (county.max() + 1, len(GROUPS)))[county][:, groups]
    by_unit = centred_lognormal(rng, 0.10, (unit.max() + 1, len(GROUPS)))[unit][:, groups]
    load = centred_lognormal(rng, 0.18, (size, 1))
    burden = (
        _expected(_BURDEN, frame["tier"], leader)
        * by_county
        * by_unit
        * load
        * centred_lognormal(rng, 0.25, (size, len(BURDEN_CODES)))
    )
    other = _expected(_OTHER, frame["tier"], leader) * centred_lognormal(rng, 0.35, (size, len(OTHER_CODES)))
    usual = burden.sum(axis=1)
    work = (
        frame["tier"].map(_MEAN_WORK).to_numpy()
        + _LEADER_WORK * leader
        + rng.normal(0, 3.5, size)
        + 0.15 * (usual - usual.mean())
    )
    return Habits(
        burden,
        other,
        work,
        parallel=5.0 * centred_lognormal(rng, 0.35, size),
        acceptable=_ACCEPTABLE * usual * centred_lognormal(rng, 0.15, size),
    )


def _expected(profile: pd.DataFrame, tier: pd.Series, leader: np.ndarray) -> np.ndarray:
    by_tier = {
        "county": profile["county"].to_numpy(),
        "township": np.ones(len(profile)),
        "village": profile["village"].to_numpy(),
    }
    factor = np.stack([by_tier[name] for name in by_tier])[tier.map(list(by_tier).index).to_numpy()]
    return profile["hours"].to_numpy() * factor * np.where(leader[:, None], profile["leader"].to_numpy(), 1.0)


def live_quarter(
    frame: pd.DataFrame,
    habits: Habits,
    quarter: Quarter,
    *,
    scenario: Scenario,
    reforms: list[Reform],
    seed: int,
) -> TrueWeeks:
    """The true week of everyone in a quarter: first without any reform, then with what the scenario makes of them."""
    rng = stream(seed, "weeks", quarter)
    size = len(frame)
    season = _season(quarter, scenario)
    drift = centred_lognormal(rng, 0.01, len(BURDEN_CODES))
    burden = habits.burden * season[BURDEN_CODES].to_numpy() * drift * _chance(_BURDEN, rng, size)
    work = (habits.work + rng.normal(0, 2.0, size)).clip(_SHORTEST_WEEK, _LONGEST_WEEK)
    burden *= np.minimum(1, _MOST_BURDEN * work / burden.sum(axis=1))[:, None]
    in_force = _exposure(frame, quarter, scenario, reforms, seed)
    reformed, avoidable = _reformed(burden, in_force, scenario)
    shares = habits.other * season[OTHER_CODES].to_numpy() * _chance(_OTHER, rng, size)
    shares[:, OTHER_CODES.index("C1")] += 0.5  # someone with nothing else to do does core work
    shares /= shares.sum(axis=1, keepdims=True)
    rest = work - burden.sum(axis=1)
    freed = burden.sum(axis=1) - reformed.sum(axis=1)
    return TrueWeeks(
        quarter,
        hours=np.hstack([reformed, (rest + _GIVEN_BACK * freed)[:, None] * shares]),
        untreated=np.hstack([burden, rest[:, None] * shares]),
        avoidable=avoidable,
        parallel=habits.parallel * centred_lognormal(rng, 0.2, size),
        acceptable=habits.acceptable,
        exposure=in_force,
    )


def _season(quarter: Quarter, scenario: Scenario) -> pd.Series:
    season = pd.Series(1.0, index=WORK_CODES)
    season.update(pd.Series(_SEASON[quarter.number], dtype=float))
    if quarter.number == 4:
        season[["I1", "I2"]] = scenario.year_end_peak
    return season


def _chance(profile: pd.DataFrame, rng: np.random.Generator, size: int) -> np.ndarray:
    """Factors of mean one: zero in weeks without the activity, skewed in the others."""
    takes_part = profile["takes_part"].to_numpy()
    some = rng.random((size, len(profile))) < takes_part
    return some / takes_part * rng.gamma(5.0, 1 / 5.0, (size, len(profile)))


def _exposure(
    frame: pd.DataFrame, quarter: Quarter, scenario: Scenario, reforms: list[Reform], seed: int
) -> np.ndarray:
    region = frame["region"].astype("category")
    counties = [str(code) for code in region.cat.categories]
    # Places carry out the same reform with more or less zeal.
    zeal = centred_lognormal(stream(seed, "zeal"), 0.2, (len(counties), 1))
    in_force = zeal * exposure(reforms, scenario, quarter, counties=counties, groups=GROUPS)
    touched = frame["role"].eq("leader").to_numpy() if scenario.leaders_only else np.ones(len(frame))
    return in_force[region.cat.codes.to_numpy()] * touched[:, None]


def _reformed(burden: np.ndarray, in_force: np.ndarray, scenario: Scenario) -> tuple[np.ndarray, np.ndarray]:
    """Burden hours after the reforms, and the avoidable part of them."""
    effect = np.array([scenario.hours_effect.get(group, 0.0) for group in GROUPS])
    groups = [GROUPS.index(group) for group in _BURDEN["group"]]
    cut = -burden * (in_force * effect)[:, groups]
    total = cut.sum(axis=1, keepdims=True)
    new = np.zeros_like(burden)
    new[:, [BURDEN_CODES.index("G1"), BURDEN_CODES.index("G2")]] += scenario.moved_online * total * [0.6, 0.4]
    new[:, [BURDEN_CODES.index("I1"), BURDEN_CODES.index("D2")]] += scenario.coping * total * [0.6, 0.4]
    kept = burden - cut
    avoidable = (burden * _BURDEN["avoidable"].to_numpy() - _AVOIDABLE_IN_CUT * cut).clip(min=0.05 * kept)
    return kept + new, np.minimum(avoidable, kept) + _AVOIDABLE_IN_NEW * new
