"""Whole studies, from simulated weeks to the words that readers see: what is said in each scenario, and how often rightly.

Every draw is another country with its own officials, places and luck: twelve quarters of questionnaires and diaries with
non-response, without dirt, followed, guarded and adjusted as the notebooks do as of the last quarter. What is right
follows from the planted truth:

* ``fell``: the true change of mean gross hours, the last year in force against the quarters before the first reform;
  lower or higher as its sign has it, little change where it is smaller than half an hour. Between none and half an hour
  both are right.
* ``moved``: yes in d and f, ``back``: yes in e; no elsewhere.
* a distinction: no where a required fall did not come, a guard of hours is broken, hours moved or came back; either where
  the required fall is smaller than its margin; else yes. Guards of scales, counts and leaving break in i alone.
* ``effect`` of a reform on its primary measure: as ``fell``, by its true mean effect where and while it is in force.
* ``recommended``: the register's rule applied to true answers.
* ``named``: what is planted and has no word of its own; yes where it is. Counts fell, hours not (c, d, f): meetings and
  documents counted are told to have fallen where they were capped, hours are not. Leaders alone gained (g): their hours are
  told to have fallen, those of others are not; an estimate by rank, which the demonstration does not print. The young stop
  answering (i): more than others do. Dictated answers (h) are found by `returns`; here they must not pass for a fall.

``right`` is the share of draws whose word is right, ``wrong`` of those that say something else: to leave it open, or not to
name what is there, is neither. Scenarios share their luck, draw by draw: a, c, d and h have the same officials and hours but
for what they plant.
*Demonstration*: about 1,430 answers and 550 diaries a quarter. *Sharper*: four times as many officials of each work unit,
meetings and documents reformed county by county (half the counties, in three waves of five) and two looks declared.
"""

from __future__ import annotations

import math
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from certify.two_instruments import DEMONSTRATION
from certify.worlds import Country, Returned

from analysis_lib.disclosure.protect import protect
from analysis_lib.effects.four_series import BY_COMPLIANCE, compliance
from analysis_lib.ingest.simulate.hours import GROUPS, TrueWeeks, group_hours
from analysis_lib.monitoring.adjusting import Answer, adjust, decide
from analysis_lib.monitoring.following import Following, follow_reforms
from analysis_lib.monitoring.guarding import Compared, Guarding, compared_quarters, watch_guardrails
from analysis_lib.monitoring.guardrails import BETTER_ABOVE
from analysis_lib.monitoring.repeated_looks import BY_LOOK
from analysis_lib.publishing.sentences import Writer
from analysis_lib.publishing.verdicts import three_verdicts
from analysis_lib.quarters import Quarter
from analysis_lib.reforms import Reform, read_reforms
from analysis_lib.study import NATION, Study
from analysis_lib.survey.estimation import estimate, estimate_change
from analysis_lib.tables.contracts import blank

FELL = ("lower", "little_change", "higher")
EFFECT = ("returned_hours", "no_change_that_matters", "added_hours")
OPEN = "cannot_tell"
NAMED, NOT_NAMED = "named", "not_named"
WAVES = {"2024Q3": "01", "2025Q1": "03", "2025Q3": "05"}  # first quarter → which counties of each province but the last
DECLARED_LOOKS = ["2025Q3", "2026Q3"]


@dataclass(frozen=True, slots=True)
class Size:
    """How much a study asks, and which scenarios it is tried on; those of ``often`` three times as often."""

    name: str
    times: int
    scenarios: str
    draws: int
    often: str = ""


SIZES = (Size("demonstration", 1, "abcdefghij", 8, often="abdf"), Size("sharper", 4, "abcdef", 8))


def certify(seed: int = 20280, sizes: Sequence[Size] = SIZES, processes: int | None = None) -> pd.DataFrame:
    """A row for each size, question and scenario."""
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(processes or os.cpu_count()) as pool:
        found = []
        for size in sizes:
            study = study_of(size, Path(folder) / size.name)
            for letter in size.scenarios:
                seeds = range(seed, seed + size.draws * (3 if letter in size.often else 1))
                draws = pool.map(partial(said_in, size, study.root, letter), seeds)
                found.append(summary(size, letter, [row for draw in draws for row in draw]).assign(seed=seed))
    return in_order(found)


def in_order(found: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """All rows of a question together, in the order of questions."""
    table = pd.concat(found, ignore_index=True)
    order = {asked: place for place, asked in enumerate(dict.fromkeys(table["asked"]))}
    return table.sort_values("asked", key=lambda asked: asked.map(order), kind="stable", ignore_index=True)


@dataclass(frozen=True, slots=True)
class Said:
    """One answer of a draw, and those that would have been right."""

    asked: str
    said: str
    right: tuple[str, ...]


def summary(size: Size, letter: str, rows: Sequence[Said]) -> pd.DataFrame:
    """Shares of right, wrong and open answers by question."""
    table = []
    for asked in dict.fromkeys(row.asked for row in rows):
        own = [row for row in rows if row.asked == asked]
        right = sum(row.said in row.right for row in own)
        wrong = sum(row.said not in (*row.right, OPEN, NOT_NAMED) for row in own)
        true = Counter(" or ".join(row.right) for row in own).most_common()
        said = Counter(row.said for row in own).most_common()
        table.append(
            {
                "asked": asked, "size": size.name, "scenario": letter, "draws": len(own),
                "is true": _words([(word, n) for word, n in true if n >= len(own) / 10], len(own)),
                "right": right / len(own), "wrong": wrong / len(own), "said": _words(said, len(own)),
            }
        )  # fmt: skip
    return pd.DataFrame(table)


def _words(counted: Sequence[tuple[str, int]], n: int) -> str:
    shares = "; ".join(word if times == n else f"{word} {times / n:.2f}" for word, times in counted)
    return shares.replace("_", " ")


# -- studies ------------------------------------------------------------------------------------------


def study_of(size: Size, folder: Path) -> Study:
    """The demonstration's places, measures and rules; sharper, another register of the same reforms."""
    folder.mkdir()
    shutil.copytree(DEMONSTRATION / "reference", folder / "reference")
    shutil.copy(DEMONSTRATION / "study.toml", folder)
    if size.name == "sharper":
        path = folder / "reference" / "reforms.toml"
        text = path.read_text(encoding="utf-8")
        units = "\n".join(
            f'"{province}{county}" = "{start}"' for start, county in WAVES.items() for province in range(91, 96)
        )
        text = text.replace('level = "province"', 'level = "county"')
        text = text.replace('"91" = "2024Q3"\n"92" = "2025Q1"\n"93" = "2025Q3"', units)
        looks = ", ".join(f'"{quarter}"' for quarter in DECLARED_LOOKS)
        path.write_text(text.replace("[reform.plan]\n", f"[reform.plan]\nlooks = [{looks}]\n"), encoding="utf-8")
    return Study.open(folder)


def said_in(size: Size, root: Path, letter: str, seed: int) -> list[Said]:
    """Everything said in one draw."""
    study = Study.open(root)
    calendar = list(study.config.calendar.quarters)
    country = Country.of(study, letter, seed, calendar)
    returned = country.returns(times=size.times)
    quarters = [str(quarter) for quarter in calendar]
    compared = compared_quarters(study, quarters)
    followed = follow_reforms(
        returned.officials, study=study, quarters=quarters, earlier=compared.earlier, later=compared.lately
    )
    guarded = watch_guardrails(
        returned.officials, returned.respondents, returned.sample, study=study, quarters=quarters, followed=followed
    )
    decided = adjust(returned.officials, followed, blank("estimates"), study=study, quarters=quarters).decisions
    reforms = {reform.id: reform for reform in read_reforms(study)}
    return [
        *_verdicts(country, followed, guarded),
        *_distinctions(country, guarded),
        *(each for reform in reforms.values() for each in _effect(country, reform, followed)),
        *(
            Said(f"recommended: {name}", decision.recommendation, (true_decision(country, reforms[name]),))
            for name, decision in decided.items()
        ),
        *_named(country, returned, followed, guarded),
    ]


# -- what is said, and what is right ------------------------------------------------------------------


def _verdicts(country: Country, followed: Following, guarded: Guarding) -> Iterator[Said]:
    """The three words at the head of a release, as published: from protected tables."""
    tables = {"accounts": followed.accounts, "reform_lasting": followed.lasting, "guardrails": guarded.guardrails}
    writer = Writer(country.study, "en")
    shown = {name: protect(table, name, study=country.study) for name, table in tables.items()}
    letter, change = country.scenario.letter, true_changes(country, guarded.compared)["gross_combined_lately"]
    right = {
        "fell": _direction(change, country.study.config.estimation.smallest_change, FELL),
        "moved": ("yes" if letter in "df" else "no",),
        "back": ("yes" if letter == "e" else "no",),
    }
    for verdict in three_verdicts(shown, None, writer=writer, page=""):
        answers = [*FELL, "cannot_tell"] if verdict.key == "fell" else ["yes", "no", "cannot_tell"]
        (said,) = (each for each in answers if writer.text(f"verdict.{verdict.key}_{each}") == verdict.word)
        yield Said(verdict.key, said, right[verdict.key])


def _distinctions(country: Country, guarded: Guarding) -> Iterator[Said]:
    truth, letter = true_changes(country, guarded.compared), country.scenario.letter
    for verdict in guarded.verdicts:
        is_harmed = verdict.distinction.key == "lasting" and letter in "def"
        is_harmed |= verdict.distinction.key == "power" and letter == "i"  # the young leave
        is_small = False
        for indicator in verdict.distinction.indicators:
            if indicator.measure in truth:
                harm = truth[indicator.measure] * (-1 if indicator.wanted in BETTER_ABOVE else 1)
                is_harmed |= harm > (0.0 if indicator.is_required else indicator.margin)
                is_small |= indicator.is_required and -indicator.margin < harm < 0
        right = ("no",) if is_harmed else ("no", "yes") if is_small else ("yes",)
        yield Said(verdict.distinction.key, verdict.answer, right)


def _effect(country: Country, reform: Reform, followed: Following) -> Iterator[Said]:
    rows = followed.looks[followed.looks["measure"] == reform.primary_in(country.study)]
    rows = rows[(rows["by"] == BY_LOOK) & rows["category"].str.fullmatch(rf"{reform.id}\.\d+")]
    if len(rows):
        said = str(rows.iloc[-1]["outcome"]).split(".")[0]
        yield Said(
            f"effect: {reform.id}", said, _direction(true_effect(country, reform), reform.smallest_change, EFFECT)
        )


def _named(country: Country, returned: Returned, followed: Following, guarded: Guarding) -> Iterator[Said]:
    study, compared, letter = country.study, guarded.compared, country.scenario.letter
    common: dict = {"study": study, "earlier": compared.earlier, "later": compared.lately, "label": compared.label}
    changes = estimate_change(returned.officials, ["gross_combined"], regions=[NATION], by=["", "role"], **common)
    fell = {row["category"]: row["ci_high"] < 0 for row in changes.to_dict("records")}
    yield _planted("counts fell, hours not", "cdf", letter, _counts_fell(returned, study) and not fell[""])
    yield _planted("leaders alone gained", "g", letter, fell["leader"] and not fell["staff"])
    young = guarded.guardrails
    young = young[young["measure"] == f"leaving_gap_{study.config.guardrails.young}"]
    yield _planted("the young stop answering", "i", letter, bool((young["ci_low"] > 0).any()))


def _planted(what: str, where: str, letter: str, is_named: bool) -> Said:
    right = NAMED if letter in where else NOT_NAMED
    return Said(f"named: {what}", NAMED if is_named else NOT_NAMED, (right,))


def _counts_fell(returned: Returned, study: Study) -> bool:
    """Whether both counts of meetings and documents are told to have fallen where they were capped."""
    reform = next(each for each in read_reforms(study) if each.id == "fewer-shorter")
    keys = [cap.measure for cap in reform.caps]
    quarters = {quarter: [quarter] for quarter in sorted(returned.officials["quarter"].unique())}
    counts = estimate(returned.officials, keys, study=study, periods=quarters, regions=list(reform.units))
    rows = compliance(reform, study=study, counts=counts)
    rows = rows[(rows["by"] == BY_COMPLIANCE) & (rows["region"] == NATION) & rows["category"].str.endswith(".reached")]
    return bool((rows["ci_high"] < 0).all())


def _direction(change: float, smallest: float, words: tuple[str, str, str]) -> tuple[str, ...]:
    """The words that a true change allows: below, within and above what matters."""
    side = words[0] if change < 0 else words[2]
    return (side,) if abs(change) >= smallest else (words[1],) if change == 0 else (words[1], side)


# -- the truth ----------------------------------------------------------------------------------------


def true_changes(country: Country, compared: Compared) -> dict[str, float]:
    """Changes of mean hours that distinctions watch, over the quarters that they compare."""

    def mean(quarters: Sequence[str], hours_of: Callable[[TrueWeeks], np.ndarray]) -> float:
        return float(np.mean([hours_of(country.weeks[Quarter.parse(each)]).mean() for each in quarters]))

    watched = {
        "gross_combined": lambda week: week.gross,
        "avoidable_combined": lambda week: week.avoidable.sum(axis=1) + week.group("for_show"),
        "excess_combined": lambda week: np.maximum(0, week.gross - week.acceptable),
        "service": lambda week: week.group("service"),
        **{f"group_{group}": partial(_of_group, group) for group in ("inspection", "digital", "for_show")},
    }
    found = {
        key: mean(compared.later, hours) - mean(compared.earlier, hours) for key, hours in watched.items()
    }  # fmt: skip
    gross = watched["gross_combined"]
    return found | {"gross_combined_lately": mean(compared.lately, gross) - mean(compared.earlier, gross)}


def _of_group(group: str, week: TrueWeeks) -> np.ndarray:
    return group_hours(week.hours, group)


def true_effect(country: Country, reform: Reform) -> float:
    """Mean effect on gross hours of officials where the reform is in force, over the quarters in force."""
    scenario, hours, officials = country.scenario, 0.0, 0
    left = 1 - scenario.moved_online - scenario.coping  # of an hour cut, what is not put back as other burden
    region = country.frame["region"].to_numpy()
    for quarter in country.quarters:
        week = country.weeks[quarter]
        inside = np.isin(region, [code for code, start in reform.starts.items() if start <= quarter])
        for group in reform.groups:
            in_force = week.exposure[inside, GROUPS.index(group)] * scenario.hours_effect.get(group, 0.0)
            hours += left * float((group_hours(week.untreated[inside], group) * in_force).sum())
        officials += int(inside.sum())
    return hours / officials


def true_decision(country: Country, reform: Reform) -> str:
    """What the reform's rule recommends to somebody who knows the truth."""
    scenario, rule = country.scenario, reform.plan.decision_rule
    wanted = rule.keep_if_cut_by or reform.smallest_change
    way = _true_way(country, reform)
    answers: dict[str, Answer] = {
        "returned": "yes" if true_effect(country, reform) <= -wanted else "no",
        "unkept": "yes" if way < rule.intensify_if_compliance_below else "no",
        "moved": "yes" if scenario.moved_online + scenario.coping > rule.redesign_if_disguised_above else "no",
        "relapsed": "yes" if scenario.phases[-1] < max(scenario.phases) else "no",
        "service": "no",
    }
    looks = country.quarters[-1] - min(reform.starts.values()) + 1
    return decide(answers, looks=looks, rule=rule).recommendation


def _true_way(country: Country, reform: Reform) -> float:
    """Share of the way to the cap that is farthest from being kept: counts fall as they were planted to, or not at all."""
    ways = []
    region = country.frame["region"].to_numpy()
    groups = {"meetings_attended": "meeting", "documents_received": "document", "inspections_received": "inspection"}
    last = [quarter for quarter in country.quarters if country.quarters[-1] - quarter < len(SEASONS)]
    for cap in reform.caps:
        group = groups.get(cap.measure)
        if group is None or cap.change is None:
            ways.append(0.0)  # no scenario touches what is filed twice
            continue
        reached = [
            country.weeks[quarter].exposure[region == code, GROUPS.index(group)].mean()
            for code, start in reform.starts.items()
            for quarter in last
            if start <= quarter and (region == code).any()
        ]
        ways.append(float(np.mean(reached)) * country.scenario.counts_effect.get(group, 0.0) / cap.change)
    return min(ways, default=math.inf)


SEASONS = (1, 2, 3, 4)
