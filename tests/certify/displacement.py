"""Where hours went: accounts against a truth that is known, and how often displacement is named.

Surveys: two quarters of the simulated officials, 2024Q2 before any reform and 2026Q2, drawn again and again from the
same truth; a, no effect; b, a plain cut; d, all of it moved to chats and apps; f, a small cut and twice as many hours of
coping. ``coverage`` is that of pointwise intervals of a part, of all parts by their joint intervals, and of Fieller's
interval of the index, which is the whole line where the cut is not told; ``named`` how often a finding is yes, or the
index defined; ``refuted`` how often a finding is no. The truth is the change of the week, whatever made it.

Panels: regions with a reform and without it, five parts of which one loses two hours and one gains 1.2; shocks of parts
are correlated and autocorrelated.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from certify.effects import PERIODS, blank
from certify.two_instruments import DEMONSTRATION
from sample_study import write_study

from analysis_lib.effects.difference_in_differences import imputation, overall
from analysis_lib.effects.inference import cohort_residuals
from analysis_lib.effects.panel import Panel
from analysis_lib.ingest.simulate.diaries import draw_day
from analysis_lib.ingest.simulate.hours import GROUP_OF, GROUPS, TrueWeeks, group_hours, live_quarter, settle_habits
from analysis_lib.ingest.simulate.officials import draw_sample, whole_frame
from analysis_lib.ingest.simulate.recall import answer_questionnaire
from analysis_lib.ingest.simulate.scenarios import find_scenario
from analysis_lib.monitoring.accounts import Account, Partition, account_of_change, contrasted
from analysis_lib.monitoring.displacement import Disguised, disguised_burden, findings
from analysis_lib.quarters import Quarter
from analysis_lib.reforms import read_reforms
from analysis_lib.study import Study

EARLIER, LATER = Quarter(2024, 2), Quarter(2026, 2)
MEDIA = ("paper", "meeting_room", "video", "app", "chat", "other")
WORK_DAY = (8 * 60, 18 * 60)
PARTS = (*GROUPS, "for_show", "service", "core", "training")
LEVEL = 0.95
PANEL_EFFECT = np.array([-2.0, 1.2, 0.0, 0.5, 0.3])  # hours a week, by part


def certify(repetitions: int = 300, seed: int = 20267) -> pd.DataFrame:
    """Surveys under four scenarios, and panels of few and many regions."""
    with tempfile.TemporaryDirectory() as folder:
        study = write_study(Path(folder) / "study")
        surveys = [certified(letter, study, repetitions, seed) for letter in "abdf"]
    panels = [certified_panel(n, 10 * repetitions, seed) for n in (3, 10, 30)]
    return pd.concat([*surveys, *panels], ignore_index=True)


# -- surveys ------------------------------------------------------------------------------------------


def certified(letter: str, study: Study, repetitions: int, seed: int) -> pd.DataFrame:
    """Coverage of parts, of all at once and of the index, and how often each finding is named, in one scenario."""
    world = World(letter, seed)
    truth, rows, named = world.truth(), [], []
    for frame in world.draws(repetitions, seed + 1):
        account = account_of_change(frame, study=study, earlier=[str(EARLIER)], later=[str(LATER)], label="change")
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
    ratio = -moved / (truth["group_meeting"] + truth["group_document"])
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


class World:
    """Two quarters of the simulator's population under the reforms of the demonstration, without non-response."""

    def __init__(self, letter: str, seed: int) -> None:
        study = Study.open(DEMONSTRATION)
        self.scenario, reforms = find_scenario(letter), read_reforms(study)
        self.frame = whole_frame(study, seed=seed)
        habits = settle_habits(self.frame, seed=seed)
        self.weeks = {
            quarter: live_quarter(self.frame, habits, quarter, scenario=self.scenario, reforms=reforms, seed=seed)
            for each in (EARLIER, LATER)
            for quarter in (each.shift(-1), each)
        }

    def truth(self) -> dict[str, float]:
        """Change of each part of the mean week."""
        weeks = [self.weeks[quarter] for quarter in (EARLIER, LATER)]
        before, after = (
            {f"group_{group}": group_hours(each.hours, group).mean() for group in PARTS} | {"whole": each.work.mean()}
            for each in weeks
        )
        return {part: float(after[part] - before[part]) for part in before}

    def draws(self, repetitions: int, seed: int) -> Iterator[pd.DataFrame]:
        """Samples of both quarters: work units in common, officials another quarter of the panel."""
        for repetition in range(repetitions):
            rng = np.random.default_rng([seed, repetition])
            luck = pd.Series(rng.random(len(self.frame))).groupby([self.frame["psu"], self.frame["tier"]])
            frame = self.frame.assign(place=luck.rank().astype("int64") - 1)
            of_panel = int(rng.integers(2**31))
            yield pd.concat(
                [
                    self._surveyed(draw_sample(frame, quarter, first=EARLIER, seed=of_panel), quarter, rng)
                    for quarter in (EARLIER, LATER)
                ],
                ignore_index=True,
            )

    def _surveyed(self, panel: pd.DataFrame, quarter: Quarter, rng: np.random.Generator) -> pd.DataFrame:
        now, before = self.weeks[quarter], self.weeks[quarter.shift(-1)]
        answers = answer_questionnaire(panel, now, before, scenario=self.scenario, rng=rng)
        has_diary = panel["has_diary_task"].to_numpy()
        who = panel.index.to_numpy()[has_diary]
        week = sum(
            days * _on_a_day(now, who, day_type, self.scenario.moved_online, rng)
            for day_type, days in (("weekday", 5), ("weekend", 2))
        )
        columns = week.set_axis(np.flatnonzero(has_diary)).reindex(range(len(panel)))
        design = panel.reset_index(drop=True).assign(
            quarter=str(quarter), weight=panel["base_weight"].to_numpy(),
            diary_weight=panel["diary_base_weight"].to_numpy(), has_diary=has_diary,
            coping=answers["coping"].to_numpy(float),
        )  # fmt: skip
        return pd.concat([design, columns], axis=1)


def _on_a_day(
    weeks: TrueWeeks, officials: np.ndarray, day_type: str, moved: float, rng: np.random.Generator
) -> pd.DataFrame:
    """Hours of a diary day of each official, in every way that the account divides them."""
    day = draw_day(weeks, officials, day_type, rounded_to=None, moved=moved, rng=rng)
    hours = (day["end"] - day["start"]).to_numpy() / 60
    group = day["activity"].map(GROUP_OF).fillna("personal")
    group = group.mask(day["is_for_show"] & (day["activity"] == "T1"), "for_show")
    medium, is_burden = day["medium"], group.isin([*GROUPS, "for_show"])
    in_hours = (np.minimum(day["end"], WORK_DAY[1]) - np.maximum(day["start"], WORK_DAY[0])).clip(lower=0) / 60
    outside = hours - (in_hours if day_type == "weekday" else 0.0)
    chosen = {f"group_{name}": hours * (group == name) for name in (*PARTS, "personal")}
    chosen |= {f"gross_on_{name}": hours * (is_burden & (medium == name)) for name in MEDIA}
    chosen |= {
        key: hours * ((group == key.split("_on_")[0]) & (medium == key.split("_on_")[1]))
        for key in ("document_on_paper", "form_on_paper", "form_on_app", "form_on_chat")
    }
    chosen |= {f"activity_{code.lower()}": hours * (day["activity"] == code) for code in ("I1", "D2")}
    chosen |= {
        "work_time": hours * (group != "personal"),
        "gross_out_of_hours": outside * is_burden,
        "parallel_digital": hours * (day["secondary_activity"] != ""),
    }
    row = day["row"].to_numpy()
    return pd.DataFrame(
        {key: np.bincount(row, np.asarray(values, dtype=float), len(officials)) for key, values in chosen.items()}
    )


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
