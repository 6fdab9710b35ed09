"""Ten worlds in which the reforms did, or did not do, what they promised; and where and when they came."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from analysis_lib.errors import UsageError, did_you_mean
from analysis_lib.quarters import Quarter
from analysis_lib.reforms import Reform

_REAL_CUT = {"meeting": -0.25, "document": -0.25, "form": -0.35, "inspection": -0.30}
_CAPPED_COUNTS = {"meeting": -0.35, "document": -0.40, "form": 0.0, "inspection": -0.40}
_PHASE_IN = (0.6, 1.0)  # share of the full effect in the first and in later quarters
_REBOUND = (0.6, 1.0, 0.7, 0.35, 0.0)  # gone within four quarters


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is true in a world; effects are relative to the hours or counts there would have been.

    Attributes
    ----------
    hours_effect, counts_effect : dict of str to float
        Activity group → relative change of hours, and of meetings, documents and inspections counted.
    phases : tuple of float
        Share of the effect in force by quarters since the local start; the last one stays.
    leaders_only : bool
        Only leaders' hours change.
    moved_online : float
        Share of the hours cut that comes back as hours on chats and apps.
    coping : float
        Hours of made-up traces and drafts for each hour cut.
    dictated : bool
        Answers, not hours, improve once a reform has started.
    overloaded_young_leave : bool
        Overloaded officials under 35 stop answering the longer they are in the panel.
    year_end_peak : float
        Hours of inspections in the fourth quarter relative to other quarters.
    """

    letter: str
    title_zh: str
    title_en: str
    hours_effect: dict[str, float] = field(default_factory=dict)
    counts_effect: dict[str, float] = field(default_factory=dict)
    phases: tuple[float, ...] = _PHASE_IN
    leaders_only: bool = False
    moved_online: float = 0.0
    coping: float = 0.0
    dictated: bool = False
    overloaded_young_leave: bool = False
    year_end_peak: float = 1.12


SCENARIOS: dict[str, Scenario] = {
    scenario.letter: scenario
    for scenario in [
        Scenario("a", "改革无效果", "No effect"),
        Scenario("b", "真正减负", "A real cut", _REAL_CUT, _CAPPED_COUNTS),
        Scenario("c", "数量下降、工时不降", "Counts fall, hours do not", {}, _CAPPED_COUNTS),
        Scenario(
            "d",
            "由纸面转到线上、总量不变",
            "From paper to app, the total flat",
            _REAL_CUT,
            _CAPPED_COUNTS,
            moved_online=1.0,
        ),
        Scenario("e", "减负后反弹", "A cut, then a rebound", _REAL_CUT, _CAPPED_COUNTS, phases=_REBOUND),
        Scenario(
            "f",
            "挤牙膏：小幅减负，应付增多",
            "Squeezing toothpaste: a small cut, more coping work",
            {group: effect / 4 for group, effect in _REAL_CUT.items()},
            _CAPPED_COUNTS,
            coping=2.0,
        ),
        Scenario("g", "只减领导层", "A cut for leaders only", _REAL_CUT, _CAPPED_COUNTS, leaders_only=True),
        Scenario("h", "授意作答", "Dictated answers", dictated=True),
        Scenario("i", "超负荷年轻干部流失", "Overloaded young officials drop out", overloaded_young_leave=True),
        Scenario("j", "年末迎检高峰被误作效果", "A year-end peak mistaken for an effect", year_end_peak=2.0),
    ]
}


def find_scenario(letter: str) -> Scenario:
    """The scenario of a letter; raises `UsageError` for any other."""
    if letter not in SCENARIOS:
        raise UsageError(f"{letter!r} is not a scenario", where="scenario", fix=did_you_mean(letter, SCENARIOS))
    return SCENARIOS[letter]


def exposure(
    reforms: list[Reform], scenario: Scenario, quarter: Quarter, *, counties: list[str], groups: list[str]
) -> np.ndarray:
    """Share of the full effect in force, by county and activity group: the largest of the reforms that apply."""
    in_force = np.zeros((len(counties), len(groups)))
    for reform in reforms:
        targeted = [groups.index(group) for group in reform.groups]
        for row, county in enumerate(counties):
            start = reform.starts.get(county)
            if start is not None and quarter >= start:
                phase = scenario.phases[min(quarter - start, len(scenario.phases) - 1)]
                in_force[row, targeted] = np.maximum(in_force[row, targeted], phase)
    return in_force
