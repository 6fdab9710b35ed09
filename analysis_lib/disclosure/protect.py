"""The one gate between estimates and readers: only a `ProtectedTable` may be drawn, printed or downloaded."""

from __future__ import annotations

import json
from dataclasses import InitVar, dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from analysis_lib.disclosure import policy
from analysis_lib.errors import InputRejected, PublicationBlocked
from analysis_lib.study import Study
from analysis_lib.tables import contracts

COLUMNS = [
    "measure", "statistic", "unit", "region", "by", "category", "period", "value", "ci_low", "ci_high", "n", "mark",
]  # fmt: skip
# Further columns that a table may bring: which kind of estimate an area shows, and on what an effect rests.
TEXTS = ["kind", "estimator", "comparison", "inference", "treatment_date", "outcome", "reasons", "wanted"]
WORDS = ("outcome", "reasons")  # what a check or a rule came to is told of a number that is none
FIGURES = {"shrinkage": 2, "n_treated": 0, "n_comparison": 0, "margin": 2}  # name → decimals
SHOWN = ("", policy.BREAK, policy.BREAK + policy.UNRELIABLE, policy.UNRELIABLE)  # marks of rows that show their number
MARKS = {*SHOWN, *(mark + policy.KEPT for mark in SHOWN), policy.NOT_RELIABLE, policy.WITHHELD}
_NUMBERS = ["value", "ci_low", "ci_high"]
EVIDENCE_COLUMNS = [*contracts.ESTIMATE_KEY, "estimate", "weight", "n", "rule"]
_GATE = object()  # known to this module alone


@dataclass(frozen=True, eq=False)
class ProtectedTable:
    """A table that may be published; made by `protect`, or read back from what `protect` made.

    Attributes
    ----------
    name : str
        Name of the table among a unit's results.
    """

    name: str
    _table: pd.DataFrame
    gate: InitVar[object]
    _evidence: pd.DataFrame | None = field(default=None, repr=False)  # exact numbers: for the audit, never for readers

    def __post_init__(self, gate: object) -> None:
        if gate is not _GATE:
            raise PublicationBlocked(
                "a protected table was made by hand", where=self.name, fix="call protect(estimates, name, study=study)"
            )

    @property
    def table(self) -> pd.DataFrame:
        """Copy of the rows: measure, statistic, unit, region, by, category, period, value, ci_low, ci_high, n, mark.

        ``value`` and its bounds are missing where mark is ``x`` or ``c``; ``n`` is missing where it is ``c``. Tables of
        small areas have ``kind`` (direct, model) and ``shrinkage`` besides, tables of effects the conditions of each
        effect (`TEXTS`, `FIGURES`): blank and missing where value is, but for what a check came to.
        """
        return self._table.copy()

    @property
    def periods(self) -> list[str]:
        """Periods of which the table tells."""
        return list(self._table["period"].unique())

    @property
    def evidence(self) -> pd.DataFrame:
        """Exact numbers behind the rows that add up to others, for `linked` alone; empty for a table that was read."""
        return pd.DataFrame(columns=EVIDENCE_COLUMNS) if self._evidence is None else self._evidence.copy()

    @cached_property
    def _places(self) -> dict[tuple[str, str, str, str | None], int]:
        """Position of the first row of each measure, region, category and period; a page looks up hundreds of rows."""
        rows = self._table[["measure", "region", "category", "period"]].itertuples(index=False, name=None)
        places: dict[tuple[str, str, str, str | None], int] = {}
        for place, (measure, region, category, period) in enumerate(rows):
            places.setdefault((measure, region, category, period), place)
            places.setdefault((measure, region, category, None), place)
        return places

    def row(self, *, measure: str, region: str, category: str, period: str | None) -> pd.Series | None:
        """The first row of a measure for a region and category, in a period or (None) in any; None without one."""
        place = self._places.get((measure, region, category, period))
        return None if place is None else self._table.iloc[place].copy()

    @property
    def withheld(self) -> int:
        """Number of cells withheld for confidentiality."""
        return int((self._table["mark"] == policy.WITHHELD).sum())

    def without(self, withheld: pd.Series) -> ProtectedTable:
        """The table with further rows withheld for confidentiality: those where ``withheld`` is true."""
        if (withheld <= (self._table["mark"] == policy.WITHHELD)).all():
            return self
        table = self._table.assign(mark=self._table["mark"].mask(withheld, policy.WITHHELD))
        return ProtectedTable(self.name, _typed(_hidden(table)), _GATE)

    def kept(self, published: pd.DataFrame) -> ProtectedTable:
        """The table with some rows as they were published before (C11), marked so.

        Parameters
        ----------
        published : pandas.DataFrame
            Rows of a protected table of an earlier release, under the index that they have in this one.
        """
        table, evidence = self._table.copy(), self._evidence
        if not published["mark"].isin(SHOWN).all():
            raise PublicationBlocked("a hidden number cannot stay", where=self.name, fix="report this: it is a bug")
        own = [
            name for name in (*_NUMBERS, "n", *TEXTS, *FIGURES) if name in table.columns and name in published.columns
        ]
        for name in own:
            table.loc[published.index, name] = published[name].astype(table[name].dtype)
        table.loc[published.index, "mark"] = published["mark"] + policy.KEPT
        return ProtectedTable(self.name, _typed(table), _GATE, evidence)

    def to_json(self) -> str:
        """Text of the table; the same table always gives the same bytes."""
        rows = [
            [None if pd.isna(cell) else cell for cell in row]
            for row in self._table.astype(object).itertuples(index=False)
        ]
        lines = ",\n".join(json.dumps(row, ensure_ascii=False, allow_nan=False) for row in rows)
        head = f'"name": {json.dumps(self.name)},\n"columns": {json.dumps(list(self._table.columns))},\n'
        return f'{{\n{head}"rows": [\n{lines}\n]\n}}\n'

    @classmethod
    def from_json(cls, text: str) -> ProtectedTable:
        """Read what `to_json` wrote; raises `InputRejected` for anything else."""
        try:
            content = json.loads(text)
            names, name = content["columns"], str(content["name"])
            columns = zip(*content["rows"], strict=True) if content["rows"] else ([] for _ in names)
            typed = {each: pd.Series(list(of), dtype=_kind(each)) for each, of in zip(names, columns, strict=True)}
            table = _typed(pd.DataFrame(typed, copy=False))
        except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            raise InputRejected("not a protected table", where="results", fix="run the quarter again") from error
        hidden = table["mark"].isin([policy.NOT_RELIABLE, policy.WITHHELD]).to_numpy()
        numbers = [name for name in (*_NUMBERS, *FIGURES) if name in table.columns]
        if not set(table["mark"]) <= MARKS or table[numbers].notna().to_numpy()[hidden].any():
            raise InputRejected("not a protected table", where=f"results/{name}", fix="run the quarter again")
        return cls(name, table, _GATE)


def protect(estimates: pd.DataFrame, name: str, *, study: Study) -> ProtectedTable:
    """Withhold, mark and round estimates by the study's policy.

    Parameters
    ----------
    estimates : pandas.DataFrame
        Rows of the contract ``estimates``; of further columns, those of `TEXTS` and `FIGURES` are kept.
    name : str
        Name of the table among the results.

    Raises
    ------
    ContractError
        When the rows break their contract.
    """
    estimates = contracts.check(estimates, "estimates").reset_index(drop=True)
    is_shown = policy.is_publishable_kind(estimates) & policy.was_asked(estimates)
    estimates = estimates[is_shown].reset_index(drop=True)
    rules = policy.rule_against(estimates, study)
    withheld = policy.with_companions(rules != "", estimates, study)
    marks = policy.reliability(estimates, study).where(~withheld, policy.WITHHELD).pipe(policy.with_breaks, estimates)
    table = estimates[["measure", "statistic", "unit", "region", "by", "category", "period"]].join(
        policy.rounded(estimates, study)
    )
    for column in [name for name in TEXTS if name in estimates.columns]:
        table[column] = estimates[column]
    for column in [name for name in FIGURES if name in estimates.columns]:
        table[column] = estimates[column].round(FIGURES[column])
    evidence = (estimates if "weight" in estimates.columns else estimates.head(0)).assign(rule=rules.astype(str))
    return ProtectedTable(
        name, _typed(_hidden(table.assign(mark=marks))), _GATE, evidence.reindex(columns=EVIDENCE_COLUMNS)
    )


def _hidden(table: pd.DataFrame) -> pd.DataFrame:
    """The table without what its marks hide: numbers and conditions of ``x``, and of ``c`` the number of people too."""
    withheld = table["mark"] == policy.WITHHELD
    is_hidden = withheld | (table["mark"] == policy.NOT_RELIABLE)
    table = table.copy()
    table.loc[is_hidden, _NUMBERS] = np.nan
    table.loc[withheld, "n"] = pd.NA  # a small n is itself a disclosure
    for column in [name for name in TEXTS if name in table.columns]:
        table[column] = table[column].mask(withheld if column in WORDS else is_hidden, "")
    for column in [name for name in FIGURES if name in table.columns]:
        table[column] = table[column].mask(is_hidden)
    return table


def _typed(table: pd.DataFrame) -> pd.DataFrame:
    columns = [*COLUMNS, *(name for name in (*TEXTS, *FIGURES) if name in table.columns)]
    return table[columns].astype({name: _kind(name) for name in columns})


def _kind(column: str) -> str:
    """Type of a column of a protected table."""
    return "Int64" if column == "n" else "float64" if column in (*_NUMBERS, *FIGURES) else "str"
