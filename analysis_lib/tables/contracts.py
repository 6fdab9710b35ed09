"""Columns, types, units, key and grain of every table that passes between stages.

A contract is checked when a table is written and lists every breach at once. Columns beyond those named are
allowed only where the contract says ``extra``: attributes and answers differ from study to study and are
declared by the instrument instead.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import pandera.pandas as pa
from pandera.errors import SchemaErrors

from analysis_lib.errors import ContractError

MINUTES_PER_DAY = 1440

ESTIMATE_KEY = ["measure", "statistic", "region", "by", "category", "period"]
NUMBER_KEY = ["measure", "statistic", "unit", "region", "by", "category", "period"]  # of a published number


@dataclass(frozen=True)
class Contract:
    """A table's contract.

    Attributes
    ----------
    grain : str
        What one row is.
    key : list of str
        Columns that identify a row; empty when rows may repeat.
    schema : pandera.pandas.DataFrameSchema
        Types and ranges.
    """

    grain: str
    key: list[str]
    schema: pa.DataFrameSchema


def _text(*, values: list[str] | None = None, nullable: bool = False) -> pa.Column:
    return pa.Column(str, pa.Check.isin(values) if values else None, nullable=nullable)


def _number(low: float | None = None, high: float | None = None, *, nullable: bool = False) -> pa.Column:
    checks = [
        check for check in (low is not None and pa.Check.ge(low), high is not None and pa.Check.le(high)) if check
    ]
    return pa.Column(float, checks, nullable=nullable)


def _whole(low: int | None = None, high: int | None = None) -> pa.Column:
    checks = [
        check for check in (low is not None and pa.Check.ge(low), high is not None and pa.Check.le(high)) if check
    ]
    return pa.Column("int64", checks)


def _contract(grain: str, key: list[str], columns: dict[str, pa.Column], *, extra: bool = False) -> Contract:
    schema = pa.DataFrameSchema(columns, strict=not extra, unique=key or None, coerce=False)
    return Contract(grain, key, schema)


_PERSON = {"respondent_id": _text(), "quarter": _text()}
_DAY_TYPE = _text(values=["weekday", "weekend"])

CONTRACTS: dict[str, Contract] = {
    "sample": _contract(
        "official drawn × quarter, whether or not they answered",
        ["respondent_id", "quarter"],
        {
            **_PERSON,
            "region": _text(),
            "base_weight": _number(0),
            "has_diary_task": pa.Column(bool),
            "diary_base_weight": _number(0, nullable=True),
        },
        extra=True,
    ),
    "respondents": _contract(
        "official (or person) who answered × quarter",
        ["respondent_id", "quarter"],
        {**_PERSON, "region": _text(), "drop": _text(), "received": _text(), "instrument": _text()},
        extra=True,
    ),
    "episodes": _contract(
        "diary episode; minutes count from the start of the diary day",
        ["respondent_id", "diary_date", "start_minute"],
        {
            **_PERSON,
            "diary_date": _text(),
            "start_minute": _whole(0, MINUTES_PER_DAY - 1),
            "end_minute": _whole(1, MINUTES_PER_DAY),
            "activity": _text(),
            "secondary_activity": _text(),
            "medium": _text(),
            "required_by": _text(),
            "is_repeat": pa.Column("boolean", nullable=True),
            "value": _number(1, 4, nullable=True),
            "is_for_show": pa.Column("boolean", nullable=True),
            "drop": _text(),
        },
        extra=True,
    ),
    "day_totals": _contract(
        "diary day × activity, from sources that give no episodes",
        ["respondent_id", "diary_date", "activity"],
        {
            **_PERSON,
            "diary_date": _text(),
            "activity": _text(),
            "minutes": _number(0, MINUTES_PER_DAY),
            "drop": _text(),
        },
    ),
    "counts": _contract(
        "official × quarter × item counted",
        ["respondent_id", "quarter", "item"],
        {**_PERSON, "item": _text(), "count": _number(0)},
    ),
    "problems": _contract(
        "source row × rule",
        [],
        {
            "quarter": _text(),
            "drop": _text(),
            "file": _text(),
            "sheet": _text(),
            "row": _whole(0),
            "column": _text(),
            "rule": _text(),
            "action": _text(values=["row_rejected", "value_rejected", "day_rejected", "fixed", "warned", "superseded"]),
            "cells": _whole(1),  # how many cells it stands for: changes of one kind in a column share a row
            "message": _text(),
        },
    ),
    "diary_days": _contract(
        "diary day handed in; whether it is used and why not",
        ["respondent_id", "diary_date"],
        {
            **_PERSON,
            "diary_date": _text(),
            "day_type": _DAY_TYPE,
            "n_episodes": _whole(0),
            "known_minutes": _number(0, MINUTES_PER_DAY),
            "is_used": pa.Column(bool),
            "reason": _text(),
        },
    ),
    "day_activities": _contract(
        "diary day × activity × role × conditions, minutes above zero only",
        [],
        {
            **_PERSON,
            "diary_date": _text(),
            "day_type": _DAY_TYPE,
            "activity": _text(),
            "role": _text(values=["main", "secondary"]),
            "required_by": _text(),
            "medium": _text(),
            "is_avoidable": pa.Column(bool),
            "is_out_of_hours": pa.Column(bool),
            "minutes": _number(0),
        },
        extra=True,
    ),
    "official_quarters": _contract(
        "official (or person) × quarter; one column per measure in the measure's unit, zeros included",
        ["respondent_id", "quarter"],
        {
            **_PERSON,
            "region": _text(),
            "stratum": _text(),
            "psu": _text(),
            "weight": _number(0, nullable=True),
            "diary_weight": _number(0, nullable=True),
            "has_diary": pa.Column(bool),
        },
        extra=True,
    ),
    "flags": _contract(
        "official × quarter; a column per flag: true, false, or missing where it cannot be judged; nothing is removed",
        ["respondent_id", "quarter"],
        dict(_PERSON),
        extra=True,
    ),
    "impossible": _contract(
        "reform, measure or account that cannot be followed", ["what"], {"what": _text(), "why": _text()}
    ),
    "estimates": _contract(
        "measure × statistic × domain (region, by = category) × period",
        ESTIMATE_KEY,
        {
            "measure": _text(),
            "statistic": _text(values=["mean", "total", "ratio", "share", "count", "effect", "part", "claim"]),
            "unit": _text(),
            "region": _text(),
            "by": _text(),
            "category": _text(),
            "period": _text(),
            "estimate": _number(nullable=True),
            "se": _number(0, nullable=True),
            "ci_low": _number(nullable=True),
            "ci_high": _number(nullable=True),
            "df": _number(0, nullable=True),
            "deff": _number(0, nullable=True),
            "n": _whole(0),
            "n_psu": _whole(0),
        },
        extra=True,
    ),
}


def blank(name: str) -> pd.DataFrame:
    """A table without rows that keeps its contract."""
    columns = CONTRACTS[name].schema.columns
    return pd.DataFrame({column: pd.Series(dtype=str(of.dtype)) for column, of in columns.items()})


def check(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return the frame unchanged if it keeps its contract.

    Raises
    ------
    ContractError
        Naming the table and every broken column and rule (never a value).
    """
    contract = CONTRACTS[name]
    try:
        contract.schema.validate(frame, lazy=True)
    except SchemaErrors as error:
        cases = error.failure_cases
        # A column that is missing or too many is itself the failure case; anything else there would be a value.
        is_column = cases["check"].isin(["column_in_dataframe", "column_in_schema"])
        named = cases.assign(column=cases["column"].where(~is_column, cases["failure_case"]))
        broken = named.groupby(["column", "check"], dropna=False).size()
        listed = "; ".join(f"{column}: {rule} ({count}×)" for (column, rule), count in broken.items())
        raise ContractError(
            f"{len(broken)} rule(s) broken: {listed}",
            where=f"table {name} (one row is one {contract.grain})",
            fix="a bug in the stage that wrote it, or a platform module that let something through",
        ) from error
    return frame
