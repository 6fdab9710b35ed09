"""The three distinctions: did what should fall fall, and was what must be kept kept? Yes, no, or cannot tell, by rule.

Every indicator has a margin, settled before anybody looks, and is judged by the interval [l, u] of its change, turned so
that harm is above zero. ``[l', u']`` is the same interval widened for the k indicators of the distinction (Bonferroni)::

    indicator              kept         broken        open
    required to fall       u < 0        l' > −margin  else     a fall smaller than its margin is no fall that matters
    must not rise (fall)   u < margin   l' > margin   else     non-inferiority (Blackwelder 1982)
    stated by another test as stated there: a relapse, hours that moved

    verdict      yes           every indicator is kept
                 no            any indicator is broken
                 cannot_tell   else; also when an indicator has no interval, or nothing is required

A yes needs every test to succeed, so that none needs an adjustment: the probability of a false yes is at most that of
its least likely part, half of 1 − confidence level (intersection-union test: Berger 1982). A no needs only one, so those
tests share that error; without the wider interval five indicators would give a false no five times as often.
Of a required fall told from zero and yet below its margin both would hold: it is broken, as "small".

What the rule cannot do: margins are decisions, and a guard that nobody asked about guards nothing. Distinctions name
both what was left open and what was not asked.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats

from analysis_lib.errors import UsageError, did_you_mean
from analysis_lib.reforms import Reform
from analysis_lib.study import NATION, Study
from analysis_lib.survey.attrition import BY_AGE_DIFFERENCE, staying_table, young_changes
from analysis_lib.survey.design import SurveyDesign
from analysis_lib.survey.estimation import difference, estimate_change
from analysis_lib.survey.scales import with_answers
from analysis_lib.tables.contracts import CONTRACTS, check
from analysis_lib.time_use.activities import all_measures

Wanted = Literal["fall", "rise", "not_rise", "not_fall"]
Status = Literal["kept", "broken", "open"]
Answer = Literal["yes", "no", "cannot_tell"]

BY_GUARDRAIL, BY_VERDICT = "guardrail", "verdict"
REQUIRED: tuple[Wanted, ...] = ("fall", "rise")
BETTER_ABOVE: tuple[Wanted, ...] = ("rise", "not_fall")
# Margins by unit where nobody gave one; hours take the study's smallest change that matters.
MARGINS = {
    "share": 0.05,  # one official in twenty, or one task in twenty
    "score": 0.2,  # of an item of five points: one official in five moves by a point
    "count": 0.5,  # meetings, documents, apps
}
LATELY = "_lately"  # the change of a measure in the last quarters in force
POWER_GUARDS: dict[str, Wanted] = {
    "duplicate_share": "not_rise",
    "coping": "not_rise",
    "pressure_blame": "not_rise",
    "pressure_tolerance": "not_fall",
    "authority_gap": "not_rise",
}
# Of the young, whose group is named behind: the last is no change, but how much more they stop answering than others.
YOUNG_GUARDS = ("leave_intention", "leaving", "leaving_gap")
# Single questions of the questionnaire that are no measures of a study.
QUESTIONS = ("coping", "pressure_blame", "pressure_tolerance")
LASTING_GUARDS = ("group_digital", "group_for_show", "gross_out_of_hours")
MOVED = ("offline_to_online", "pen_to_fingertip", "toothpaste")


@dataclass(frozen=True, slots=True)
class Indicator:
    """What is watched.

    Attributes
    ----------
    measure : str
        Key of the row that tells of its change.
    wanted : str
        ``fall`` and ``rise`` are required; ``not_rise`` and ``not_fall`` guard.
    margin : float
        In the measure's unit: of a required change, the smallest that matters; of a guard, the harm that may be borne.
        With none at all a guard is kept only when it is told to be better.
    """

    measure: str
    wanted: Wanted
    margin: float

    def __post_init__(self) -> None:
        if not self.margin >= 0:
            raise UsageError(
                f"a margin of {self.margin}",
                where=f"guardrail {self.measure}",
                fix="give one of zero or more",
            )

    @property
    def is_required(self) -> bool:
        """Whether it must change, rather than be kept."""
        return self.wanted in REQUIRED


@dataclass(frozen=True, slots=True)
class Distinction:
    """One question, and what answers it.

    Attributes
    ----------
    key : str
        ``responsibilities``, ``power`` or ``lasting``.
    indicators : tuple of Indicator
        Judged by the interval of a change.
    stated : tuple of str
        Keys of findings that other tests give as kept, broken or open.
    not_asked : tuple of str
        What would belong here and the study does not ask.
    """

    key: str
    indicators: tuple[Indicator, ...]
    stated: tuple[str, ...] = ()
    not_asked: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Judged:
    """An indicator or finding, judged; ``remark`` says why: ``told``, ``small``, ``wrong_way``, ``worse``, …"""

    measure: str
    status: Status
    remark: str


@dataclass(frozen=True, slots=True)
class GuardrailVerdict:
    """The answer to a distinction.

    Attributes
    ----------
    distinction : Distinction
        What was asked.
    answer : str
        ``yes``, ``no``, ``cannot_tell``.
    judged : tuple of Judged
        Indicators, then findings of other tests.
    reasons : tuple of str
        Why it is not a yes: ``small.<measure>``, ``wrong_way.<measure>``, ``broken.<measure>``, ``open.<measure>``,
        ``missing.<measure>``, and ``nothing_required`` where no change that should have come was asked about; of a no
        only what broke. Empty exactly for a yes.
    reservations : tuple of str
        What a reader must know beside it: ``worse.<measure>`` for a guard told to be worse within its margin,
        ``not_asked.<measure>``, and in a no what stayed open.
    """

    distinction: Distinction
    answer: Answer
    judged: tuple[Judged, ...]
    reasons: tuple[str, ...]
    reservations: tuple[str, ...]


def three_distinctions(
    study: Study,
    reforms: Sequence[Reform] = (),
    *,
    further: Collection[str] = (),
) -> list[Distinction]:
    """The three distinctions of a study, from what it measures.

    Parameters
    ----------
    reforms : sequence of Reform
        The strictest ``service_may_fall_by`` of their plans is the margin of service hours.
    further : collection of str
        Keys of changes and findings that are no measures of the study: questions, leaving, findings of other tests.

    Raises
    ------
    UsageError
        When ``study.toml`` gives a margin to something that no distinction watches.

    Notes
    -----
    Margins of ``study.toml`` come first, then the service hours of the plans, then `MARGINS` by unit.
    Autonomy has no question of its own: the share of tasks without power, staff or money stands for it, in reverse.
    """
    settings, chosen = study.config.estimation, study.config.guardrails.margins
    measures, questions = all_measures(study), _questions(study)
    given = {*measures, *further}
    known = dict.fromkeys(key.removesuffix(LATELY) for _, watched, _ in questions for key in watched)
    for measure in chosen:
        if measure not in known:
            raise UsageError(
                f"{measure!r} is watched by no distinction",
                where="study.toml, guardrails.margins",
                fix=did_you_mean(measure, known),
            )

    def margin(measure: str) -> float:
        key = measure.removesuffix(LATELY)
        if key in chosen:
            return chosen[key]
        if key == "service" and reforms:
            return min(reform.plan.decision_rule.service_may_fall_by for reform in reforms)
        unit = measures[key].unit if key in measures else "share" if key.startswith("leaving") else "score"
        return MARGINS.get(unit, settings.smallest_change)

    return [
        Distinction(
            key,
            tuple(Indicator(name, wanted, margin(name)) for name, wanted in watched.items() if name in given),
            tuple(name for name in stated if name in given),
            tuple(name for name in [*watched, *stated] if name not in given),
        )
        for key, watched, stated in questions
    ]


def _questions(study: Study) -> list[tuple[str, dict[str, Wanted], list[str]]]:
    """Key, what is watched and which findings of other tests count, of each distinction."""
    headline, young = study.config.estimation.headline, study.config.guardrails.young
    responsibilities: dict[str, Wanted] = dict.fromkeys(study.config.estimation.nested, "not_rise")
    responsibilities |= {headline: "fall", "service": "not_fall", "authority_gap": "not_rise"}
    lasting: dict[str, Wanted] = dict.fromkeys(LASTING_GUARDS, "not_rise")
    of_young: dict[str, Wanted] = dict.fromkeys([f"{guard}_{young}" for guard in YOUNG_GUARDS], "not_rise")
    return [
        ("responsibilities", responsibilities, []),
        ("power", {"group_inspection": "fall", **POWER_GUARDS, **of_young}, []),
        ("lasting", {headline + LATELY: "fall", **lasting}, ["relapse", *MOVED]),
    ]


def judge(
    distinction: Distinction,
    changes: pd.DataFrame,
    *,
    stated: Mapping[str, Status] | None = None,
    confidence_level: float = 0.95,
) -> GuardrailVerdict:
    """Answer one distinction.

    Parameters
    ----------
    changes : pandas.DataFrame
        One row for each measure (changes of `estimate_change`, or effects): ``measure``, ``estimate``, ``ci_low``,
        ``ci_high``, ``df``. Intervals may be of repeated looks; they then hold at every look.
    stated : mapping of str to str
        Findings of other tests: ``kept``, ``broken`` or ``open``; one that is not given is open.
    confidence_level : float
        Of the intervals.

    Raises
    ------
    UsageError
        When a measure has two rows, or nothing is watched by an interval.
    """
    stated = stated or {}
    if not distinction.indicators:
        raise UsageError("no indicator", where=f"distinction {distinction.key}", fix="measure at least one of them")
    twice = sorted(set(changes["measure"][changes["measure"].duplicated()]))
    if twice:
        raise UsageError(f"{twice} have two changes", where=f"distinction {distinction.key}", fix="choose one of them")
    numbers = {
        str(row["measure"]): (row["estimate"], row["ci_low"], row["ci_high"], row["df"])
        for row in changes.to_dict("records")
    }
    alpha, k = 1 - confidence_level, len(distinction.indicators)
    judged = [_judged(each, numbers.get(each.measure), alpha, k) for each in distinction.indicators]
    for name in distinction.stated:
        status = stated.get(name)
        judged.append(Judged(name, status or "open", status or "missing"))
    broken = [f"{each.remark}.{each.measure}" for each in judged if each.status == "broken"]
    unsettled = [f"{each.remark}.{each.measure}" for each in judged if each.status == "open"]
    if not any(each.is_required for each in distinction.indicators):
        unsettled.append("nothing_required")
    return GuardrailVerdict(
        distinction,
        "no" if broken else "cannot_tell" if unsettled else "yes",
        tuple(judged),
        tuple(broken or unsettled),
        (
            *(f"worse.{each.measure}" for each in judged if each.remark == "worse"),
            *(unsettled if broken else ()),
            *(f"not_asked.{name}" for name in distinction.not_asked),
        ),
    )


def _judged(indicator: Indicator, change: tuple[float, float, float, float] | None, alpha: float, k: int) -> Judged:
    measure, margin = indicator.measure, indicator.margin
    value, low, high, df = change or (np.nan,) * 4
    if indicator.wanted in BETTER_ABOVE:
        value, low, high = -value, -high, -low
    if not low <= value <= high:  # also where a number is missing
        return Judged(measure, "open", "missing")
    df = df if df >= 1 else np.inf
    wider = stats.t.isf(alpha / (2 * k), df) / stats.t.isf(alpha / 2, df)
    lowest = value - (value - low) * wider
    if indicator.is_required:
        if lowest > -margin:
            return Judged(measure, "broken", "wrong_way" if lowest > 0 else "small")
        return Judged(measure, "kept", "told") if high < 0 else Judged(measure, "open", "open")
    if lowest > margin:
        return Judged(measure, "broken", "broken")
    if high < margin:
        return Judged(measure, "kept", "worse" if low > 0 else "kept")
    return Judged(measure, "open", "open")


def guardrails_table(verdicts: Sequence[GuardrailVerdict], changes: pd.DataFrame) -> pd.DataFrame:
    """Verdicts as rows of the contract ``estimates``, with columns ``outcome``, ``wanted``, ``margin`` and ``reasons``.

    Rows ``guardrail`` have the category ``<distinction>.<measure>``, the numbers of the change and how it was judged.
    Rows ``verdict`` have the category ``<distinction>``, the answer, and the change of the first required indicator.
    ``reasons`` are joined by spaces, reservations after a bar. A finding of another test, and a change that is missing,
    has no numbers; it counts as resting on the officials of the first required indicator.
    """
    numbers: dict[str, dict] = {str(row["measure"]): dict(row) for row in changes.to_dict("records")}
    nobody = {"statistic": "mean", "unit": "score", "region": NATION, "period": "", "n": 0, "n_psu": 0}
    rows = []
    for verdict in verdicts:
        key, indicators = verdict.distinction.key, verdict.distinction.indicators
        first = next((each for each in indicators if each.is_required), indicators[0])
        of_first = numbers.get(first.measure, nobody)
        without = nobody | {name: of_first[name] for name in ("period", "n", "n_psu")}
        reasons = " | ".join(" ".join(words) for words in (verdict.reasons, verdict.reservations))
        rows.append(
            {**of_first, **_asked(first.measure, first), "by": BY_VERDICT, "category": key}
            | {"outcome": verdict.answer, "reasons": reasons}
        )
        watched = {each.measure: each for each in indicators}
        rows += [
            {**numbers.get(each.measure, without), **_asked(each.measure, watched.get(each.measure))}
            | {"by": BY_GUARDRAIL, "category": f"{key}.{each.measure}"}
            | {"outcome": each.status, "reasons": each.remark}
            for each in verdict.judged
        ]
    kinds = {name: str(column.dtype) for name, column in CONTRACTS["estimates"].schema.columns.items()}
    kinds |= dict.fromkeys(("outcome", "wanted", "reasons"), "str")
    kinds |= dict.fromkeys(("margin", "residual_df"), "float64")
    return check(pd.DataFrame(rows, columns=pd.Index(list(kinds))).astype(kinds), "estimates")


def _asked(measure: str, indicator: Indicator | None) -> dict:
    wanted, margin = (indicator.wanted, indicator.margin) if indicator else ("", float("nan"))
    return {"measure": measure, "wanted": wanted, "margin": margin}


def guardrail_changes(
    official_quarters: pd.DataFrame,
    respondents: pd.DataFrame,
    sample: pd.DataFrame,
    *,
    study: Study,
    label: str,
    earlier: list[str],
    later: list[str],
    lately: Sequence[str] = (),
) -> pd.DataFrame:
    """Changes of everything that the distinctions of a study watch, one row for each measure.

    Parameters
    ----------
    official_quarters, respondents, sample : pandas.DataFrame
        Of every quarter up to the last of ``later``.
    label : str
        What the change is called; with an arrow, so that it is read as a change.
    earlier, later : list of str
        Quarters before, and since.
    lately : sequence of str
        The last quarters of ``later``, in which the fall must still be there; empty: no such row.

    Returns
    -------
    pandas.DataFrame
        Rows of the contract ``estimates`` for the nation. They say what changed, not what a reform did: for that put
        rows of effects in their place. ``leaving_gap_…`` alone is no change: do the young stay as others do?
    """
    headline, settings = study.config.estimation.headline, study.config.guardrails
    watched = dict.fromkeys(each.measure for asked in three_distinctions(study) for each in asked.indicators)
    common = {"study": study, "label": label, "earlier": earlier}
    frames = [estimate_change(official_quarters, list(watched), later=later, regions=[NATION], **common)]
    if lately:
        late = estimate_change(official_quarters, [headline], later=list(lately), regions=[NATION], **common)
        frames.append(late.assign(measure=headline + LATELY))
    frames.append(_question_changes(official_quarters, respondents, later=later, **common))
    frames.append(young_changes(sample, official_quarters, respondents, later=later, **common))
    staying = staying_table(sample, official_quarters, respondents, study=study, period=label, quarters=later)
    is_gap = (staying["measure"] == "leaving") & (staying["by"] == BY_AGE_DIFFERENCE)
    frames.append(staying[is_gap].assign(measure=f"leaving_gap_{settings.young}", by="", category=""))
    filled = [frame for frame in frames if len(frame)] or frames[
        :1
    ]  # of a study's first quarter nothing has changed yet
    return check(pd.concat(filled, ignore_index=True), "estimates")


def _question_changes(
    official_quarters: pd.DataFrame,
    respondents: pd.DataFrame,
    *,
    study: Study,
    label: str,
    earlier: list[str],
    later: list[str],
) -> pd.DataFrame:
    questions = [column for column in QUESTIONS if column not in study.measures]
    frame = with_answers(official_quarters, respondents, questions)
    design, level = SurveyDesign.of_study(study), study.config.estimation.confidence_level
    frames = []
    for column in questions:
        before, after = (frame["quarter"].isin(quarters) & frame[column].notna() for quarters in (earlier, later))
        if before.any() and after.any():
            found = difference(frame, column, design=design, earlier=before, later=after, confidence_level=level)
            frames.append(found.assign(measure=column))
    named = {"statistic": "mean", "unit": "score", "region": NATION, "by": "", "category": "", "period": label}
    columns = list(CONTRACTS["estimates"].schema.columns)
    return pd.concat(frames, ignore_index=True).assign(**named)[columns] if frames else pd.DataFrame(columns=columns)
