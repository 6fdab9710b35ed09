"""What a study is: its folder, its typed configuration, its reference files."""

from __future__ import annotations

import datetime as dt
import json
import tomllib
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal, Self
from zoneinfo import ZoneInfo

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from analysis_lib.errors import InputRejected, UsageError, did_you_mean
from analysis_lib.measures import Measure, parse_measures
from analysis_lib.quarters import Quarter
from analysis_lib.region_changes import COLUMNS as REGION_CHANGES_COLUMNS
from analysis_lib.region_changes import FILE as REGION_CHANGES
from analysis_lib.region_changes import RegionChanges, name_until

NATION = "all"  # the region code of the whole study population
PINS = "pins.json"  # in the study folder of a rerun: the drops of the release that is rerun
CALENDAR = "calendar.toml"  # reference file of special days and of deadlines
MARGINS_AGREE = 1e-6  # by what share the sums of a quarter's margins may differ
QuarterState = Literal["provisional", "revised", "final"]
SinglePsu = Literal["refuse", "certainty", "adjust", "average"]


class Section(BaseModel):
    """A table of ``study.toml``: frozen, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class About(Section):
    """Who and what the study is about."""

    id: str = Field(pattern=r"^[a-z][a-z0-9-]{1,30}$", description="short name, used in file names")
    title_zh: str = Field(description="title of the study in Chinese")
    title_en: str = Field(description="title of the study in English")
    population_zh: str = Field("基层干部", description="who is described, in Chinese")
    population_en: str = Field("grassroots officials", description="who is described, in English")
    is_simulated: bool = Field(False, description="true puts the word SIMULATED on every page")
    timezone: str = Field("Asia/Shanghai", description="zone in which diary days and deadlines are read")
    source_zh: str = Field("", description="source line under charts, in Chinese")
    source_en: str = Field("", description="source line under charts, in English")
    contact: str = Field("", description="how readers reach the team")


class Calendar(Section):
    """Which quarters the study has and when each is due."""

    first: str = Field(description="first quarter of the series")
    last: str = Field(description="last quarter expected so far")
    due_days: int = Field(45, ge=1, description="days after a quarter's end by which its assessment is due")
    revised_days: int = Field(90, ge=0, description="days after the due day from which a quarter counts as revised")
    final_days: int = Field(365, ge=1, description="days after the due day from which a quarter is final")

    not_held: dict[str, dict[Literal["zh", "en"], str]] = Field(
        default_factory=dict, description="quarters without a survey → why, in both languages"
    )

    @field_validator("first", "last")
    @classmethod
    def _is_quarter(cls, text: str) -> str:
        return str(Quarter.parse(text))

    @field_validator("not_held")
    @classmethod
    def _says_why(cls, not_held: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
        if any({*why} != {"zh", "en"} or not all(text.strip() for text in why.values()) for why in not_held.values()):
            raise ValueError('each needs its reason: "2025Q2" = { zh = "…", en = "…" }')
        return {str(Quarter.parse(text)): why for text, why in not_held.items()}

    @model_validator(mode="after")
    def _is_revised_before_it_is_final(self) -> Self:
        if self.final_days <= self.revised_days:
            raise ValueError("final_days must be more than revised_days")
        return self

    @property
    def quarters(self) -> list[Quarter]:
        """Every quarter of the series in order."""
        return Quarter.span(Quarter.parse(self.first), Quarter.parse(self.last))


class Design(Section):
    """Columns of the sample design; an empty name means that the design has none."""

    stratum: str = Field("stratum", description="column of the stratum; empty: unstratified")
    psu: str = Field("psu", description="column of the primary sampling unit; empty: each respondent is one")
    weight: str = Field("weight", description="column of the weight (persons or person-days); empty: each counts once")
    single_psu: SinglePsu = Field("refuse", description="what a stratum with one PSU does to the variance")
    nonresponse_classes: list[str] = Field(
        default_factory=lambda: ["stratum", "tier"],
        description="cells of the weighting-class adjustment, used where a sample list is given",
    )
    trim_weights_above: float = Field(
        0, ge=0, description="cut weights above so many times their quarter's median and spread what is cut; 0: never"
    )
    calibration: Literal["raking", "linear", "logit"] = Field(
        "raking", description="how weights are brought to the totals of reference/margins.csv, where there is one"
    )
    calibration_bounds: tuple[float, float] = Field(
        (0.2, 5.0), description="least and greatest factor on a weight, for logit"
    )

    @field_validator("trim_weights_above")
    @classmethod
    def _is_above_the_median(cls, times: float) -> float:
        if 0 < times <= 1:
            raise ValueError("0, or more than 1: half of all weights are above their median")
        return times


class Diary(Section):
    """How a diary day is read and what it stands for."""

    day_starts: str = Field("00:00", pattern=r"^[0-2]\d:[0-5]\d$", description="clock time at which a diary day starts")
    represents: Literal["weekday_weekend", "one_day"] = Field(
        "weekday_weekend",
        description="weekday_weekend: one of each makes a week (5 + 2); one_day: a day with a person-day weight",
    )
    holiday_is: Literal["weekend", "as_dated"] = Field("as_dated", description="day type of a public holiday")
    work_hours: list[str] = Field(
        default_factory=lambda: ["08:00", "18:00"], description="weekday clock times between which work is in hours"
    )
    min_episodes: int = Field(5, ge=0, description="a diary day with fewer episodes is not used")
    max_unknown_minutes: int = Field(180, ge=0, description="a diary day with more unknown time is not used")
    must_fill_the_day: bool = Field(True, description="false when the source itself leaves uncodable time out")
    avoidable_value_at_most: int = Field(2, description="episodes rated this low (1-4) are avoidable")


class Estimation(Section):
    """What is estimated and for which groups."""

    confidence_level: float = Field(0.95, gt=0.5, lt=1, description="coverage of every interval of the run")
    levels: list[str] = Field(default_factory=lambda: ["province", "county"], description="region levels estimated")
    page_level: str = Field("province", description="region level that gets a page of its own")
    categories: list[str] = Field(default_factory=lambda: ["tier"], description="respondent columns used as domains")
    headline: str = Field("gross", description="measure in the h1")
    nested: list[str] = Field(
        default_factory=lambda: ["gross", "avoidable", "excess"], description="measures always shown together"
    )
    side_by_side: list[str] = Field(
        default_factory=list, description="one quantity as recalled, by diary and combined, shown beside each other"
    )
    smallest_change: float = Field(0.5, gt=0, description="smallest change that matters, in the headline's unit")
    standard_week_hours: float = Field(40, gt=0, description="hours of a full-time equivalent")
    pool_quarters: int = Field(4, ge=1, description="quarters pooled for the yearly figure beside the quarter's")


class Disclosure(Section):
    """Minimum rules for anything that leaves the building (ids: docs/methods.md)."""

    min_respondents: int = Field(10, ge=1, description="C01: unweighted respondents behind a published cell")
    sensitive: list[str] = Field(
        default_factory=lambda: ["coping", "pressure", "authority_gap", "leave_intention", "gross_required"],
        description="measures about superiors or against the rules, by name or by what their names begin with",
    )
    min_respondents_sensitive: int = Field(20, ge=1, description="C01: respondents behind a cell of such a measure")
    min_units: int = Field(3, ge=1, description="C02: distinct work units (PSUs) behind a published cell")
    max_unit_share: float = Field(0.5, gt=0, le=1, description="C02: share of a cell's weights that one unit may hold")
    max_top_two: float = Field(0.9, gt=0, le=1, description="C08: share of a cell's sum that two people may hold")
    round_counts_to: int = Field(5, ge=1, description="C04: base to which counts are rounded")
    hours_decimals: int = Field(1, ge=0, le=2, description="C05: decimals of hours")
    min_count_width: float = Field(
        10, ge=0, description="C09: people within which a withheld count must stay uncertain, all tables together"
    )
    min_mean_width: float = Field(
        0.2, ge=0, description="C09: the same for a withheld mean, as a share of the mean of the region above"
    )
    unreliable_cv: float = Field(0.166, description="R16: coefficient of variation above which a cell carries [u]")
    withheld_cv: float = Field(0.333, description="R16: coefficient of variation above which a cell is [x]")


class Quality(Section):
    """How returns are doubted: every cut is a choice of the study, and a flag removes nothing."""

    false_alarm: float = Field(
        0.001, gt=0, lt=0.5, description="share of honest respondents that an index held against a simulated null flags"
    )
    speeder_share: float = Field(0.4, gt=0, lt=1, description="faster than this share of the median is a speeder")
    min_episodes: int = Field(7, ge=0, description="a diary day with fewer episodes is flagged")
    max_unknown_minutes: int = Field(90, ge=0, description="a diary day with more unknown time is flagged")
    max_activity_minutes: int = Field(180, ge=1, description="one stretch of work longer than this is flagged")
    min_work_codes: int = Field(4, ge=0, description="a working day with fewer kinds of work is flagged")
    max_missing_domains: int = Field(1, ge=0, description="basic domains that may be missing from a diary day")
    basic_domains: dict[str, list[str]] = Field(
        default_factory=dict, description="sleep, eating, care, travel: code prefixes; none where codes do not tell"
    )
    recall_pairs: dict[str, str] = Field(
        default_factory=dict, description="recalled measure → the diary measure that it should resemble"
    )
    min_coverage: float = Field(
        0.9, ge=0, le=1, description="F33: least share of officials in regions that are heard of; below it, say why"
    )
    recall_ratio: list[float] = Field(
        default_factory=lambda: [0.5, 2.0], min_length=2, max_length=2, description="usual range of recall over diary"
    )


class ListExperimentSettings(Section):
    """The list experiment, where the questionnaire has one; an empty ``arm`` means it has none."""

    key: str = Field("coping", description="first part of the names of its results")
    arm: str = Field("", description="column of the arm: who got the long list")
    short: str = Field("short", description="category of the arm without the sensitive item")
    long: str = Field("long", description="category of the arm with it")
    count: str = Field("list_count", description="column of the number of items that apply")
    direct: str = Field("coping", description="column of the direct question, asked of everybody")
    direct_at_least: float = Field(1, description="answers from here on admit the behaviour")
    max_half_width: float = Field(0.10, gt=0, description="a share known less precisely is not printed")


class SmallAreas(Section):
    """What is estimated by an area model for the lowest level of ``estimation.levels``; nothing by default."""

    measures: list[str] = Field(default_factory=list, description="means and ratios estimated for every area")
    auxiliary: list[str] = Field(
        default_factory=list, description="questionnaire measures that the model expects an area's hours from"
    )


class OwnBurden(Section):
    """What answering costs, as counted and as promised."""

    diary_day_minutes: float = Field(15, ge=0, description="minutes that a diary day takes to fill in")
    promised_minutes: float = Field(25, gt=0, description="most minutes promised per respondent and quarter")
    plausible_minutes: list[float] = Field(
        default_factory=lambda: [1.0, 120.0],
        min_length=2,
        max_length=2,
        description="questionnaire times outside this range are replaced by the median of those within",
    )


class Guardrails(Section):
    """What must be kept while burden falls, and how much harm may be borne."""

    margins: dict[str, float] = Field(
        default_factory=dict,
        description="measure → margin in its unit; others: hours the smallest change, shares 0.05, scores 0.2, counts 0.5",
    )
    young: str = Field("under_35", description="the age group that is watched for leaving")
    age: str = Field("age_group", description="column of age groups")

    @field_validator("margins")
    @classmethod
    def _are_not_negative(cls, margins: dict[str, float]) -> dict[str, float]:
        if negative := [measure for measure, margin in margins.items() if not margin >= 0]:
            raise ValueError(f"a margin is zero or more; mend {', '.join(negative)}")
        return margins


class ScaleSettings(Section):
    """Items of the questionnaire that are meant to measure one thing."""

    key: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="name in results")
    title_zh: str = Field(description="title in Chinese")
    title_en: str = Field(description="title in English")
    items: list[str] = Field(min_length=2, description="columns of the answers")
    items_zh: list[str] = Field(default_factory=list, description="the items in Chinese, in the same order")
    items_en: list[str] = Field(default_factory=list, description="the items in English, in the same order")
    reversed: list[str] = Field(default_factory=list, description="items in which more means less")
    low: float = Field(default=1, description="lowest answer")
    high: float = Field(default=5, description="highest answer")

    @model_validator(mode="after")
    def _fits_together(self) -> ScaleSettings:
        if len(set(self.items)) < len(self.items):
            raise ValueError("an item stands twice; name each once")
        if strangers := [item for item in self.reversed if item not in self.items]:
            raise ValueError(
                f"reversed {', '.join(strangers)}: no item of the scale; name one of {', '.join(self.items)}"
            )
        if any(names and len(names) != len(self.items) for names in (self.items_zh, self.items_en)):
            raise ValueError("items_zh and items_en name every item, in the order of items, or none")
        if self.low >= self.high:
            raise ValueError("low is below high")
        return self


DEFAULT_SCALES = (
    ScaleSettings(
        key="red_tape",
        title_zh="规定和程序的负担",
        title_en="Red tape",
        items=["tirt_burdensome", "tirt_unnecessary", "tirt_ineffective"],
        items_zh=["规定和程序增加负担", "规定和程序没有必要", "规定和程序没有效果"],
        items_en=["rules add burden", "rules are not needed", "rules do not work"],
    ),
    ScaleSettings(
        key="pressure",
        title_zh="问责压力",
        title_en="Pressure of blame",
        items=["pressure_blame", "pressure_tolerance"],
        items_zh=["担心因管不了的事被追责", "按程序出错会得到容错"],
        items_en=["afraid of blame for what is out of one's hands", "mistakes made by the rules are forgiven"],
        reversed=["pressure_tolerance"],
    ),
    ScaleSettings(
        key="strain",
        title_zh="疲惫与离岗意愿",
        title_en="Strain",
        items=["exhaustion", "leave_intention"],
        items_zh=["下班后精疲力竭", "一年内想离开现岗位"],
        items_en=["worn out after work", "means to leave the post within a year"],
    ),
)


Event = Literal["start", "success", "failure", "lateness"]


class Notify(Section):
    """Who is told of runs. Passwords and tokens stand in the environment, never here."""

    events: list[Event] = Field(
        default_factory=lambda: ["failure", "lateness"], description="start, success, failure, lateness: what is told"
    )
    webhook: str = Field("", description="address to which events are posted; $NAME takes it from the environment")
    webhook_body: Literal["facts", "text", "msgtype"] = Field(
        "facts", description="facts: all fields as JSON; text: {text}; msgtype: {msgtype, text: {content}}"
    )
    mail_to: list[str] = Field(default_factory=list, description="addresses that get an e-mail")
    mail_from: str = Field("", description="sender of e-mails")
    smtp_host: str = Field("localhost", description="server that takes the e-mails")
    smtp_port: int = Field(25, ge=1, le=65535, description="its port")
    smtp_security: Literal["none", "starttls", "tls"] = Field("starttls", description="how the connection is protected")
    smtp_user: str = Field("", description="account there; its password is JIANFU_SMTP_PASSWORD in the environment")
    seconds: float = Field(10, gt=0, le=60, description="how long to wait for a server")


class Running(Section):
    """How units are run."""

    policy: Literal["missing", "missing_failed", "all"] = Field(
        "all", description="units that run --due runs: those that never ran, those that failed too, or stale ones too"
    )
    rerun_stale: Literal["unpublished", "not_final", "always"] = Field(
        "unpublished", description="quarters whose stale units run --due runs again unasked"
    )
    workers: int = Field(0, ge=0, description="units at a time; 0: one per core")
    unit_seconds: int = Field(600, gt=0, description="wall-clock limit of a unit")
    input_memory_mb: int = Field(4096, ge=256, description="memory that reading one file of a drop may take, in MiB")
    input_seconds: int = Field(600, gt=0, description="time that reading one file may take, of processor and clock")
    notify: Notify = Notify()  # pyright: ignore[reportCallIssue]


class Publishing(Section):
    """What is built for readers."""

    languages: list[Literal["zh", "en"]] = Field(default_factory=lambda: ["zh", "en"], description="languages built")
    pdf: bool = Field(False, description="print each national report as a PDF too; needs Chromium")
    accessibility: bool = Field(True, description="look at pages in a browser before they are published")
    link_hosts: list[str] = Field(default_factory=list, description="hosts that a page may lead to; none by default")
    address: str = Field(
        "", description="address under which the site will stand, for links of its feed; empty: relative links"
    )


class StudyConfig(Section):
    """The whole of ``study.toml``; ``jianfu config show`` prints it with its defaults."""

    study: About
    calendar: Calendar
    design: Design = Design()  # pyright: ignore[reportCallIssue]
    diary: Diary = Diary()  # pyright: ignore[reportCallIssue]
    estimation: Estimation = Estimation()  # pyright: ignore[reportCallIssue]
    disclosure: Disclosure = Disclosure()  # pyright: ignore[reportCallIssue]
    quality: Quality = Quality()  # pyright: ignore[reportCallIssue]
    list_experiment: ListExperimentSettings = ListExperimentSettings()  # pyright: ignore[reportCallIssue]
    small_areas: SmallAreas = SmallAreas()  # pyright: ignore[reportCallIssue]
    own_burden: OwnBurden = OwnBurden()  # pyright: ignore[reportCallIssue]
    guardrails: Guardrails = Guardrails()  # pyright: ignore[reportCallIssue]
    running: Running = Running()  # pyright: ignore[reportCallIssue]
    publishing: Publishing = Publishing()  # pyright: ignore[reportCallIssue]
    scales: list[ScaleSettings] = Field(
        default_factory=lambda: list(DEFAULT_SCALES), description="scales of the questionnaire"
    )

    @field_validator("scales")
    @classmethod
    def _are_told_apart(cls, scales: list[ScaleSettings]) -> list[ScaleSettings]:
        if len({scale.key for scale in scales}) < len(scales):
            raise ValueError("a scale stands twice; give each its own key")
        return scales


@dataclass(frozen=True)
class Study:
    """A study folder and what it declares.

    Attributes
    ----------
    root : pathlib.Path
        The folder that holds ``study.toml``, ``reference/`` and ``raw/``.
    config : StudyConfig
        The validated configuration.
    """

    root: Path
    config: StudyConfig

    @classmethod
    def open(cls, root: str | Path) -> Study:
        """Read and validate a study folder.

        Raises
        ------
        UsageError
            When there is no ``study.toml`` or it holds an unknown key or a wrong value.
        """
        root = Path(root).resolve()
        path = root / "study.toml"
        if not path.is_file():
            raise UsageError(
                f"{root.name}/ holds no study.toml",
                where="study",
                fix="name a study folder, or make one: jianfu init DIR",
            )
        return cls(root, _validated(path))

    @property
    def reference(self) -> Path:
        """Folder of the files that people decide."""
        return self.root / "reference"

    @property
    def raw(self) -> Path:
        """Folder of the immutable raw drops."""
        return self.root / "raw"

    @property
    def tidy(self) -> Path:
        """Folder of rebuilt tidy tables."""
        return self.root / "tidy"

    @property
    def private(self) -> Path:
        """Folder of keys, for the owner of the study alone."""
        return self.root / "private"

    @property
    def results(self) -> Path:
        """Folder of what notebooks handed over."""
        return self.root / "results"

    @cached_property
    def pins(self) -> dict[str, str] | None:
        """Ids and hashes of the drops to be read, where the folder is one of a rerun; None reads what counts now."""
        path = self.root / PINS
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None

    @property
    def ledger(self) -> Path:
        """The append-only record of runs."""
        return self.root / "ledger.sqlite"

    @property
    def reports(self) -> Path:
        """Folder of releases and the site; beside ``data/`` for the study of the repository."""
        return self.root.parent / "reports" if self.root.name == "data" else self.root / "reports"

    @cached_property
    def measures(self) -> dict[str, Measure]:
        """The measures of ``reference/measures.toml`` in file order."""
        return parse_measures(read_toml(self.reference / "measures.toml"), where="measures.toml")

    @cached_property
    def regions(self) -> pd.DataFrame:
        """``regions.csv`` indexed by code: parent, level, name_zh, name_en."""
        frame = read_reference_csv(self.reference / "regions.csv", ["code", "parent", "level", "name_zh", "name_en"])
        orphans = set(frame["parent"]) - set(frame["code"]) - {"", NATION}
        if orphans or frame["code"].duplicated().any():
            raise InputRejected(
                f"unknown parents {sorted(orphans)} or a code twice",
                where="reference/regions.csv",
                fix="give each code once, under a parent that is listed",
            )
        return frame.set_index("code")

    @cached_property
    def region_changes(self) -> RegionChanges:
        """How region codes of earlier quarters became those of today; nothing without ``region_changes.csv``."""
        path = self.reference / REGION_CHANGES
        needed = REGION_CHANGES_COLUMNS[:6]
        frame = read_reference_csv(path, needed) if path.is_file() else pd.DataFrame(columns=needed)
        parents = {str(code): str(parent) for code, parent in self.regions["parent"].items()}
        levels = {str(code): str(level) for code, level in self.regions["level"].items()}
        return RegionChanges.of(frame, {code: _chain(code, parents) for code in parents}, levels)

    @cached_property
    def margins(self) -> pd.DataFrame | None:
        """``margins.csv``: quarter, column, category, total of persons (or person-days); None when there is none."""
        path = self.reference / "margins.csv"
        if not path.is_file():
            return None
        frame = read_reference_csv(path, ["quarter", "column", "category", "total"])
        total = pd.to_numeric(frame["total"], errors="coerce")
        sums = frame.assign(total=total).groupby(["quarter", "column"])["total"].sum()
        spread = sums.groupby("quarter").agg(["min", "max"])
        if (
            not (total >= 0).all()
            or frame.duplicated(["quarter", "column", "category"]).any()
            or (spread["max"] - spread["min"] > MARGINS_AGREE * spread["max"]).any()
        ):
            raise InputRejected(
                "a total is not a number, a category stands twice, or columns of a quarter add up to different sums",
                where="reference/margins.csv",
                fix="give each category of a quarter's column one total; every column adds up to the population",
            )
        return self._on_todays_regions(frame.assign(total=total))

    def _on_todays_regions(self, margins: pd.DataFrame) -> pd.DataFrame:
        """Margins whose categories are regions, with those of earlier codes added to what they are read as."""
        is_place = margins["column"].isin(["region", *self.regions["level"]])
        if not self.region_changes.changes or not is_place.any():
            return margins
        at = zip(margins["category"], margins["quarter"], is_place, strict=True)
        read = [
            self.region_changes.read(code, Quarter.parse(quarter)).region if here else code
            for code, quarter, here in at
        ]
        return (
            margins.assign(category=read).groupby(["quarter", "column", "category"], sort=False, as_index=False).sum()
        )

    def is_sample_list(self, instrument: str) -> bool:
        """Whether an instrument brings nothing but the list of who is asked: no returns yet."""
        path = self.reference / "instruments" / f"{instrument}.toml"
        return path.is_file() and _grains(path, path.stat().st_mtime_ns) == {"sample"}

    def region_name(self, code: str, language: str) -> str:
        """Name of a region in a language; the nation has the name given in ``regions.csv`` under ``all``."""
        if (name := self._region_names[language].get(code)) is not None:
            return name
        if code == NATION:
            return {"zh": "全国", "en": "National"}[language]
        if name := self.region_changes.name(code, language):
            return name
        grown, _, changed = code.partition("@")  # a region of today as it was before others were merged into it
        if changed and grown in self.regions.index:
            return name_until(self._region_names[language][grown], Quarter.parse(changed), language)
        raise UsageError(
            f"{code!r} is not a region", where="region", fix=did_you_mean(code, [NATION, *self.regions.index])
        )

    @cached_property
    def _region_names(self) -> dict[str, dict[str, str]]:
        names = {language: self.regions[f"name_{language}"] for language in ("zh", "en")}
        return {language: {str(code): str(name) for code, name in each.items()} for language, each in names.items()}

    def regions_at(self, level: str, under: str = NATION) -> list[str]:
        """Codes of a level in file order, those below ``under`` only."""
        return [
            str(code)
            for code in self.regions.index[self.regions["level"] == level]
            if under in (NATION, *self.ancestors(str(code)))
        ]

    def ancestors(self, code: str) -> list[str]:
        """The region itself (of today, or a former one) and every region above it, lowest first, without the nation."""
        return [] if code in ("", NATION) else list(self.region_changes.chain(code))

    def due_date(self, quarter: Quarter) -> dt.date:
        """Day by which a quarter's assessment should be published, to its end in the study's zone."""
        return self.deadlines.get(quarter, quarter.last_day + dt.timedelta(days=self.config.calendar.due_days))

    @cached_property
    def deadlines(self) -> dict[Quarter, dt.date]:
        """Due days that ``calendar.toml`` names; every other quarter has ``due_days`` after its end."""
        path = self.reference / CALENDAR
        named = read_toml(path).get("deadlines", {}) if path.is_file() else {}
        for quarter, day in named.items():
            if type(day) is not dt.date:
                raise InputRejected(
                    f"the deadline of {quarter} is no date",
                    where=f"reference/{CALENDAR}",
                    fix="write it like 2026-11-14",
                )
        return {Quarter.parse(quarter): day for quarter, day in named.items()}

    def revised_day(self, quarter: Quarter) -> dt.date:
        """Day from which a quarter's figures count as revised."""
        return self.due_date(quarter) + dt.timedelta(days=self.config.calendar.revised_days)

    def final_day(self, quarter: Quarter) -> dt.date:
        """Day from which a quarter is final: what comes later needs somebody who lets it in."""
        return self.due_date(quarter) + dt.timedelta(days=self.config.calendar.final_days)

    def state_of(self, quarter: Quarter, day: dt.date) -> QuarterState:
        """What the revision calendar says of a quarter's figures on a day."""
        if day >= self.final_day(quarter):
            return "final"
        return "revised" if day >= self.revised_day(quarter) else "provisional"

    def today(self) -> dt.date:
        """The day in the study's zone, whatever the zone of the machine."""
        return self.day_of(dt.datetime.now(dt.UTC))

    def day_of(self, moment: dt.datetime) -> dt.date:
        """The day of a moment in the study's zone."""
        return moment.astimezone(ZoneInfo(self.config.study.timezone)).date()


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file; raises `InputRejected` naming the file and line."""
    if not path.is_file():
        raise InputRejected("the file is missing", where=path.name, fix=f"add it to {path.parent.name}/")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputRejected(str(error), where=path.name, fix="write valid UTF-8 TOML") from error


@cache  # a plan asks for the same instruments once per drop and unit
def _grains(path: Path, _changed: int) -> set[str]:
    return {str(spec.get("grain")) for spec in read_toml(path).get("files", {}).values()}


def read_reference_csv(path: Path, columns: list[str]) -> pd.DataFrame:
    """Read a reference table as text, nothing taken for missing; raises when a column is absent."""
    if not path.is_file():
        raise InputRejected(
            "the file is missing", where=f"reference/{path.name}", fix="see docs/tutorial for its columns"
        )
    frame = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    absent = [column for column in columns if column not in frame.columns]
    if absent:
        raise InputRejected(f"columns {absent} are missing", where=f"reference/{path.name}", fix=f"needs {columns}")
    return frame


def _chain(code: str, parents: dict[str, str]) -> tuple[str, ...]:
    chain: list[str] = []
    while code and code != NATION:
        chain.append(code)
        code = parents[code]
    return tuple(chain)


def _validated(path: Path) -> StudyConfig:
    try:
        return StudyConfig.model_validate(read_toml(path))
    except ValidationError as error:
        raise validation_error(error, StudyConfig, where=path.name) from error


def validation_error(error: ValidationError, model: type[BaseModel], *, where: str) -> UsageError:
    """Turn the first fault that pydantic found into one line with a suggestion."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        known = _keys_at(model, first["loc"][:-1])
        return UsageError(f"unknown key {key!r}", where=where, fix=did_you_mean(str(first["loc"][-1]), known))
    seen = "" if first["type"] == "missing" else f" (got {first['input']!r})"
    return UsageError(
        f"{key}: {first['msg']}{seen}", where=where, fix="jianfu config show prints every key with its default"
    )


def _keys_at(model: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    for part in path:
        field = model.model_fields.get(str(part))
        inner = field.annotation if field else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return []
        model = inner
    return list(model.model_fields)
