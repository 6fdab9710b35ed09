"""What officials answer in the questionnaire: true hours through memory, counts, scales, and how the change felt."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis_lib.ingest.simulate.hours import GROUPS, WORK_CODES, TrueWeeks
from analysis_lib.ingest.simulate.scenarios import Scenario
from analysis_lib.ingest.simulate.streams import centred_lognormal

# Recall over truth by task, and the spread of single answers. Finer tasks are remembered worse than the total.
_TASK_BIAS = {"meeting": 1.12, "document": 1.06, "form": 0.93, "inspection": 1.22, "digital": 0.80, "service": 1.05}
_TASK_SPREAD = 0.18
_TOTAL_BIAS = 1.04
_TOTAL_BIAS_PER_HOUR = 0.002  # longer weeks are overstated more
_TOTAL_SPREAD = 0.05
_HEAPED = {10: 0.15, 5: 0.35}  # share of totals given to the nearest ten and five hours
_PARTS_KEPT_WITHIN_WHOLE = 0.9  # share of those whose parts exceed the whole who notice
_WEEKS_PER_MONTH = 4.35
_LACKS_MEANS = {"county": -0.06, "township": 0.02, "village": 0.05}  # share of tasks, about its mean
_LACKS_PER_LOAD = 0.04
_FEAR = 1.0  # spread of the fear of blame, in points of its items
_FEELS_WORSE = 0.45  # felt change lies above the measured one
_FELT = {
    "meeting": "felt_meetings",
    "document": "felt_documents",
    "form": "felt_forms",
    "inspection": "felt_inspections",
    "digital": "felt_digital",
}
_DICTATED_RECALL = 0.75
_DICTATING_UNITS = 0.35  # share of treated units in which answers are handed down


def answer_questionnaire(
    panel: pd.DataFrame,
    now: TrueWeeks,
    before: TrueWeeks,
    *,
    scenario: Scenario,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Answers of everyone in the panel, whether or not they will hand them in.

    Parameters
    ----------
    panel : pandas.DataFrame
        Sample list indexed by position in the frame of officials.
    now, before : TrueWeeks
        True weeks of the quarter and of the one before it.

    Returns
    -------
    pandas.DataFrame
        One column per question of the questionnaire, and is_dictated, indexed as ``panel``.
    """
    officials = panel.index.to_numpy()
    praised = scenario.dictated * (now.exposure[officials].max(axis=1) > 0)
    answers = pd.concat(
        [
            _hours(now, officials, praised, rng),
            _counts(panel, now, officials, scenario, rng),
            _scales(panel, now, officials, praised, scenario, rng),
            _felt_changes(now, before, officials, praised, rng),
        ],
        axis=1,
    ).set_axis(panel.index)
    return _hand_down(answers, panel, praised, rng)


def _hours(weeks: TrueWeeks, officials: np.ndarray, praised: np.ndarray, rng: np.random.Generator) -> pd.DataFrame:
    size = len(officials)
    work = weeks.work[officials]
    bias = _TOTAL_BIAS + _TOTAL_BIAS_PER_HOUR * (work - 52)
    total = _heap(work * bias * centred_lognormal(rng, _TOTAL_SPREAD, size), rng).clip(0, 110)
    parts = {
        name: weeks.group(name)[officials] * bias * centred_lognormal(rng, _TASK_SPREAD, size)
        for name, bias in _TASK_BIAS.items()
    }
    for name in GROUPS:
        parts[name] = parts[name] * np.where(praised, _DICTATED_RECALL, 1.0)
    notices = rng.random(size) < _PARTS_KEPT_WITHIN_WHOLE
    fit = np.where(notices, np.minimum(1, total * 0.97 / np.maximum(sum(parts.values()), 1)), 1.0)
    halves = {f"{name}_hours": np.floor(2 * hours * fit + rng.random(size)) / 2 for name, hours in parts.items()}
    acceptable = weeks.acceptable[officials] * centred_lognormal(rng, 0.06, size)
    return pd.DataFrame(
        {
            "work_hours": total,
            **halves,
            "digital_parallel_hours": np.round(2 * weeks.parallel[officials] * centred_lognormal(rng, 0.3, size)) / 2,
            "acceptable_hours": np.where(
                rng.random(size) < 0.3, 5 * np.round(acceptable / 5), np.round(2 * acceptable) / 2
            ),
        }
    )


def _heap(hours: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    luck = rng.random(len(hours))
    to_ten, to_five = luck < _HEAPED[10], luck < _HEAPED[10] + _HEAPED[5]
    return np.select([to_ten, to_five], [10 * np.round(hours / 10), 5 * np.round(hours / 5)], np.round(2 * hours) / 2)


def _counts(
    panel: pd.DataFrame, weeks: TrueWeeks, officials: np.ndarray, scenario: Scenario, rng: np.random.Generator
) -> pd.DataFrame:
    """Counts follow the hours there would have been, and the caps that reforms set on counts."""
    untreated = dict(zip(WORK_CODES, weeks.untreated[officials].T, strict=True))
    caps = {
        group: 1 + scenario.counts_effect.get(group, 0.0) * weeks.exposure[officials, GROUPS.index(group)]
        for group in GROUPS
    }
    hours = dict(zip(WORK_CODES, weeks.hours[officials].T, strict=True))
    meetings = rng.poisson(untreated["M1"] / 1.7 * caps["meeting"]).clip(max=40)
    documents = rng.poisson((4 + 10 * untreated["D1"]) * caps["document"]).clip(max=500)
    inspections = rng.poisson(untreated["I2"] * _WEEKS_PER_MONTH / 2.2 * caps["inspection"]).clip(max=60)
    doubled = hours["F2"] / np.maximum(hours["F1"] + hours["F2"], 0.1)
    size = len(officials)
    # Those below get tasks without the means, and the more of them the busier they are.
    lacks = panel["tier"].map(_LACKS_MEANS).to_numpy(float) + _LACKS_PER_LOAD * _load(weeks, officials)
    return pd.DataFrame(
        {
            "meetings_attended": meetings,
            "meetings_unrelated": rng.binomial(meetings, 0.33),
            "documents_received": documents,
            "inspections_received": inspections,
            "apps_required": (2 + rng.poisson(4.5 + 1.0 * hours["G2"].clip(max=6))).clip(max=40),
            "groups_watched": (8 + rng.negative_binomial(3, 3 / (3 + 22 + 3.5 * hours["G1"]))).clip(max=150),
            "off_hours_pings": rng.poisson(1.2 * hours["G1"] + 0.8 * weeks.parallel[officials]).clip(max=200),
            "duplicate_share": (10 * np.round(10 * (doubled + rng.normal(0, 0.08, size)))).clip(0, 100).astype(int),
            "authority_gap": (10 * np.round(10 * (rng.beta(3, 3.8, size) + lacks))).clip(0, 100).astype(int),
        }
    )


def _load(weeks: TrueWeeks, officials: np.ndarray) -> np.ndarray:
    """Gross hours about their mean, in steps of eight."""
    return (weeks.gross[officials] - 27) / 8


def _scales(
    panel: pd.DataFrame,
    weeks: TrueWeeks,
    officials: np.ndarray,
    praised: np.ndarray,
    scenario: Scenario,
    rng: np.random.Generator,
) -> pd.DataFrame:
    size = len(officials)
    load = _load(weeks, officials)
    long_week = (weeks.work[officials] - 52) / 6
    young = panel["age_group"].eq("under_35").to_numpy()
    person = rng.normal(0, 0.5, size)  # some agree more with anything
    # One fear moves both items of pressure, in opposite ways, or agreeing with anything would be all they share.
    fear = rng.spawn(1)[0].normal(0, _FEAR, size)
    coping_work = scenario.coping * weeks.exposure[officials].max(axis=1)

    def scale(mean: np.ndarray, low: int = 1, high: int = 5) -> np.ndarray:
        return np.round(mean + person + rng.normal(0, 0.7, size)).clip(low, high).astype(int)

    return pd.DataFrame(
        {
            "tirt_burdensome": scale(3.4 + 0.5 * load - praised),
            "tirt_unnecessary": scale(3.0 + 0.4 * load - praised),
            "tirt_ineffective": scale(2.9 + 0.3 * load - praised),
            "pressure_blame": scale(3.5 + 0.3 * load + 0.2 * coping_work + fear - praised),
            "pressure_tolerance": scale(2.8 - 0.2 * load - fear + praised),
            "coping": scale(1.6 + 0.3 * load + 0.5 * coping_work - praised, 0, 4),
            "exhaustion": scale(3.2 + 0.4 * long_week + 0.2 * load - praised),
            "leave_intention": scale(2.2 + 0.3 * load + 0.5 * young - 0.5 * praised),
        }
    )


def _felt_changes(
    now: TrueWeeks, before: TrueWeeks, officials: np.ndarray, praised: np.ndarray, rng: np.random.Generator
) -> pd.DataFrame:
    """Lighter (-2) to heavier (+2) than last quarter: changes are felt dimly, and as worse than they are."""
    felt = {}
    for group in GROUPS:
        then = before.group(group)[officials]
        relative = (now.group(group)[officials] - then) / (then + 3)
        sense = 1.2 * relative + _FEELS_WORSE + rng.normal(0, 0.8, len(officials)) - 1.5 * praised
        felt[_FELT[group]] = np.round(sense).clip(-2, 2).astype(int)
    return pd.DataFrame(felt)


def _hand_down(
    answers: pd.DataFrame, panel: pd.DataFrame, praised: np.ndarray, rng: np.random.Generator
) -> pd.DataFrame:
    """In some units of praised places everyone hands in the same answers."""
    units = np.unique(panel["psu"])
    dictating = units[rng.random(len(units)) < _DICTATING_UNITS]
    copies = praised.astype(bool) & panel["psu"].isin(dictating).to_numpy()
    templates = answers.groupby(panel["psu"]).transform("first")
    handed_down = answers.where(~pd.Series(copies, index=answers.index), templates)
    return handed_down.assign(is_dictated=copies)
