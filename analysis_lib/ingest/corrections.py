"""Known errors of sources, as a register that people keep: each entry says what, why and who, and stops by itself.

An entry names rows of one tidy table and what to do with them. ``expect`` is what the source says today: once the
source is fixed the entry no longer applies and says so in the problems, instead of breaking what is right.
"""

from __future__ import annotations

from typing import Literal, Self

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from analysis_lib.errors import InputRejected, did_you_mean
from analysis_lib.ingest.checks import ROW, SOURCE, Action, Problems
from analysis_lib.quarters import Quarter
from analysis_lib.study import Study, read_toml

_FILE = "corrections.toml"
_LISTED_AS: dict[str, Action] = {"override": "fixed", "drop": "row_rejected", "flag": "warned"}


class Correction(BaseModel):
    """One entry of ``corrections.toml``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    quarter: str
    table: Literal["sample", "respondents", "episodes", "day_totals"]
    action: Literal["override", "drop", "flag"]
    reason: str = Field(min_length=5)
    author: str = Field(min_length=1)
    status: Literal["active", "closed"] = "active"
    respondent_id: str = Field("", description="the respondent concerned")
    drop: str = Field("", description="id of the drop concerned")
    row: int = Field(0, ge=0, description="row of the source file, as the problems table gives it")
    diary_date: str = Field("", description="ISO date of the diary day concerned")
    column: str = Field("", description="column of the tidy table")
    value: bool | float | str | None = Field(None, description="what the column becomes")
    expect: bool | float | str | None = Field(None, description="what the column says in the source")

    @model_validator(mode="after")
    def _says_what_and_where(self) -> Self:
        Quarter.parse(self.quarter)
        if not self.respondent_id and not self.drop:
            raise ValueError("name a respondent_id or a drop")
        if self.row and not self.drop:
            raise ValueError("a row is a row of a drop: name it too")
        if self.action == "override" and (not self.column or self.value is None):
            raise ValueError("an override names a column and a value")
        if self.expect is not None and not self.column:
            raise ValueError("expect belongs to a column")
        return self


def read_corrections(study: Study) -> list[Correction]:
    """Read ``reference/corrections.toml``; a study without one has no corrections.

    Raises
    ------
    InputRejected
        For an unknown key or an entry that does not say what, where and why.
    """
    path = study.reference / _FILE
    if not path.is_file():
        return []
    entries = read_toml(path).get("correction", [])
    corrections = []
    for number, entry in enumerate(entries, start=1):
        try:
            corrections.append(Correction.model_validate(entry))
        except ValidationError as error:
            first = error.errors()[0]
            key = str(first["loc"][-1]) if first["loc"] else ""
            fix = (
                did_you_mean(key, Correction.model_fields)
                if first["type"] == "extra_forbidden"
                else "see docs/tutorial"
            )
            raise InputRejected(
                f"{key}: {first['msg'].removeprefix('Value error, ')}", where=f"{_FILE}, entry {number}", fix=fix
            ) from error
    return corrections


def apply_corrections(
    tables: dict[str, pl.DataFrame], corrections: list[Correction], problems: Problems
) -> dict[str, pl.DataFrame]:
    """Tables with the active corrections of the quarter applied in file order, each listed among the problems."""
    tables = dict(tables)
    for number, correction in enumerate(corrections, start=1):
        if correction.status == "active" and Quarter.parse(correction.quarter) == problems.quarter:
            tables[correction.table] = _apply(tables[correction.table], correction, number, problems)
    return tables


def _apply(frame: pl.DataFrame, correction: Correction, number: int, problems: Problems) -> pl.DataFrame:
    name = f"correction {number}"
    if correction.column and frame.height and correction.column not in frame.columns:
        raise InputRejected(
            f"{correction.table} has no column {correction.column!r}",
            where=f"{_FILE}, entry {number}",
            fix=did_you_mean(correction.column, [column for column in frame.columns if not column.startswith("_")]),
        )
    concerned = _concerned(correction) if frame.height else pl.lit(value=False)
    as_expected = concerned if correction.expect is None else concerned & _says(correction, correction.expect)
    outdated = frame.filter(concerned & ~as_expected) if frame.height else frame
    if outdated.height:
        problems.add(
            outdated, correction.column, name, "warned", "correction no longer applies: the source says otherwise"
        )
    matched = frame.filter(as_expected) if frame.height else frame
    if not matched.height:
        if not outdated.height:
            problems.add(_nowhere(correction, problems), correction.column, name, "warned", _NO_ROW)
        return frame
    problems.add(matched, correction.column, name, _LISTED_AS[correction.action], correction.reason)
    if correction.action == "drop":
        return frame.filter(~as_expected)
    if correction.action == "flag":
        return frame
    dtype, column = frame.schema[correction.column], pl.col(correction.column)
    kind = str if dtype in (pl.Categorical, pl.String) else bool if dtype == pl.Boolean else float
    if type(correction.value) is not kind:
        raise InputRejected(
            f"the value for {correction.column!r} must be {_KINDS[kind]}",
            where=f"{_FILE}, entry {number}",
            fix="change it",
        )
    corrected = pl.when(as_expected).then(pl.lit(correction.value)).otherwise(column)
    return frame.with_columns(corrected.cast(dtype).alias(correction.column))


_KINDS = {str: "a text", bool: "true or false", float: "a number"}
_NO_ROW = "correction no longer applies: no row of the quarter is meant by it"


def _concerned(correction: Correction) -> pl.Expr:
    conditions = [
        pl.col(name).cast(pl.String) == getattr(correction, name)
        for name in ("respondent_id", "drop", "diary_date")
        if getattr(correction, name)
    ]
    if correction.row:
        conditions.append(pl.col(ROW) == correction.row)
    return pl.all_horizontal(conditions).fill_null(value=False)


def _says(correction: Correction, expected: str | float | bool) -> pl.Expr:
    column = pl.col(correction.column)
    if isinstance(expected, str):
        column = column.cast(pl.String).fill_null("")
    return (column == expected).fill_null(value=False)


def _nowhere(correction: Correction, problems: Problems) -> pl.DataFrame:
    """The register itself as the source of a problem that no row has."""
    source = problems.register(correction.drop, _FILE, "")
    return pl.DataFrame({SOURCE: [source], ROW: [0]})
