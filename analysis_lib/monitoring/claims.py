"""The record of the suite's own claims: what each said, by which rule, and whether later releases still say it.

A claim is a sentence with a direction or a verdict, kept as a row with its conditions. A later release estimates the same
number again, for the same place and periods, by its own data and code, takes the word by the rule of the claim, and scores:

held
    The word is the same; or the claim was that nothing can be told, which no later knowledge makes untrue.
weakened
    The direction or verdict is no longer shown.
reversed
    The opposite is shown: another direction, the other verdict, or a direction where little change was claimed.
withdrawn
    The number cannot be had any more: its measure, place, period or data are gone, or it is withheld.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from analysis_lib.monitoring.change_account import CHANGE_ARROW
from analysis_lib.study import NATION, Study
from analysis_lib.survey.estimation import estimate, estimate_change
from analysis_lib.tables.contracts import CONTRACTS, blank

Score = Literal["held", "weakened", "reversed", "withdrawn"]
Kind = Literal["change", "comparison", "reform", "relapse", "moved", "check", "distinction", "recommendation"]
SCORES: tuple[Score, ...] = ("held", "weakened", "reversed", "withdrawn")
BY_CLAIM = "claim"  # `by` of rows that are claims of earlier releases

# Words that claim nothing: that a number cannot be told, is not asked, or lies within what chance allows.
OPEN = {"cannot_tell", "within", "not_asked", "undefined"}
OPPOSITES = {
    frozenset(pair)
    for pair in [("lower", "higher"), ("returned_hours", "added_hours"), ("yes", "no"), ("holds", "relapsed"), ("holds", "fails"),
                 ("keep", "stop"), ("intensify", "stop")]
}  # fmt: skip
NO_CHANGE = {"little_change", "no_change_that_matters"}
DIRECTIONS = {"lower", "higher", "returned_hours", "added_hours"}


@dataclass(frozen=True, slots=True)
class Claim:
    """One published sentence with a direction or a verdict, and the conditions under which it was said.

    Attributes
    ----------
    kind : str
        What it is about: change, comparison, reform, relapse, moved, check, distinction or recommendation.
    measure, region, period : str
        The number: measure, place, and quarter (or earlier→later).
    subject : str
        The other place of a comparison, the reform and what is said of it, or the distinction; empty for a change.
    word : str
        The word that the sentence was made of.
    unit : str
        Unit of the number.
    value, ci_low, ci_high : float or None
        The number as printed; none where a verdict rests on several.
    threshold : float or None
        Smallest change that matters, as it was then.
    level : float
        Coverage of the interval.
    rule : str
        How the word follows: ``interval_of_change``, ``intervals_apart``, or ``verdict`` of the stage that judged.
    """

    kind: Kind
    measure: str
    region: str
    period: str
    subject: str
    word: str
    unit: str
    value: float | None
    ci_low: float | None
    ci_high: float | None
    threshold: float | None
    level: float
    rule: str

    @property
    def key(self) -> tuple[str, str, str, str, str]:
        """What a later release must speak of to be about the same thing; a verdict on a reform has no period."""
        return self.kind, self.measure, self.region, self.subject, self.period if self.rule != "verdict" else ""

    def row(self) -> dict[str, Any]:
        """The claim as a row of the ledger."""
        return asdict(self)

    @classmethod
    def of_row(cls, row: dict[str, Any]) -> Claim:
        """Read a row of the ledger; the release that it stands in is left out."""
        return cls(**{name: row[name] for name in cls.__dataclass_fields__})


def score(claimed: str, now: str | None) -> Score:
    """Score a claimed word against the word of today; None where the number cannot be had.

    >>> score("lower", "lower"), score("lower", "cannot_tell"), score("lower", "higher"), score("lower", None)
    ('held', 'weakened', 'reversed', 'withdrawn')
    """
    if now is None:
        return "withdrawn"
    if claimed in OPEN or now == claimed:
        return "held"
    if {claimed, now} in OPPOSITES or (claimed in NO_CHANGE and now in DIRECTIONS):
        return "reversed"
    return "weakened"


def scored(claims: Iterable[Claim], now: Iterable[Claim]) -> list[tuple[Claim, Claim | None, Score]]:
    """Each claim with what is said of the same number today, and its score."""
    today = {claim.key: claim for claim in now}
    pairs = [(claim, today.get(claim.key)) for claim in claims]
    return [(claim, found, score(claim.word, found.word if found else None)) for claim, found in pairs]


def claims_table(claims: Iterable[tuple[str, Claim]]) -> pd.DataFrame:
    """Claims with their releases as rows of the contract ``estimates``, to be handed on: public words and numbers.

    ``category`` is ``kind.subject.release``, ``outcome`` the word, ``reasons`` the rule, ``wanted`` the threshold.
    """
    rows = [
        {
            "measure": claim.measure, "statistic": "claim", "unit": claim.unit, "region": claim.region, "by": BY_CLAIM,
            "category": ".".join([claim.kind, claim.subject, release]), "period": claim.period,
            "estimate": _number(claim.value), "se": np.nan, "ci_low": _number(claim.ci_low),
            "ci_high": _number(claim.ci_high), "df": np.nan, "deff": np.nan, "n": 0, "n_psu": 0,
            "outcome": claim.word, "reasons": claim.rule,
            "wanted": "" if claim.threshold is None else f"{claim.threshold:g}",
        }
        for release, claim in claims
    ]  # fmt: skip
    columns = CONTRACTS["estimates"].schema.columns
    kinds = {name: str(of.dtype) for name, of in columns.items()} | dict.fromkeys(
        ["outcome", "reasons", "wanted"], "str"
    )
    return pd.DataFrame(rows, columns=list(kinds)).astype(kinds)


def claims_in(table: pd.DataFrame, *, level: float) -> list[tuple[str, Claim]]:
    """Releases and claims from what `claims_table` made, once it has passed disclosure."""
    found = []
    for row in table.to_dict("records"):
        kind, rest = row["category"].split(".", 1)
        subject, release = rest.rsplit(".", 1)
        numbers = {name: None if pd.isna(row[name]) else float(row[name]) for name in ("value", "ci_low", "ci_high")}
        threshold = float(row["wanted"]) if row["wanted"] else None
        found.append((release, Claim(kind, row["measure"], row["region"], row["period"], subject, row["outcome"], row["unit"],
                                     **numbers, threshold=threshold, level=level, rule=row["reasons"])))  # fmt: skip
    return found


def estimate_again(
    claims: Iterable[tuple[str, Claim]], official_quarters: pd.DataFrame, *, study: Study
) -> pd.DataFrame:
    """The numbers of claims on changes and comparisons, by today's data and code.

    Parameters
    ----------
    claims : iterable of (str, Claim)
        Releases and claims of any kind; verdicts on reforms are estimated by their own stage and are left out.
    official_quarters : pandas.DataFrame
        Every quarter that the claims speak of, as far as it is there.

    Returns
    -------
    pandas.DataFrame
        Contract ``estimates``: a row for each measure, region and period claimed; none for what no longer exists.
    """
    quarters = set(official_quarters["quarter"])
    asked: dict[str, set[tuple[str, str]]] = {}
    for _, claim in claims:
        if claim.rule == "verdict" or claim.measure not in study.measures:
            continue
        places = [claim.region, *([claim.subject] if claim.kind == "comparison" else [])]
        known = [place for place in places if place == NATION or place in study.regions.index]
        asked.setdefault(claim.period, set()).update((claim.measure, place) for place in known)
    frames = []
    for period, cells in sorted(asked.items()):
        ends = period.split(CHANGE_ARROW)
        if not set(ends) <= quarters:
            continue
        keys, regions = (sorted({cell[place] for cell in cells}) for place in (0, 1))
        if len(ends) == 1:
            frames.append(estimate(official_quarters, keys, study=study, periods={period: ends}, regions=regions))
        else:
            earlier, later = ends
            frames.append(estimate_change(official_quarters, keys, study=study, earlier=[earlier], later=[later],
                                          label=period, regions=regions))  # fmt: skip
    return pd.concat(frames, ignore_index=True) if frames else blank("estimates")


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)
