"""The register of reforms: what was decided, promised, capped and claimed, and where it starts when; nothing estimated."""

from __future__ import annotations

import calendar
import datetime as dt
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, Field, ValidationError, model_validator

from analysis_lib.errors import InputRejected, UsageError, did_you_mean
from analysis_lib.quarters import Quarter
from analysis_lib.study import NATION, Section, Study, read_reference_csv, read_toml

FILE, TIMELINE = "reforms.toml", "reform_timeline.toml"
KEYS_ARE_IN = "docs/reform-register.md lists every key"

Level = Literal["nation", "province", "city", "county", "township"]
Lever = Literal["document", "meeting", "inspection", "digital", "authority", "secondment", "campaign"]
Grade = Literal["", "A", "B", "C", "D"]
DateKind = Literal["local_start", "issued", "public", "approved"]
EVERY_QUARTER = "every quarter"
M = TypeVar("M", bound=BaseModel)


def _day(value: object) -> str:
    """A day, month or year as text; a month and a year are what many sources give."""
    text = str(value)
    if not text:
        return text
    parts = text.split("-")
    if [len(part) for part in parts] not in ([4], [4, 2], [4, 2, 2]):
        raise ValueError(f"{text!r} is not a date; write 2024-08-06, 2024-08 or 2024")
    dt.date(*(int(part) for part in [*parts, "1", "1"][:3]))
    return text


def _quarter(value: object) -> str:
    try:
        return str(Quarter.parse(str(value)))
    except UsageError as error:
        raise ValueError(error.what) from error


def _quarter_or_year(value: object) -> str:
    text = str(value)
    return text if not text or (text.isdigit() and len(text) == len("2024")) else _quarter(text)


def _quarters(value: object) -> object:
    return tuple(_quarter(each) for each in value) if isinstance(value, list) else value


Day = Annotated[str, BeforeValidator(_day)]
QuarterText = Annotated[str, BeforeValidator(_quarter)]


class _Number(Section):
    """One number about one thing: a level, or a relative change against a baseline."""

    what_zh: str = Field("", description="what is counted, in Chinese, where no measure says it")
    what_en: str = Field("", description="the same in English")
    change: float | None = Field(None, gt=-1.0001, description="relative change; -0.3 is a cut by 30 per cent")
    unit: str = Field("", description="unit of a level, where no measure says it")
    baseline: Annotated[str, BeforeValidator(_quarter_or_year)] = Field(
        "", description="quarter or year that a change is counted from; empty: the last quarter before the start"
    )


class Limit(_Number):
    """A number that a rule sets: at most so many, or a change by so much."""

    at_most: float | None = Field(None, description="the most that is allowed")
    change_by_up_to: float | None = Field(None, description="the far end, where a rule asks for a range of changes")

    @model_validator(mode="after")
    def _says_one_thing(self) -> Limit:
        if (self.at_most is None) == (self.change is None):
            raise ValueError("give at_most or change, one of the two")
        return self


class Cap(Limit):
    """A limit on something that the study counts."""

    measure: str = Field(description="measure that the cap is on")


class Claim(_Number):
    """What an authority reports to have achieved."""

    date: Day = Field(description="when it was said")
    measure: str = Field("", description="measure that it is about; empty: what_zh, what_en say it")
    value: float | None = Field(None, description="level reported")
    source: str = Field(description="who says so, and where")

    @model_validator(mode="after")
    def _says_one_thing(self) -> Claim:
        if (self.value is None) == (self.change is None):
            raise ValueError("give value or change, one of the two")
        if not self.measure and not (self.what_zh and self.what_en):
            raise ValueError("name a measure, or say what_zh and what_en")
        return self


class DecisionRule(Section):
    """What follows from which result, written down before the result is known."""

    text_zh: str = Field("", description="the rule in a sentence, in Chinese")
    text_en: str = Field("", description="the rule in a sentence, in English")
    keep_if_cut_by: float | None = Field(
        None, gt=0, description="hours a week that it must give back to be kept; absent: smallest_change"
    )
    service_may_fall_by: float = Field(0.5, ge=0, description="hours a week of service that may be lost at most")
    intensify_if_compliance_below: float = Field(
        0.8, ge=0, le=1, description="share of the way to its caps below which it counts as not yet carried out"
    )
    redesign_if_disguised_above: float = Field(
        0.5,
        gt=0,
        le=1,
        description="share of the hours cut that reappears as other burden, above which it is redesigned",
    )
    stop_if_no_cut_after: int = Field(
        8, ge=1, description="looks after which it is stopped if a cut that matters is ruled out"
    )


class Plan(Section):
    """The pre-analysis plan: how the reform will be judged, settled before anybody looks."""

    primary: str = Field("", description="measure on which the verdict rests; empty: the headline")
    estimand: Literal["treated", "level"] = Field(
        "treated",
        description="treated: the average effect on officials in regions where the reform is in force, over the "
        "quarters in force; level: the break of one series at the start",
    )
    estimator: Literal["auto", "group_time", "imputation", "synthetic", "interrupted_series"] = Field(
        "auto", description="auto: what the rollout allows, by the rules in docs/methods.md"
    )
    treatment_date: DateKind = Field("local_start", description="which date counts as the start")
    comparison: Literal["never", "not_yet"] = Field(
        "not_yet", description="compared with regions that never have the reform, or with those without it so far"
    )
    anticipation: int = Field(0, ge=0, description="quarters before the start in which officials may already react")
    looks: Annotated[Literal["every quarter"] | tuple[str, ...], BeforeValidator(_quarters)] = Field(
        EVERY_QUARTER, description='"every quarter", or the quarters in which the result is looked at'
    )
    decision_rule: DecisionRule = DecisionRule()  # pyright: ignore[reportCallIssue]
    registered: Day = Field("", description="when the plan was settled")


class Entry(Section):
    """A reform as ``reforms.toml`` gives it."""

    id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", description="short name, used in results")
    title_zh: str = Field(description="title in Chinese")
    title_en: str = Field(description="title in English")
    level: Level = Field("province", description="level at which regions were given the reform")
    lever: Lever = Field("campaign", description="what it works through")
    groups: tuple[str, ...] = Field(description="activity groups that it means to cut")
    measures: tuple[str, ...] = Field((), description="measures that it is judged by; empty: the hours of its groups")
    units: dict[str, QuarterText] = Field(description='region, or "all" → first quarter in force there')
    approved: Day = Field("", description="when it was decided")
    issued: Day = Field("", description="when it was issued")
    public: Day = Field("", description="when its full text became public")
    dose: dict[str, float | str] = Field({}, description='region, or "all" → how much of it, a number or words')
    caps: tuple[Cap, ...] = Field((), description="limits on what the study counts")
    claims: tuple[Claim, ...] = Field((), description="what authorities report")
    smallest_change: float = Field(
        0, ge=0, description="smallest change that matters, hours a week; 0: that of study.toml"
    )
    source: str = Field("", description="publisher, title and address of the text")
    source_grade: Grade = Field("", description="A official or scholarly, B established press, C repost, D unverified")
    plan: Plan = Plan()  # pyright: ignore[reportCallIssue]

    @model_validator(mode="after")
    def _dates_are_in_order(self) -> Entry:
        given = [name for name in ("approved", "issued", "public") if getattr(self, name)]
        for earlier, later in pairwise(given):
            before, after = getattr(self, earlier), getattr(self, later)
            if before[: len(after)] > after[: len(before)]:  # a month holds its days, a year its months
                raise ValueError(f"{earlier} lies after {later}")
        return self


class Reform(Entry):
    """One reform, its defaults filled in from the study and its units spread to every region below them.

    Attributes
    ----------
    starts : dict of str to Quarter
        Region → first quarter in force there; a region has its own start, else that of the region above.
        Regions that never had the reform are absent.
    """

    starts: dict[str, Quarter]

    def primary_in(self, study: Study) -> str:
        """The measure on which the verdict rests: that of the plan, else the headline of the study."""
        return self.plan.primary or study.config.estimation.headline

    @property
    def is_declared_late(self) -> bool:
        """Whether its plan was settled only when results could be seen: not before its first quarter in force."""
        day, first = self.plan.registered, min(self.starts.values(), default=None)
        if not day or first is None:
            return True
        return day >= f"{first.first_day:%Y-%m-%d}"[: len(day)]  # a month or year that holds the start may lie after it

    @property
    def keyed_claims(self) -> list[tuple[str, Claim]]:
        """Claims with the measure that each is about; one about nothing that the study measures has a key of its own."""
        return [
            (claim.measure or f"claim_{self.id}_{place}", claim) for place, claim in enumerate(self.claims, start=1)
        ]

    @property
    def titles(self) -> dict[str, str]:
        """Language → title."""
        return {"zh": self.title_zh, "en": self.title_en}

    def first_start(self, study: Study, region: str) -> Quarter | None:
        """First quarter in which the reform was in force anywhere in a region; None if it never was."""
        within = [start for code, start in self.starts.items() if region in (NATION, *study.ancestors(code))]
        return min(within, default=None)

    def starts_by(self, date: DateKind) -> dict[str, Quarter]:
        """Region → first quarter under the reform, when the chosen date counts as the start.

        ``local_start`` is `starts`. By any other date all these regions start in the quarter that holds it.

        Raises
        ------
        UsageError
            When the register does not give that date, or gives no more than its year.
        """
        if date == "local_start":
            return dict(self.starts)
        day, where = str(getattr(self, date)), f"{FILE}, {self.id}, {date}"
        if not day:
            given = ["local_start", *(name for name in ("issued", "public", "approved") if getattr(self, name))]
            raise UsageError("the date is not given", where=where, fix=f"give it, or choose one of {given}")
        return dict.fromkeys(self.starts, quarter_of(day, where=where))


class Source(Section):
    """Where a fact was read."""

    publisher: str
    title: str = Field(description="what the page is, in own words where its title is not known")
    address: str = Field("", description="as stored; empty where none was kept")
    grade: Grade = Field(description="A official or scholarly, B established press, C repost, D unverified")


class Event(Section):
    """A real event of burden reduction; its facts in own words."""

    id: str
    title_zh: str
    title_en: str
    level: Level
    place_zh: str = Field("", description="where, below the nation")
    place_en: str = ""
    levers: tuple[Lever, ...] = Field(min_length=1)
    approved: Day = ""
    issued: Day = Field(description="issued, held or decided")
    until: Day = Field("", description="last day or month of an event that took longer")
    public: Day = ""
    asks_zh: str = Field(description="what it asks, in Chinese")
    asks_en: str = Field(description="the same in English")
    limits: tuple[Limit, ...] = ()
    sources: tuple[str, ...] = Field(min_length=1, description="keys of the sources; each is described in full once")
    grade: Grade = Field(description="grade of the best source that gives its numbers")

    @property
    def quarter(self) -> Quarter | None:
        """Quarter of the issue; None where only the year is known."""
        is_year_alone = "-" not in self.issued
        return None if is_year_alone else quarter_of(self.issued, where=f"{TIMELINE}, {self.id}")


class Remark(Section):
    """A stretch of time that a series has to know about: a confounder, or a return of burdens that was noticed."""

    id: str
    kind: Literal["confounder", "rebound"]
    first: QuarterText
    last: QuarterText
    title_zh: str
    title_en: str
    sources: tuple[str, ...] = ()

    @property
    def quarters(self) -> list[Quarter]:
        """Every quarter of it."""
        return Quarter.span(Quarter.parse(self.first), Quarter.parse(self.last))


class Timeline(Section):
    """Real events, beside the reforms that a study assesses."""

    event: tuple[Event, ...] = ()
    remark: tuple[Remark, ...] = ()
    source: dict[str, Source] = Field({}, description="key → where its facts were read")


def read_reforms(study: Study) -> list[Reform]:
    """The reforms of a study in file order; none when it has no ``reforms.toml``.

    Raises
    ------
    InputRejected
        For an unknown or missing key, a wrong value, an id twice, or a region, group or measure that the study
        does not have.
    """
    path = study.reference / FILE
    tables = _tables(path, {"reform"}).get("reform", []) if path.is_file() else []
    entries = [_entry(table) for table in tables]
    _refuse_twice([entry.id for entry in entries], f"reference/{FILE}")
    return [_reform(entry, study) for entry in entries]


def read_timeline(study: Study) -> Timeline:
    """Real events of ``reform_timeline.toml``; empty when the study has none.

    Raises
    ------
    InputRejected
        For an unknown key, a wrong value, an id twice, or a source that is not described.
    """
    path = study.reference / TIMELINE
    if not path.is_file():
        return Timeline(source={})
    tables, where = _tables(path, set(Timeline.model_fields)), f"reference/{TIMELINE}"
    events = tuple(
        _validated(Event, table | _lists(table, {"limits": Limit}, _place(where, table)), where=_place(where, table))
        for table in tables.get("event", [])
    )
    remarks = tuple(_validated(Remark, table, where=_place(where, table)) for table in tables.get("remark", []))
    sources = {
        key: _validated(Source, table, where=f"{where}, source {key}")
        for key, table in tables.get("source", {}).items()
    }
    _refuse_twice([each.id for each in (*events, *remarks)], where)
    for each in (*events, *remarks):
        _refuse_unknown(each.sources, sources, where=f"{where}, {each.id}, sources", kind="no source of the file")
    return Timeline(event=events, remark=remarks, source=sources)


def quarter_of(day: str, *, where: str) -> Quarter:
    """The quarter that holds a day or month; raises `UsageError` for a year alone."""
    year, *rest = (int(part) for part in day.split("-"))
    if not rest:
        raise UsageError(f"{day} is a year, not a quarter", where=where, fix="give the month")
    return Quarter.of(dt.date(year, rest[0], calendar.monthrange(year, rest[0])[1]))


def _entry(table: dict[str, Any]) -> Entry:
    where = _place(f"reference/{FILE}", table)
    plan = dict(table.get("plan", {}))
    if "decision_rule" in plan:
        plan["decision_rule"] = _validated(DecisionRule, plan["decision_rule"], where=f"{where}, plan.decision_rule")
    parts = _lists(table, {"caps": Cap, "claims": Claim}, where)
    return _validated(Entry, table | parts | {"plan": _validated(Plan, plan, where=f"{where}, plan")}, where=where)


def _reform(entry: Entry, study: Study) -> Reform:
    where = f"reference/{FILE}, {entry.id}"
    for key, codes in (("units", entry.units), ("dose", entry.dose)):
        _refuse_unknown(codes, {NATION, *study.regions.index}, where=f"{where}, {key}", kind="not in regions.csv")
    levels = {"nation", *study.regions["level"]}
    if "level" in entry.model_fields_set and entry.level not in levels:
        raise InputRejected(
            f"no region of regions.csv is a {entry.level}",
            where=f"{where}, level",
            fix=did_you_mean(entry.level, levels),
        )
    _refuse_unknown_measures(entry, study, where)
    starts = {
        str(code): Quarter.parse(entry.units[nearest])
        for code in (*study.regions.index, *study.region_changes.former)
        for nearest in [next((above for above in [*study.ancestors(str(code)), NATION] if above in entry.units), None)]
        if nearest is not None
    }
    filled = {
        "starts": starts,
        "measures": entry.measures or tuple(f"group_{group}" for group in entry.groups),
        "smallest_change": entry.smallest_change or study.config.estimation.smallest_change,
    }
    return Reform(**(dict(entry) | filled))


def _refuse_unknown_measures(entry: Entry, study: Study, where: str) -> None:
    named = {
        "measures": entry.measures,
        "caps": [cap.measure for cap in entry.caps],
        "claims": [claim.measure for claim in entry.claims if claim.measure],
        "plan.primary": [entry.plan.primary] if entry.plan.primary else [],
    }
    if not any(named.values()):
        return
    groups = read_reference_csv(study.reference / "activity_groups.csv", ["group"])["group"]
    known = {*study.measures, *(f"group_{group}" for group in groups)}
    for key, measures in named.items():
        _refuse_unknown(measures, known, where=f"{where}, {key}", kind="no measure of the study")


def _tables(path: Path, known: set[str]) -> dict[str, Any]:
    tables = read_toml(path)
    _refuse_unknown(tables, known, where=f"reference/{path.name}", kind="an unknown table")
    return tables


def _lists(table: dict[str, Any], kinds: dict[str, type[BaseModel]], where: str) -> dict[str, Any]:
    """Tables inside a table, each held against its own keys so that an error names the very one."""
    return {
        key: tuple(_validated(kind, part, where=f"{where}, {key} {place}") for place, part in enumerate(table[key], 1))
        for key, kind in kinds.items()
        if key in table
    }


def _validated(model: type[M], table: dict[str, Any], *, where: str) -> M:
    _refuse_unknown(table, model.model_fields, where=where, kind="an unknown key")
    try:
        return model.model_validate(table)
    except ValidationError as error:
        missing = [str(fault["loc"][0]) for fault in error.errors() if fault["type"] == "missing"]
        if missing:
            raise InputRejected(f"{', '.join(missing)} missing", where=where, fix=KEYS_ARE_IN) from error
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise InputRejected(f"{key}: {message}" if key else message, where=where, fix=KEYS_ARE_IN) from error


def _refuse_unknown(seen: Iterable[str], known: Iterable[str], *, where: str, kind: str) -> None:
    known = set(known)
    for each in seen:
        if each not in known:
            raise InputRejected(f"{each!r} is {kind}", where=where, fix=did_you_mean(each, known))


def _refuse_twice(ids: list[str], where: str) -> None:
    twice = sorted({each for each in ids if ids.count(each) > 1})
    if twice:
        raise InputRejected(f"{twice} twice", where=where, fix="give each an id of its own")


def _place(where: str, table: dict[str, Any]) -> str:
    return f"{where}, {table.get('id', 'an entry without id')}"
