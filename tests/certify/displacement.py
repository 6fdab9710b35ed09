"""Where hours went: accounts against a truth that is known, and how often displacement is named.

Surveys: two quarters of the simulated officials, 2024Q2 before any reform and 2026Q2, drawn again and again from the
same truth; a, no effect; b, a plain cut; d, all of it moved to chats and apps; f, a small cut and twice as many hours of
coping. ``coverage`` is that of pointwise intervals of a part, of all parts by their joint intervals, and of Fieller's
interval of the index, which is the whole line where the cut is not told; hours cut are those of meetings and documents
in working hours, and what they gain in evenings and on weekends has reappeared; ``named`` how often a finding is yes, or the
index defined; ``refuted`` how often a finding is no. The truth is the change of the week, whatever made it.

Panels: regions with a reform and without it, five parts of which one loses two hours and one gains 1.2; shocks of parts
are correlated and autocorrelated.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from certify.effects import PERIODS, blank
from certify.two_instruments import DEMONSTRATION
from certify.worlds import Country

from analysis_lib.effects.difference_in_differences import imputation, overall
from analysis_lib.effects.inference import cohort_residuals
from analysis_lib.effects.panel import Panel
from analysis_lib.ingest.simulate.diaries import draw_day
from analysis_lib.ingest.simulate.hours import GROUP_OF, GROUPS, TrueWeeks, group_hours
from analysis_lib.ingest.simulate.streams import stream
from analysis_lib.monitoring.accounts import CUT, CUT_OUT_OF_HOURS, Account, Partition, account_of_change, contrasted
from analysis_lib.monitoring.displacement import Disguised, disguised_burden, findings
from analysis_lib.quarters import Quarter
from analysis_lib.study import Study

EARLIER, LATER = Quarter(2024, 2), Quarter(2026, 2)
WORK_DAY = (8 * 60, 18 * 60)  # minutes
MINUTES_PER_HOUR = 60
CENSUSES = 2
PARTS = (*GROUPS, "for_show", "service", "core", "training")
LEVEL = 0.95
PANEL_EFFECT = np.array([-2.0, 1.2, 0.0, 0.5, 0.3])  # hours a week, by part


def certify(repetitions: int = 300, seed: int = 20267) -> pd.DataFrame:
    """Surveys under four scenarios, and panels of few and many regions."""
    surveys = [certified(letter, repetitions, seed) for letter in "abdf"]
    panels = [certified_panel(n, 10 * repetitions, seed) for n in (3, 10, 30)]
    return pd.concat([*surveys, *panels], ignore_index=True)


# -- surveys ------------------------------------------------------------------------------------------


def certified(letter: str, repetitions: int, seed: int) -> pd.DataFrame:
    """Coverage of parts, of all at once and of the index, and how often each finding is named, in one scenario."""
    country = world(letter, seed)
    truth, rows, named = true_change(country), [], []
    for frame in draws(country, repetitions):
        account = account_of_change(
            frame, study=country.study, earlier=[str(EARLIER)], later=[str(LATER)], label="change"
        )
        parts = account.parts("work").set_index("part")
        index = disguised_burden(account)
        rows.append((parts, index))
        named.append({found.key: found.answer for found in findings(account)})
    table = [
        _summary(f"{letter}: {part}", truth[part], [parts.loc[part] for parts, _ in rows])
        for part in [f"group_{group}" for group in PARTS] + ["whole"]
    ]
    joint = [
        all(row["joint_low"] <= truth[part] <= row["joint_high"] for part, row in parts.drop("whole").iterrows())
        for parts, _ in rows
    ]
    table.append({"what": f"{letter}: all parts at once", "coverage": np.mean(joint)})
    moved = sum(truth[f"group_{group}"] for group in ("form", "inspection", "digital", "for_show"))
    cut, later = -truth["group_meeting"] - truth["group_document"], truth[CUT_OUT_OF_HOURS]
    ratio = (moved + later) / (cut + later)
    indices = [index for _, index in rows]
    table.append({"what": f"{letter}: index of disguised burden", **_of_index(indices, ratio)})
    answers = pd.DataFrame(named)
    table += [
        {"what": f"{letter}: {key}", "named": (answers[key] == "yes").mean(), "refuted": (answers[key] == "no").mean()}
        for key in answers
    ]
    return pd.DataFrame(table).assign(n=round(len(frame) / 2), repetitions=repetitions, seed=seed)


def _summary(what: str, truth: float, rows: list[pd.Series]) -> dict[str, object]:
    found = pd.DataFrame(rows)
    covered = (found["ci_low"] <= truth) & (truth <= found["ci_high"])
    return {"what": what, "truth": truth, "bias": found["estimate"].mean() - truth, "sd": found["estimate"].std(),
            "se": np.sqrt((found["se"] ** 2).mean()), "coverage": covered.mean()}  # fmt: skip


def _of_index(indices: list[Disguised], truth: float) -> dict[str, float]:
    """One without an interval counts as the whole line, which holds everything."""
    given = [each for each in indices if each.low <= each.high]
    missed = sum(not each.low <= truth <= each.high for each in given)
    return {
        "truth": truth,
        "bias": float(np.median([each.ratio for each in given])) - truth if len(given) > len(indices) / 2 else np.nan,
        "coverage": 1 - missed / len(indices),
        "named": len(given) / len(indices),
    }


def world(letter: str, seed: int) -> Country:
    """The demonstration's officials in both quarters."""
    return Country.of(Study.open(DEMONSTRATION), letter, seed, [EARLIER, LATER])


def draws(country: Country, repetitions: int) -> Iterator[pd.DataFrame]:
    """Samples of both quarters in which everybody answers: work units in common, officials another quarter of the panel."""
    for luck in range(repetitions):
        yield country.returns(luck=luck, all_answer=True).officials


def true_change(country: Country) -> dict[str, float]:
    """Change of each part of the mean week."""
    before, after = (
        {f"group_{group}": group_hours(week.hours, group).mean() for group in PARTS}
        | {"whole": week.work.mean(), CUT_OUT_OF_HOURS: _cut_out_of_hours(week, country)}
        for week in (country.weeks[quarter] for quarter in (EARLIER, LATER))
    )
    return {part: float(after[part] - before[part]) for part in before}


def _cut_out_of_hours(week: TrueWeeks, country: Country) -> float:
    """Mean hours of meetings and documents in evenings and on weekends: diaries of everybody, since weeks have no clock."""
    everybody, found = np.arange(len(country.frame)), 0.0
    for day_type, days in (("weekday", 5), ("weekend", 2)):
        for draw in range(CENSUSES):
            rng = stream(country.seed, "census", day_type, draw)  # the same luck in both quarters
            day = draw_day(week, everybody, day_type, rounded_to=None, moved=0.0, rng=rng)
            inside = np.minimum(day["end"], WORK_DAY[1]) - np.maximum(day["start"], WORK_DAY[0])
            outside = day["end"] - day["start"] - (inside.clip(lower=0) if day_type == "weekday" else 0)
            is_cut = day["activity"].map(GROUP_OF).isin(CUT)
            found += days / CENSUSES * outside[is_cut].sum() / MINUTES_PER_HOUR / len(everybody)
    return found


# -- panels -------------------------------------------------------------------------------------------


def certified_panel(n: int, repetitions: int, seed: int) -> pd.DataFrame:
    """As many regions with the reform as without it."""
    rng = np.random.default_rng([seed, n])
    panel = blank(n, n, rng)
    effect = overall(imputation(panel), panel).weights[0]
    names = [f"part{place}" for place in range(len(PANEL_EFFECT))]
    ratio, covered, joint, index = 1.2 / 2.0, [], [], []
    mixing = np.eye(5) - 0.15  # what one part gains the others lose
    for _ in range(repetitions):
        shocks = rng.normal(0, 0.7, (5, 2 * n, PERIODS)) + rng.normal(0, 2.0, (5, 2 * n, 1))
        for place in range(1, PERIODS):
            shocks[:, :, place] = 0.5 * shocks[:, :, place - 1] + np.sqrt(0.75) * shocks[:, :, place]
        values = 8.0 + np.tensordot(mixing, shocks, 1) + PANEL_EFFECT[:, None, None] * panel.in_force
        account = panel_account(dict(zip(names, values, strict=True)), panel, effect)
        parts = account.parts("work").iloc[:5]
        covered.append((parts["ci_low"] <= PANEL_EFFECT) & (parts["ci_high"] >= PANEL_EFFECT))
        joint.append(((parts["joint_low"] <= PANEL_EFFECT) & (parts["joint_high"] >= PANEL_EFFECT)).all())
        index.append(disguised_burden(account))
    return pd.DataFrame(
        [
            {"what": f"panel, {n} + {n} regions: parts", "coverage": np.mean(covered)},
            {"what": f"panel, {n} + {n} regions: all parts at once", "coverage": np.mean(joint)},
            {"what": f"panel, {n} + {n} regions: index", **_of_index(index, ratio)},
        ]
    ).assign(n=2 * n, repetitions=repetitions, seed=seed)  # fmt: skip


def panel_account(values: dict[str, np.ndarray], panel: Panel, effect: np.ndarray) -> Account:
    """An account of parts of a week made by hand: the first was to be cut, the second is burden too."""
    keys = ["group_cut", "group_other", *list(values)[2:]]
    filled = dict(zip(keys, values.values(), strict=True))
    before, after, blocks = contrasted(filled, panel, effect)
    return Account(
        label="made", period="", region="all", keys=tuple(keys), partitions={"work": Partition("", tuple(keys))},
        before=before, after=after, blocks=blocks, most_df=float(cohort_residuals(panel)[1].sum()), n=1000, n_psu=100,
        confidence_level=LEVEL, smallest_change=0.5, cut=("cut",), burden=("cut", "other"),
    )  # fmt: skip
