"""What to keep, intensify, redesign or stop: a rule declared in ``reforms.toml`` before the results, applied to them.

Five questions are answered from intervals, each yes, no or cannot tell::

    returned     hours fell, and by what the rule asks       no: the interval rules out so large a cut; rose: and tells
                                                             that there are more hours
    service      hours of service fell beyond what is allowed
    moved        of the hours cut more than allowed reappears as other burden, or a named way of moving is found
                                                             no: no more than allowed reappears, or, where no cut is told
                                                             whose share could reappear, every named way is ruled out
    relapsed     the relapse chart says so                    no: the cut is told to hold; since: hours came back, but
                                                              no region tells that the reform had cut them: not counted
    unkept       counts lie short of the caps                 no: told not to

A recommendation follows from the first line that applies (``stop_if_no_cut_after`` looks; a blank is any answer)::

    service  moved  relapsed  returned  unkept   recommendation   why
    yes                                          redesign         the cut costs what it should not
             yes                                 redesign         burden changed its place, not its size
                    yes                 no       redesign         rules are kept and hours came back all the same
                    yes                 other    intensify        what worked at first is no longer enforced
                              yes       yes      intensify        it works, and is not yet carried out in full
                              yes       other    keep
             no               no        yes      intensify        it was not tried yet
             other            no        yes      cannot tell      not tried yet, or what came of it went elsewhere
                              no, rose  other    stop, after so many looks
                              rose               redesign         what was tried of it takes hours
                              no        no       redesign         rules are kept and no hours came of it
                              no        other    cannot tell
                    other                        cannot tell      the interval is too wide

An answer that cannot be told speaks neither way and is printed beside the recommendation; only that a reform was not tried
yet asks for a no. Hours returned follow the repeated-look interval, so that asking every quarter does not make a finding of
chance.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd

from analysis_lib.effects.four_series import BY_COMPLIANCE, compliance
from analysis_lib.monitoring.displacement import BY_MOVED, UNDEFINED
from analysis_lib.monitoring.following import SERVICE, Following
from analysis_lib.monitoring.rebound import BY_RELAPSE
from analysis_lib.monitoring.repeated_looks import BY_LOOK
from analysis_lib.reforms import DecisionRule, Reform, read_reforms
from analysis_lib.study import NATION, Study
from analysis_lib.survey.estimation import estimate
from analysis_lib.tables.contracts import CONTRACTS, check
from analysis_lib.time_use.activities import all_measures

Answer = Literal["yes", "no", "rose", "since", "cannot_tell", "not_asked"]
Recommendation = Literal["keep", "intensify", "redesign", "stop", "cannot_tell"]

BY_ADJUST = "adjust"
RETURNED, UNKEPT, MOVED, RELAPSED, SERVED = CRITERIA = ("returned", "unkept", "moved", "relapsed", "service")
COST, RECOMMENDED = "cost", "recommendation"
LATE, NOT_COMPARED = "declared_late", "not_compared"
WAYS_TO_MOVE = ("offline_to_online", "pen_to_fingertip", "toothpaste")


@dataclass(frozen=True, slots=True)
class Decision:
    """What the rule recommends.

    Attributes
    ----------
    recommendation : str
        ``keep``, ``intensify``, ``redesign``, ``stop``, ``cannot_tell``.
    reasons : tuple of str
        Answers that decided, as ``<question>.<answer>``.
    reservations : tuple of str
        Questions that could not be told, were not asked or do not count, and caps not kept where that decided nothing,
        ``<question>.<answer>``; ``declared_late``.
    """

    recommendation: Recommendation
    reasons: tuple[str, ...]
    reservations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """One question about a reform: its answer, the number behind it, and the limit that the rule sets.

    Attributes
    ----------
    answer : str
        ``yes``, ``no``, ``rose``, ``since``, ``cannot_tell``, ``not_asked``.
    estimate, ci_low, ci_high : float
        In ``unit``; NaN where there is none.
    limit : float
        Of the rule.
    """

    answer: Answer
    estimate: float = math.nan
    ci_low: float = math.nan
    ci_high: float = math.nan
    limit: float = math.nan
    unit: str = "hours_week"


def decide(answers: Mapping[str, Answer], *, looks: int, rule: DecisionRule, is_late: bool = False) -> Decision:
    """The recommendation of the decision table above; nothing but the answers and the rule enters it.

    Parameters
    ----------
    answers : mapping of str to str
        To each of `CRITERIA`.
    looks : int
        How often the result has been looked at.
    is_late : bool
        Whether the rule was declared only when results could be seen.
    """
    said = {name: answers.get(name, "not_asked") for name in CRITERIA}
    recommendation, decided = _first_that_applies(said, has_waited=looks >= rule.stop_if_no_cut_after)
    told = {name for name in CRITERIA if said[name] in ("no", "rose") or (said[name] == "yes" and name != UNKEPT)}
    open_questions = [name for name in CRITERIA if name not in told and name not in decided]
    return Decision(
        recommendation,
        tuple(f"{name}.{said[name]}" for name in decided),
        (*(f"{name}.{said[name]}" for name in open_questions), *([LATE] if is_late else [])),
    )


def _first_that_applies(said: Mapping[str, str], *, has_waited: bool) -> tuple[Recommendation, list[str]]:
    unkept = said[UNKEPT]
    if said[SERVED] == "yes":
        return "redesign", [SERVED]
    if said[MOVED] == "yes":
        return "redesign", [MOVED]
    if said[RELAPSED] == "yes":
        return "redesign" if unkept == "no" else "intensify", [RELAPSED, UNKEPT]
    if said[RETURNED] == "yes":
        return ("intensify", [RETURNED, UNKEPT]) if unkept == "yes" else ("keep", [RETURNED])
    if said[RETURNED] not in ("no", "rose"):
        return "cannot_tell", [RETURNED]
    if unkept == "yes" and said[RETURNED] == "no":
        return "intensify" if said[MOVED] == "no" else "cannot_tell", [RETURNED, UNKEPT, MOVED]
    if has_waited:
        return "stop", [RETURNED]
    if said[RETURNED] == "rose":
        return "redesign", [RETURNED]
    return ("redesign" if unkept == "no" else "cannot_tell"), [RETURNED, UNKEPT]


# -- answers from intervals -----------------------------------------------------------------------------


def read_fall(estimate: float, ci_low: float, ci_high: float, *, by: float) -> Answer:
    """Whether hours fell by so much: told to fall and estimated so, or so large a fall ruled out.

    >>> read_fall(-1.2, -2.0, -0.4, by=0.5), read_fall(-0.1, -0.4, 0.2, by=0.5), read_fall(-0.6, -1.5, 0.3, by=0.5)
    ('yes', 'no', 'cannot_tell')
    """
    if ci_high < 0 and estimate <= -by:
        return "yes"
    return "no" if ci_low > -by else "cannot_tell"


def read_return(estimate: float, ci_low: float, ci_high: float, *, by: float) -> Answer:
    """The same of hours that were to be returned, where a rise is worse than no fall.

    >>> read_return(-0.1, -0.4, 0.2, by=0.5), read_return(0.6, 0.2, 1.0, by=0.5)
    ('no', 'rose')
    """
    return "rose" if ci_low > 0 else read_fall(estimate, ci_low, ci_high, by=by)


def read_share(estimate: float, ci_low: float, ci_high: float, *, above: float) -> Answer:
    """Whether a share lies above a limit: told from none and estimated so, or ruled out."""
    if ci_low > 0 and estimate > above:
        return "yes"
    return "no" if ci_high <= above else "cannot_tell"


@dataclass(frozen=True, slots=True, eq=False)
class Adjustments:
    """What to adjust, reform by reform.

    Attributes
    ----------
    rows : pandas.DataFrame
        Contract ``estimates``: ``by`` is ``adjust``, ``category`` is ``<reform>.<criterion>``; ``outcome`` the answer or the
        recommendation, ``margin`` the limit of the rule, ``reasons`` those of the recommendation, reservations after a
        bar. ``<reform>.cost`` is minutes that the study itself takes from a respondent.
    decisions : dict of str to Decision
        By reform.
    """

    rows: pd.DataFrame
    decisions: dict[str, Decision] = field(default_factory=dict)


def adjust(
    official_quarters: pd.DataFrame,
    found: Following,
    own_burden: pd.DataFrame,
    *,
    study: Study,
    quarters: Sequence[str],
) -> Adjustments:
    """Apply each reform's declared rule to what became of it.

    Parameters
    ----------
    official_quarters : pandas.DataFrame
        The whole sample of the quarters; counts are held against caps.
    found : Following
        Of `following.follow_reforms` on the same quarters.
    own_burden : pandas.DataFrame
        Of `own_burden.own_burden` for the quarter under report.
    """
    reforms = [reform for reform in read_reforms(study) if reform.starts]
    caps = list(dict.fromkeys(cap.measure for reform in reforms for cap in reform.caps))
    kept = {reform.id: _caps(reform, official_quarters, caps, study, quarters) for reform in reforms}
    rows, decisions = [], {}
    for reform in reforms:
        looks = _looks(found.looks, reform, reform.primary_in(study))
        readings = readings_of(reform, found, kept[reform.id], study)
        decisions[reform.id] = decide(
            {name: reading.answer for name, reading in readings.items()},
            looks=len(looks),
            rule=reform.plan.decision_rule,
            is_late=reform.is_declared_late,
        )
        rows += _rows(reform, readings, decisions[reform.id], looks, own_burden, official_quarters, study, quarters)
    return Adjustments(_as_rows(rows), decisions)


def readings_of(reform: Reform, found: Following, kept: pd.DataFrame, study: Study) -> dict[str, Reading]:
    """Every question about a reform, answered; ``kept`` are its rows of `four_series.compliance`."""
    primary = reform.primary_in(study)
    rule = reform.plan.decision_rule
    wanted = rule.keep_if_cut_by or reform.smallest_change
    served = _looks(found.looks, reform, SERVICE)
    return {
        RETURNED: _of_hours(_looks(found.looks, reform, primary), read_return, by=wanted),
        UNKEPT: _of_caps(kept, below=rule.intensify_if_compliance_below),
        MOVED: _of_account(found.accounts, reform, above=rule.redesign_if_disguised_above),
        RELAPSED: _of_chart(found.lasting, reform, primary),
        SERVED: _of_hours(served, read_fall, by=rule.service_may_fall_by),
    }


def _of_hours(looks: pd.DataFrame, read: Callable[..., Answer], *, by: float) -> Reading:
    if looks.empty:
        return Reading("not_asked", limit=by)
    last = looks.iloc[-1]
    numbers = [float(last[name]) for name in ("estimate", "ci_low", "ci_high")]
    return Reading(read(*numbers, by=by), *numbers, limit=by)


def _of_caps(kept: pd.DataFrame, *, below: float) -> Reading:
    """By the cap that is farthest from being kept."""
    ways = kept[kept["category"].str.endswith(".way") & (kept["region"] == NATION)].dropna(subset=["estimate"])
    if ways.empty:
        return Reading("not_asked", limit=below, unit="share")
    answers = [
        "yes" if row["ci_high"] < below else "no" if row["ci_low"] >= below else "cannot_tell"
        for row in ways.to_dict("records")
    ]
    answer: Answer = "yes" if "yes" in answers else "no" if set(answers) == {"no"} else "cannot_tell"
    worst = ways.sort_values("estimate").iloc[0]
    return Reading(
        answer, *(float(worst[name]) for name in ("estimate", "ci_low", "ci_high")), limit=below, unit="share"
    )


def _of_account(accounts: pd.DataFrame, reform: Reform, *, above: float) -> Reading:
    rows = accounts[accounts["by"] == BY_MOVED].set_index("category")
    key = f"{reform.id}.disguised"
    if key not in rows.index:
        return Reading("not_asked", limit=above, unit="share")
    numbers = [float(rows.at[key, name]) for name in ("estimate", "ci_low", "ci_high")]  # pyright: ignore[reportArgumentType]
    answer = read_share(*numbers, above=above)
    ways = {str(rows.at[f"{reform.id}.{way}", "outcome"]) for way in WAYS_TO_MOVE if f"{reform.id}.{way}" in rows.index}
    if "yes" in ways:
        answer = "yes"
    elif rows.at[key, "outcome"] == UNDEFINED and ways == {"no"}:
        answer = "no"
    return Reading(answer, *numbers, limit=above, unit="share")


def _of_chart(lasting: pd.DataFrame, reform: Reform, primary: str) -> Reading:
    rows = lasting[(lasting["by"] == BY_RELAPSE) & (lasting["category"] == f"{reform.id}.lost")]
    rows = rows[rows["measure"] == primary]
    if rows.empty:
        return Reading("not_asked", unit="share")
    row = rows.iloc[0]
    is_since = row["comparison"] == "none"  # a fall since the start, which nothing puts down to the reform
    answers: dict[str, Answer] = {"relapsed": "since" if is_since else "yes", "holds": "no"}
    numbers = (float(row[name]) for name in ("estimate", "ci_low", "ci_high"))
    return Reading(answers.get(str(row["outcome"]), "cannot_tell"), *numbers, unit="share")


def _looks(looks: pd.DataFrame, reform: Reform, measure: str) -> pd.DataFrame:
    """Repeated looks at a measure in their order."""
    rows = looks[(looks["by"] == BY_LOOK) & (looks["measure"] == measure)]
    return rows[rows["category"].str.fullmatch(rf"{reform.id}\.\d+")]


def _caps(
    reform: Reform, officials: pd.DataFrame, caps: Sequence[str], study: Study, quarters: Sequence[str]
) -> pd.DataFrame:
    own = [key for key in caps if key in {cap.measure for cap in reform.caps} and key in all_measures(study)]
    if not own:
        return pd.DataFrame({"category": pd.Series(dtype="str"), "region": pd.Series(dtype="str"), "estimate": []})
    periods = {quarter: [quarter] for quarter in quarters}
    counts = estimate(officials, own, study=study, periods=periods, regions=list(reform.units))
    rows = compliance(reform, study=study, counts=counts)
    return rows[rows["by"] == BY_COMPLIANCE]


# -- tables ---------------------------------------------------------------------------------------------


def _rows(
    reform: Reform,
    readings: Mapping[str, Reading],
    decision: Decision,
    looks: pd.DataFrame,
    own_burden: pd.DataFrame,
    officials: pd.DataFrame,
    study: Study,
    quarters: Sequence[str],
) -> Iterator[dict]:
    asked = officials[officials["quarter"].isin(list(quarters))]
    n = int(looks["n"].iloc[-1]) if len(looks) else len(asked)
    n_psu = int(looks["n_psu"].iloc[-1]) if len(looks) else int(asked["psu"].nunique() if "psu" in asked else n)
    primary = reform.primary_in(study)
    common = {
        "statistic": "effect", "region": NATION, "by": BY_ADJUST, "period": f"{quarters[0]}–{quarters[-1]}",
        "se": math.nan, "df": math.nan, "deff": math.nan, "n": n, "n_psu": n_psu, "residual_df": float(n),
        "margin": math.nan, "reasons": "",
    }  # fmt: skip
    for name, reading in readings.items():
        yield common | {
            "measure": SERVICE if name == SERVED else primary, "category": f"{reform.id}.{name}", "unit": reading.unit,
            "estimate": reading.estimate, "ci_low": reading.ci_low, "ci_high": reading.ci_high,
            "outcome": reading.answer, "margin": reading.limit,
        }  # fmt: skip
    for row in own_burden[own_burden["measure"] == "own_minutes"].to_dict("records"):
        yield common | {name: row[name] for name in ("measure", "unit", "estimate", "n", "n_psu")} | {
            "category": f"{reform.id}.{COST}", "ci_low": math.nan, "ci_high": math.nan, "outcome": "",
        }  # fmt: skip
    words = decision.reasons if len(looks) else (NOT_COMPARED, *decision.reasons)
    returned = readings[RETURNED]
    yield common | {
        "measure": primary, "category": f"{reform.id}.{RECOMMENDED}", "unit": returned.unit, "estimate": returned.estimate,
        "ci_low": returned.ci_low, "ci_high": returned.ci_high, "outcome": decision.recommendation,
        "margin": returned.limit, "reasons": " | ".join([" ".join(words), " ".join(decision.reservations)]),
    }  # fmt: skip


def _as_rows(rows: list[dict]) -> pd.DataFrame:
    kinds = {name: str(column.dtype) for name, column in CONTRACTS["estimates"].schema.columns.items()}
    kinds |= {"residual_df": "float64", "margin": "float64", "outcome": "str", "reasons": "str"}
    frame = pd.DataFrame(rows, columns=pd.Index(list(kinds))).astype(kinds)
    # An interval without an end on one side is none to print.
    for name in ("ci_low", "ci_high"):
        frame[name] = frame[name].where(np.isfinite(frame[name]))
    return check(frame, "estimates")
