"""Did burden go, or did it move: what an account of the week says of where the hours went that were cut.

*Index of disguised burden*: of the hours cut, the part that reappears as other burden, with the interval of Fieller
(1954). It exists only where the cut is told from zero: else any ratio would do.

*Findings* are named by rule. Each has parts, told by an interval of the account; yes needs every part, so that the
error of none adds to another's (intersection-union test: Berger 1982), and one part refuted is a no::

    offline_to_online   burden on paper and in meeting rooms falls         burden by video, app and chat rises
                        (hours of the groups to be cut, where              (hours of digital formalism)
                        diaries give no medium)
    pen_to_fingertip    documents and forms on paper fall                  forms on apps and chats, digital tasks rise
    toothpaste          the cut is small, work to cope rises, and officials say that they cope more

A rise is told when its interval lies above zero and reaches what matters; refuted when it lies below what matters.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd
from scipy import stats

from analysis_lib.errors import UsageError
from analysis_lib.monitoring.accounts import (
    COPING_ITEM,
    COPING_WORK,
    CUT,
    CUT_OUT_OF_HOURS,
    FINGERTIPS,
    OFFLINE,
    ONLINE,
    OUT_OF_HOURS,
    PARALLEL,
    PENS,
    Account,
    Told,
)
from analysis_lib.monitoring.ratios import fieller
from analysis_lib.tables.contracts import CONTRACTS, check

Answer = Literal["yes", "no", "cannot_tell"]

BY_ACCOUNT, BY_MOVED = "account", "moved"
UNDEFINED = "undefined"  # outcome of an index of which no cut is told
SMALL = 3.0  # times the smallest change that matters: a cut beyond it is no small one
ITEM_MARGIN = 0.2  # of an item of five points: one official in five moves by a point
DIGITAL = "group_digital"


@dataclass(frozen=True, slots=True)
class Disguised:
    """The index of disguised burden.

    Attributes
    ----------
    cut, reappeared : Told
        Hours cut (above zero: fewer), and hours that reappeared elsewhere.
    ratio, low, high : float
        Their ratio with Fieller's interval; NaN where the cut is not told from zero.
    """

    cut: Told
    reappeared: Told
    ratio: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Finding:
    """A named way in which burden moves, and whether it did.

    Attributes
    ----------
    key : str
        ``offline_to_online``, ``pen_to_fingertip``, ``toothpaste``.
    answer : str
        ``yes``, ``no``, ``cannot_tell``.
    parts : dict of str to str
        Part of the rule → ``yes``, ``no``, ``cannot_tell``, or ``not_asked``.
    numbers : dict of str to Told
        The change behind each part.
    """

    key: str
    answer: Answer
    parts: dict[str, str]
    numbers: dict[str, Told]


def disguised_burden(account: Account) -> Disguised:
    """Of the hours of the groups that were to be cut, the part that reappears as hours of the other burden groups.

    Where the study measures ``cut_out_of_hours``, hours of meetings and documents count as cut in working hours only,
    and as reappearing in evenings and on weekends. Hours on chats and apps beside other work are in no total.

    Raises
    ------
    UsageError
        When the groups that were to be cut are no burden of the study, or all of it.
    """
    cut = {f"group_{group}": -1.0 for group in account.cut if group in account.burden}
    elsewhere = {f"group_{group}": 1.0 for group in account.burden if group not in account.cut}
    cut, elsewhere = ({key: a for key, a in each.items() if key in account.keys} for each in (cut, elsewhere))
    if not cut or not elsewhere:
        raise UsageError("nothing to compare", where=f"{account.label}, groups cut", fix="name some burden groups")
    if CUT_OUT_OF_HOURS in account.keys and set(account.cut) == set(CUT):
        cut[CUT_OUT_OF_HOURS] = elsewhere[CUT_OUT_OF_HOURS] = 1.0
    less, more = account.change(cut), account.change(elsewhere)
    both = account.change({key: cut.get(key, 0.0) + elsewhere.get(key, 0.0) for key in {**cut, **elsewhere}})
    covariance = (both.se**2 - less.se**2 - more.se**2) / 2
    t = float(stats.t.ppf((1 + account.confidence_level) / 2, min(less.df, more.df)))
    if not less.estimate > t * less.se:
        return Disguised(less, more, math.nan, math.nan, math.nan)
    low, high = fieller(more.estimate, less.estimate, more.se**2, less.se**2, covariance, t)
    return Disguised(less, more, more.estimate / less.estimate, low, high)


def findings(account: Account) -> list[Finding]:
    """Every named way in which burden moves that the study can tell of."""
    flows = [_flow(account, *each) for each in _flows(account)]
    return [*flows, *([toothpaste(account)] if any(key in account.keys for key in COPING_WORK) else [])]


def toothpaste(account: Account) -> Finding:
    """Squeezing toothpaste: a small cut while work to cope with it, and coping by officials' own account, rise.

    ==================  ==============================================  ======================================
    part                yes                                             no
    ==================  ==============================================  ======================================
    ``small_cut``       the cut is told to be below three times the     told to be beyond
                        smallest change that matters
    ``coping_work``     evidence, drafts and study for show told to     told to rise by less than what matters
                        rise
    ``coping_items``    officials told to cope more often               told not to, by a fifth of a point
    ==================  ==============================================  ======================================

    Yes needs every part, so that the error of none adds to another's (Berger 1982); one no is a no. Without the item,
    which the study may not ask, there is no yes.
    """
    margin = account.smallest_change
    groups = [f"group_{group}" for group in account.cut if f"group_{group}" in account.keys]
    numbers = {
        "small_cut": account.total(groups),
        "coping_work": account.total([key for key in COPING_WORK if key in account.keys]),
    }
    parts = {
        "small_cut": _answer(numbers["small_cut"].low > -SMALL * margin, numbers["small_cut"].high < -SMALL * margin),
        "coping_work": _risen(numbers["coping_work"], margin),
        "coping_items": "not_asked",
    }
    if COPING_ITEM in account.keys:
        numbers["coping_items"] = account.total([COPING_ITEM])
        parts["coping_items"] = _risen(numbers["coping_items"], ITEM_MARGIN)
    return Finding("toothpaste", _all_of(parts), parts, numbers)


def _flows(account: Account) -> list[tuple[str, list[str], list[str]]]:
    """Key, where hours leave and where they turn up: by medium where the study measures it, else by activity group."""

    def has(keys: Sequence[str]) -> bool:
        return all(key in account.keys for key in keys)

    flows = []
    by_group = [f"group_{group}" for group in account.cut if group in account.burden and f"group_{group}" != DIGITAL]
    if has([*OFFLINE, *ONLINE]):
        flows.append(("offline_to_online", list(OFFLINE), list(ONLINE)))
    elif by_group and has([*by_group, DIGITAL]):
        flows.append(("offline_to_online", by_group, [DIGITAL]))
    if has([*PENS, *FINGERTIPS, DIGITAL]):
        flows.append(("pen_to_fingertip", list(PENS), [*FINGERTIPS, DIGITAL]))
    return flows


def _flow(account: Account, key: str, down: list[str], up: list[str]) -> Finding:
    """Named when hours are told to leave the one side and to rise on the other, neither by less than what matters."""
    margin, numbers = account.smallest_change, {"down": account.total(down), "up": account.total(up)}
    fall = account.change(dict.fromkeys(down, -1.0))
    parts = {"down": _risen(fall, margin), "up": _risen(numbers["up"], margin)}
    return Finding(key, _all_of(parts), parts, numbers)


def _risen(told: Told, margin: float) -> Answer:
    return _answer(told.low > 0 and told.high >= margin, told.high < margin)


def _answer(is_told: bool, is_refuted: bool) -> Answer:
    return "yes" if is_told else "no" if is_refuted else "cannot_tell"


def _all_of(parts: Mapping[str, str]) -> Answer:
    """Yes when every part is; no when one is refuted."""
    given = set(parts.values())
    return "no" if "no" in given else "yes" if given == {"yes"} else "cannot_tell"


# -- tables -------------------------------------------------------------------------------------------


def account_table(account: Account) -> pd.DataFrame:
    """Everything that an account tells, as rows of the contract ``estimates``.

    ``by`` is ``account`` for parts, of category ``<label>.<partition>.<part>``, and after a further dot ``joint`` (the
    same with the joint interval), ``before`` and ``after`` (hours). ``by`` is ``moved`` for what moved:
    ``<label>.disguised``, ``<label>.<finding>`` (the hours that turned up) and ``<label>.<finding>.<part of the rule>``,
    with ``outcome``. What must pass the disclosure rules stands in rows: they keep no further columns.
    """
    means = 2 if math.isnan(account.n_treated) else int(account.n_treated + account.n_comparison)
    common = {
        "region": account.region, "period": account.period, "n": account.n, "n_psu": account.n_psu,
        "n_treated": account.n_treated, "n_comparison": account.n_comparison, "statistic": "effect",
        "unit": "hours_week", "deff": math.nan, "outcome": "", "residual_df": float(max(account.n - means, 0)),
    }  # fmt: skip
    rows = [
        common
        | {"by": BY_ACCOUNT, "category": f"{account.label}.{name}.{part['part']}{which}", "measure": part["part"]}
        | numbers
        for name in account.partitions
        for part in account.parts(name).to_dict("records")
        for which, numbers in _of_part(part, account.confidence_level).items()
    ]
    beside = {key: account.total([key]) for key in (PARALLEL, OUT_OF_HOURS) if key in account.keys}
    rows += [
        common | _numbers(told) | {"by": BY_ACCOUNT, "category": f"{account.label}.beside.{key}", "measure": key}
        for key, told in beside.items()
    ]
    index = disguised_burden(account)
    rows.append(
        common
        | _numbers(index.reappeared)
        | {"by": BY_MOVED, "category": f"{account.label}.disguised", "measure": "disguised", "unit": "share",
           "estimate": index.ratio, "se": math.nan, "ci_low": index.low, "ci_high": index.high,
           "outcome": "" if index.low <= index.high else UNDEFINED}
    )  # fmt: skip
    for found in findings(account):
        hours = found.numbers["up" if "up" in found.numbers else "coping_work"]
        rows.append(
            common
            | _numbers(hours)
            | {
                "by": BY_MOVED,
                "category": f"{account.label}.{found.key}",
                "measure": found.key,
                "outcome": found.answer,
            }
        )
        rows += [
            common
            | (_numbers(found.numbers[part]) if part in found.numbers else {})
            | {"by": BY_MOVED, "category": f"{account.label}.{found.key}.{part}", "measure": found.key,
               "outcome": state, "unit": "score" if part == "coping_items" else "hours_week"}
            for part, state in found.parts.items()
        ]  # fmt: skip
    kinds = {name: str(column.dtype) for name, column in CONTRACTS["estimates"].schema.columns.items()}
    further = ("n_treated", "n_comparison", "residual_df")
    kinds |= dict.fromkeys(further, "float64") | {"outcome": "str"}
    return check(pd.DataFrame(rows, columns=pd.Index(list(kinds))).astype(kinds), "estimates")


def _of_part(part: dict, confidence_level: float) -> dict[str, dict]:
    """The change of a part, the same with its joint interval, and its hours before and after."""
    change = {name: part[name] for name in ("estimate", "se", "df", "ci_low", "ci_high")}
    rows = {"": change}
    if part["part"] != "whole":
        rows[".joint"] = change | {"ci_low": part["joint_low"], "ci_high": part["joint_high"]}
    for side in ("before", "after"):
        reach = stats.t.ppf((1 + confidence_level) / 2, part["df"]) * part[f"{side}_se"]
        rows[f".{side}"] = change | {"estimate": part[side], "se": part[f"{side}_se"], "statistic": "mean",
                                     "ci_low": part[side] - reach, "ci_high": part[side] + reach}  # fmt: skip
    return rows


def _numbers(told: Told) -> dict[str, float]:
    return {"estimate": told.estimate, "se": told.se, "df": told.df, "ci_low": told.low, "ci_high": told.high}
