"""The three distinctions of a study, judged: from its officials and from what became of its reforms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from analysis_lib.monitoring.displacement import BY_MOVED
from analysis_lib.monitoring.following import Following
from analysis_lib.monitoring.guardrails import (
    MOVED,
    GuardrailVerdict,
    Status,
    guardrail_changes,
    guardrails_table,
    judge,
    three_distinctions,
)
from analysis_lib.monitoring.rebound import BY_RELAPSE, is_cut_told
from analysis_lib.quarters import QUARTERS_PER_YEAR, Quarter
from analysis_lib.reforms import Reform, read_reforms
from analysis_lib.study import NATION, Study
from analysis_lib.survey.attrition import staying_table
from analysis_lib.survey.estimation import estimate
from analysis_lib.survey.scales import invariance_table, scales_table, study_scales
from analysis_lib.time_use.activities import all_measures

LEAST_ITEMS = 3  # of a scale that can be tried for meaning the same in every group
LEVELS = ("service", "authority_gap")  # shown quarter by quarter
_STATUS: dict[str, Status] = {"holds": "kept", "no": "kept", "relapsed": "broken", "yes": "broken"}
_WORST: tuple[Status, ...] = ("broken", "open", "kept")


@dataclass(frozen=True, slots=True)
class Compared:
    """The quarters before and since the first reform that a change is judged by.

    Attributes
    ----------
    label : str
        Ends of both periods, with an arrow between them.
    earlier, later, lately : list of str
        Quarters before; since; the last of them, one of each season.
    """

    label: str
    earlier: list[str]
    later: list[str]
    lately: list[str]


@dataclass(frozen=True, slots=True, eq=False)
class Guarding:
    """Answers to the three distinctions, and what they rest on, as tables of the contract ``estimates``.

    Attributes
    ----------
    compared : Compared
        The periods of every change.
    verdicts : list of GuardrailVerdict
        One for each distinction.
    guardrails : pandas.DataFrame
        Rows of `guardrails_table`.
    levels : pandas.DataFrame
        Service hours and the authority gap quarter by quarter.
    scales : pandas.DataFrame
        Rows of `scales_table`, before and since.
    invariance : pandas.DataFrame
        Rows of `invariance_table` for each scale of three items or more.
    staying : pandas.DataFrame
        Rows of `staying_table`, since.
    impossible : dict of str to str
        Scale and period, or scale and what it was to be the same in, between dots → why nothing is told.
    """

    compared: Compared
    verdicts: list[GuardrailVerdict]
    guardrails: pd.DataFrame
    levels: pd.DataFrame
    scales: pd.DataFrame
    invariance: pd.DataFrame
    staying: pd.DataFrame
    impossible: dict[str, str]


def watch_guardrails(
    official_quarters: pd.DataFrame,
    respondents: pd.DataFrame,
    sample: pd.DataFrame,
    *,
    study: Study,
    quarters: Sequence[str],
    followed: Following,
) -> Guarding:
    """Judge the three distinctions by what changed since the first reform, and by what became of the reforms.

    Parameters
    ----------
    official_quarters, respondents, sample : pandas.DataFrame
        Of every quarter up to the one under report; the sample list may be empty.
    quarters : sequence of str
        Consecutive quarters up to the one under report.
    followed : Following
        Whether the cuts of reforms held and where their hours went.
    """
    reforms = read_reforms(study)
    compared = compared_quarters(study, quarters)
    changes = guardrail_changes(
        official_quarters,
        respondents,
        sample,
        study=study,
        label=compared.label,
        earlier=compared.earlier,
        later=compared.later,
        lately=compared.lately,
    )
    stated = stated_findings(followed, reforms, study=study)
    asked = three_distinctions(study, reforms, further=[*changes["measure"], *(["relapse", *MOVED] if reforms else [])])
    level = study.config.estimation.confidence_level
    verdicts = [judge(each, changes, stated=stated, confidence_level=level) for each in asked if each.indicators]
    measured = [key for key in LEVELS if key in all_measures(study)]
    before, since = [*compared.earlier], [*compared.later]
    named = dict(zip(compared.label.split("→"), (before, since), strict=False)) if before else {compared.label: since}
    both = official_quarters[official_quarters["quarter"].isin([*before, *since])]
    groups = [column for column in study.config.estimation.categories if column in both.columns]
    scales, impossible = scales_table(official_quarters, respondents, study=study, periods=named)
    invariance = []
    for scale in study_scales(study):
        if len(scale.items) < LEAST_ITEMS:
            impossible[f"{scale.key}.invariance"] = "two items fit any model, and cannot be tried for meaning the same"
            continue
        tried, why = invariance_table(
            both, respondents, study=study, groups=[*groups, "quarter"], period=compared.label, scales=[scale]
        )
        invariance.append(tried)
        impossible |= why
    return Guarding(
        compared,
        verdicts,
        guardrails_table(verdicts, changes),
        estimate(
            official_quarters, measured, study=study, periods={each: [each] for each in quarters}, regions=[NATION]
        ),
        scales,
        pd.concat([scales.iloc[:0], *invariance], ignore_index=True),
        staying_table(sample, official_quarters, respondents, study=study, period=_span(since), quarters=since),
        impossible,
    )


def compared_quarters(study: Study, quarters: Sequence[str]) -> Compared:
    """Quarters before and since the first start of any reform, of like seasons.

    Before is at most the last year before the first start. Since are the quarters of the same seasons, as many of each;
    a season without a quarter since leaves both. Where no reform has started, or nothing is known of before, the last
    quarter is held against that of a year ago or, lacking it, the first.
    """
    known = [Quarter.parse(text) for text in quarters]
    starts = [start for reform in read_reforms(study) if (start := reform.first_start(study, NATION))]
    first = min(starts, default=None)
    before = [each for each in known if first and first.shift(-QUARTERS_PER_YEAR) <= each < first]
    since = [each for each in known if first and each >= first]
    seasons = {each.number for each in before} & {each.number for each in since}
    if not seasons:
        base = known[-1].shift(-QUARTERS_PER_YEAR)
        before = [base] if base in known else known[:1] if len(known) > 1 else []
        return _compared(before, known[-1:], known[-1:])
    times = Counter(each.number for each in since)
    most = min(times[season] for season in seasons)
    later, lately = (
        sorted(each for season in seasons for each in [one for one in since if one.number == season][-count:])
        for count in (most, 1)
    )
    return _compared([each for each in before if each.number in seasons], later, lately)


def _compared(before: list[Quarter], later: list[Quarter], lately: list[Quarter]) -> Compared:
    texts = [[str(each) for each in part] for part in (before, later, lately)]
    return Compared("→".join(_span(part) for part in texts[:2] if part), *texts)


def _span(quarters: list[str]) -> str:
    return quarters[0] if len(quarters) == 1 else f"{quarters[0]}–{quarters[-1]}"


def stated_findings(followed: Following, reforms: Sequence[Reform], *, study: Study) -> dict[str, Status]:
    """What other tests found, the worst of all reforms: one relapse is a relapse.

    ``relapse`` is that of the primary measure of each reform of which a cut is told; open where it is of none. A finding that
    no reform could be followed for is left out.
    """
    found: dict[str, list[Status]] = {}
    for reform in reforms:
        lasting, moved = followed.lasting, followed.accounts
        rows = lasting[(lasting["by"] == BY_RELAPSE) & (lasting["measure"] == reform.primary_in(study))]
        rows = rows[rows["category"].str.split(".").str[0] == reform.id]
        if len(rows):
            found.setdefault("relapse", [])
        if is_cut_told(rows):
            for outcome in rows.loc[rows["category"].str.endswith(".lost"), "outcome"]:
                found["relapse"].append(_STATUS.get(outcome, "open"))
        for key in MOVED:
            here = (moved["by"] == BY_MOVED) & (moved["category"] == f"{reform.id}.{key}")
            for outcome in moved.loc[here, "outcome"]:
                found.setdefault(key, []).append(_STATUS.get(outcome, "open"))
    return {key: min(statuses or ["open"], key=_WORST.index) for key, statuses in found.items()}
