"""Instrument versions: how the columns and codes of an export become the suite's, one TOML file per version.

Nothing about a questionnaire is code. A changed wording, code list or export shape is a new version beside the old
one, and every raw drop names the version that collected it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from analysis_lib.errors import InputRejected, did_you_mean

if TYPE_CHECKING:
    from analysis_lib.study import Study

Grain = Literal["sample", "respondents", "diary_days", "episodes", "slots", "day_totals"]
ColumnType = Literal[
    "id",
    "datetime",
    "date",
    "clock",
    "seconds",
    "hours",
    "count",
    "percent",
    "scale",
    "category",
    "yes_no",
    "activity",
    "region",
    "weight",
    "number",
]

# What a table cannot do without. A respondent and a diary date may also come from a parent table.
NEEDED: dict[Grain, dict[str, ColumnType]] = {
    "sample": {"respondent_id": "id", "base_weight": "weight"},
    "respondents": {"respondent_id": "id"},
    "diary_days": {"respondent_id": "id", "diary_date": "date"},
    "episodes": {"start": "clock", "end": "clock", "activity": "activity"},
    "slots": {"respondent_id": "id", "diary_date": "date", "start": "clock", "activity": "activity"},
    "day_totals": {"respondent_id": "id", "activity": "activity", "minutes": "number"},
}
# Columns that the suite itself reads: whoever names one must mean the same thing.
MEANT_AS: dict[str, ColumnType] = {
    "respondent_id": "id",
    "submitted_at": "datetime",
    "diary_date": "date",
    "start": "clock",
    "end": "clock",
    "activity": "activity",
    "secondary_activity": "activity",
    "region": "region",
    "weight": "weight",
    "base_weight": "weight",
    "diary_base_weight": "weight",
    "has_diary_task": "yes_no",
    "is_holiday": "yes_no",
    "is_repeat": "yes_no",
    "is_for_show": "yes_no",
    "medium": "category",
    "required_by": "category",
}
YES_NO = "yes_no"  # the table of codes shared by every column of this type
BLOCK = "{n}"  # stands for the number of a block in a column's name


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Column(_Part):
    """Where one of our columns comes from and how its cells are read."""

    source: str | list[str] = Field(alias="from", description="header in the export; year, month, day for some dates")
    type: ColumnType
    required: bool = Field(False, description="a row without it is rejected")
    min: float | None = Field(None, description="smallest possible value")
    max: float | None = Field(None, description="largest possible value")
    pattern: str = Field("", description="regular expression that a whole id or code must match")
    pad: int = Field(0, ge=0, description="digits to which a code that lost its leading zeros is filled up")

    @property
    def sources(self) -> list[str]:
        """The headers that it is read from."""
        return [self.source] if isinstance(self.source, str) else self.source

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, text: str) -> str:
        try:
            re.compile(text)
        except re.error as error:
            raise ValueError(f"no regular expression: {error}") from error
        return text

    @model_validator(mode="after")
    def _only_dates_are_composed(self) -> Self:
        if not isinstance(self.source, str) and (self.type != "date" or len(self.source) != 3):
            raise ValueError("only a date is composed, from three columns: year, month, day")
        return self


class FileSpec(_Part):
    """One file, or one sheet of a workbook."""

    grain: Grain
    columns: dict[str, Column]
    encoding: Literal["utf-8", "gb18030", "utf-16"] = "utf-8"
    sheet: str = Field("", description="sheet of a workbook")
    ignored: list[str] = Field(default_factory=list, description="known columns that are dropped at the door")
    blocks: int = Field(0, ge=0, description="episode blocks side by side in a row")
    block_columns: dict[str, Column] = Field(default_factory=dict, description="columns of a block, {n} its number")
    slot_minutes: int = Field(0, ge=0, le=120, description="length of a slot")
    key: str = Field("", description="column that identifies a row to its repeat group")
    parent: str = Field("", description="role of the file that this repeat group belongs to")
    parent_key: str = Field("", description="column that holds the key of the parent row")

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        needed = NEEDED["episodes"] if self.blocks else {}
        for columns, wanted in ((self.columns, NEEDED[self.grain]), (self.block_columns, needed)):
            absent = [name for name in wanted if name not in columns]
            if absent:
                raise ValueError(f"a table of {self.grain} needs the column(s) {', '.join(absent)}")
        for name, column in (self.columns | self.block_columns).items():
            if column.type != MEANT_AS.get(name, column.type):
                raise ValueError(f"{name} has the type {MEANT_AS[name]!r}, not {column.type!r}")
        if self.grain == "slots" and (not self.slot_minutes or 1440 % self.slot_minutes):
            raise ValueError("slots need slot_minutes that divide a day")
        if bool(self.blocks) != bool(self.block_columns) or (self.blocks and self.grain != "diary_days"):
            raise ValueError("blocks and block_columns go together, in a table of diary_days")
        if bool(self.parent) != bool(self.parent_key):
            raise ValueError("parent and parent_key go together")
        return self

    @property
    def headers(self) -> list[str]:
        """Every header that must be in the file, in the order of the instrument."""
        blocks = [
            header.replace(BLOCK, str(number))
            for number in range(1, self.blocks + 1)
            for column in self.block_columns.values()
            for header in column.sources
        ]
        fixed = [header for column in self.columns.values() for header in column.sources]
        return list(dict.fromkeys([*fixed, *blocks, *(key for key in (self.key, self.parent_key) if key)]))


class Rule(_Part):
    """A rule across the answers of one respondent."""

    kind: Literal["sum_at_most"]
    parts: list[str] = Field(min_length=1)
    whole: str
    action: Literal["warned", "value_rejected"]


class Instrument(_Part):
    """One version of a questionnaire or diary and of the export that carries it."""

    version: str
    platform: Literal["wjx", "odk", "slots", "plain"]
    title_zh: str
    title_en: str
    duplicates: Literal["keep_last_submitted", "reject"] = Field(
        "keep_last_submitted", description="what happens when one respondent hands in twice within a drop"
    )
    missing: dict[str, str] = Field(default_factory=dict, description="cell text → reason why there is no answer")
    files: dict[str, FileSpec] = Field(description="role of a file in a drop → how it is read")
    values: dict[str, dict[str, str]] = Field(default_factory=dict, description="column → raw code → our category")
    rules: list[Rule] = Field(default_factory=list, alias="rule")

    @model_validator(mode="after")
    def _refers_to_what_it_has(self) -> Self:
        columns = {
            name: column for spec in self.files.values() for name, column in (spec.columns | spec.block_columns).items()
        }
        for name in self.values:
            if name != YES_NO and (name not in columns or columns[name].type != "category"):
                raise ValueError(f"[values.{name}] belongs to no column of type category")
        if strange := set(self.values.get(YES_NO, {}).values()) - {"yes", "no"}:
            raise ValueError(f"[values.yes_no] maps to yes and no only, not {sorted(strange)}")
        if YES_NO not in self.values and any(column.type == YES_NO for column in columns.values()):
            raise ValueError("columns of type yes_no need [values.yes_no]")
        for rule in self.rules:
            for name in [*rule.parts, rule.whole]:
                if name not in columns:
                    raise ValueError(f"a rule names {name!r}, which is no column; {did_you_mean(name, columns)}")
        for role, spec in self.files.items():
            if spec.parent and not self.files.get(spec.parent, spec).key:
                raise ValueError(f"[files.{role}] parent {spec.parent!r} is no file with a key")
        return self


def read_instrument(study: Study, version: str) -> Instrument:
    """Read and validate ``reference/instruments/<version>.toml``.

    Raises
    ------
    InputRejected
        For an unknown version, an unknown key, a wrong type, or an instrument that contradicts itself.
    """
    from analysis_lib.study import read_toml  # slow to import, and the process that reads files does without

    folder = study.reference / "instruments"
    path = folder / f"{version}.toml"
    known = [file.stem for file in folder.glob("*.toml")]
    if version not in known:
        hint = did_you_mean(version, known) if known else "the study has none yet"
        raise InputRejected(f"unknown instrument {version!r}", where="reference/instruments", fix=hint)
    try:
        instrument = Instrument.model_validate(read_toml(path))
    except ValidationError as error:
        raise _first_fault(error, where=f"reference/instruments/{path.name}") from error
    if instrument.version != version:
        raise InputRejected(
            f"it calls itself {instrument.version!r}",
            where=f"reference/instruments/{path.name}",
            fix="the file's name and its version must agree",
        )
    return instrument


_MODEL_AT: dict[str, Callable[[], list[str]]] = {
    "columns": lambda: _keys(Column),
    "block_columns": lambda: _keys(Column),
    "rule": lambda: _keys(Rule),
    "files": lambda: _keys(FileSpec),
}


def _keys(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _first_fault(error: ValidationError, *, where: str) -> InputRejected:
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        inside = next((part for part in reversed(first["loc"][:-1]) if part in _MODEL_AT), None)
        known = _MODEL_AT[str(inside)]() if inside else _keys(Instrument)
        return InputRejected(f"unknown key {place!r}", where=where, fix=did_you_mean(str(first["loc"][-1]), known))
    message = first["msg"].removeprefix("Value error, ")
    return InputRejected(f"{place}: {message}" if place else message, where=where, fix="see docs/tutorial")
