"""Measures as data: what each is called, its unit, and how it is made from the tidy tables."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from analysis_lib.errors import InputRejected

Unit = Literal["hours_week", "hours_day", "share", "count", "score", "fte"]
DAYS_PER_WEEK = 7


class _Measure(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    title_zh: str
    title_en: str
    unit: Unit = "hours_week"
    low_is_good: bool | None = None
    why_zh: str = ""
    why_en: str = ""
    universe: dict[str, list[str]] = Field(default_factory=dict, description="respondents described: column → values")
    among: Literal["all", "participants"] = "all"
    is_listed: bool = Field(
        default=True, description="whether tables of every measure hold it; accounts read the others too"
    )


class DiaryMeasure(_Measure):
    """Hours of diary time: of activity groups or of code prefixes, under conditions on the episode."""

    kind: Literal["diary"] = "diary"
    groups: list[str] = Field(default_factory=list, description="activity groups of activities.csv")
    include: list[str] = Field(default_factory=list, description="activity code prefixes")
    exclude: list[str] = Field(default_factory=list, description="code prefixes taken out again")
    role: Literal["main", "secondary"] = "main"
    only: list[Literal["avoidable", "out_of_hours"]] = Field(default_factory=list)
    required_by: list[str] = Field(
        default_factory=list, description="who required an episode, as the instrument codes it; an empty text is unsaid"
    )
    media: list[str] = Field(
        default_factory=list, description="by what an episode was done, as the instrument codes it; likewise"
    )


class QuestionnaireMeasure(_Measure):
    """Sum of answers of the questionnaire; missing when any of them is missing."""

    kind: Literal["questionnaire"] = "questionnaire"
    columns: list[str] = Field(min_length=1)
    factor: float = Field(1.0, gt=0, description="what the sum is multiplied by; 0.01 turns per cent into shares")


class ExcessMeasure(_Measure):
    """``max(0, of − acceptable)`` per respondent."""

    kind: Literal["excess"] = "excess"
    of: str = Field(description="a diary or questionnaire measure")
    acceptable: str = Field(description="questionnaire column in the same unit")


class CombinedMeasure(_Measure):
    """A diary measure combined with what everybody answered: two phases, one estimate (double sampling)."""

    kind: Literal["combined"] = "combined"
    of: str = Field(description="a diary measure")
    beyond: str = Field("", description="questionnaire measure of reasonable hours: max(0, of − beyond) is estimated")
    on: list[str] = Field(min_length=1, description="questionnaire measures that the diaries are fitted on")
    within: list[str] = Field(default_factory=list, description="respondent columns; each category has its own fit")
    min_diaries: int = Field(30, ge=10, description="diaries that a fit needs; below, groups share one")

    @property
    def parts(self) -> tuple[str, str]:
        """Columns of the hours that fall on weekdays and on weekend days; read where ``beyond`` is set."""
        return f"{self.of}_on_weekdays", f"{self.of}_on_weekends"


class ShareMeasure(_Measure):
    """Ratio of two measures' totals; never the mean of ratios."""

    kind: Literal["ratio"] = "ratio"
    unit: Unit = "share"
    numerator: str
    denominator: str


class ParticipationMeasure(_Measure):
    """Share of respondents (or person-days) with any time in another measure."""

    kind: Literal["participation"] = "participation"
    unit: Unit = "share"
    of: str


class FullTimeEquivalents(_Measure):
    """Total hours of a measure divided by the hours of a standard week."""

    kind: Literal["full_time_equivalents"] = "full_time_equivalents"
    unit: Unit = "fte"
    of: str


Measure = (
    DiaryMeasure
    | QuestionnaireMeasure
    | ExcessMeasure
    | CombinedMeasure
    | ShareMeasure
    | ParticipationMeasure
    | FullTimeEquivalents
)
_ADAPTER: TypeAdapter[Measure] = TypeAdapter(Annotated[Measure, Field(discriminator="kind")])


def parse_measures(tables: dict[str, Any], *, where: str) -> dict[str, Measure]:
    """Read the tables of ``measures.toml``: one per measure, its key in the header.

    Raises
    ------
    InputRejected
        For an unknown key, kind or unit, or a reference to a measure that is not there.
    """
    measures: dict[str, Measure] = {}
    for key, table in tables.items():
        try:
            measures[key] = _ADAPTER.validate_python({"kind": "diary", **table, "key": key})
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"][1:]) or key
            raise InputRejected(f"[{key}] {place}: {first['msg']}", where=where, fix="see docs/methods.md") from error
    for measure in measures.values():
        for other in made_from(measure):
            if other not in measures:
                raise InputRejected(
                    f"[{measure.key}] refers to {other!r}, which is not a measure", where=where, fix="define it first"
                )
        if fault := _misfit(measure, measures):
            raise InputRejected(f"[{measure.key}] {fault}", where=where, fix="see docs/methods.md, two instruments")
    return measures


def _misfit(measure: Measure, measures: dict[str, Measure]) -> str:
    """What does not go together in a measure made from others; empty when all does."""
    if isinstance(measure, CombinedMeasure):
        asked = [measures[key] for key in [*measure.on, *filter(None, [measure.beyond])]]
        if not isinstance(measures[measure.of], DiaryMeasure):
            return f"of: {measure.of!r} is not a diary measure"
        if not all(isinstance(answer, QuestionnaireMeasure) for answer in asked):
            return "on, beyond: name questionnaire measures"
        if len({measure.unit, measures[measure.of].unit, *(measures[key].unit for key in [measure.beyond] if key)}) > 1:
            return "its unit differs from that of the measures that it combines"
        if measure.among != "all":
            return "among: everybody is described by a combined measure"
    if isinstance(measure, ShareMeasure):
        two = [measures[measure.numerator], measures[measure.denominator]]
        if any(isinstance(side, CombinedMeasure) for side in two) and any(needs_diary(side, measures) for side in two):
            return "numerator and denominator: combine both, or neither"
    if isinstance(measure, ExcessMeasure | ParticipationMeasure) and isinstance(measures[measure.of], CombinedMeasure):
        return "of: a combined measure says nothing about a single respondent"
    return ""


def made_from(measure: Measure) -> list[str]:
    """Keys of the measures that a measure is computed from."""
    if isinstance(measure, ShareMeasure):
        return [measure.numerator, measure.denominator]
    if isinstance(measure, ExcessMeasure | ParticipationMeasure | FullTimeEquivalents):
        return [measure.of]
    if isinstance(measure, CombinedMeasure):
        return [measure.of, *measure.on, *filter(None, [measure.beyond])]
    return []


def listed(measures: dict[str, Measure]) -> list[str]:
    """Keys of the measures that tables of every measure hold, in their order."""
    return [key for key, each in measures.items() if each.is_listed]


def by_requirer(measures: dict[str, Measure]) -> list[str]:
    """Keys of the measures that divide hours by who required them, in their order."""
    return [key for key, each in measures.items() if isinstance(each, DiaryMeasure) and each.required_by]


def by_diary(key: str, measures: dict[str, Measure]) -> str:
    """The diary measure behind a combined one; any other measure is itself."""
    measure = measures[key]
    return measure.of if isinstance(measure, CombinedMeasure) else key


def needs_diary(measure: Measure, measures: dict[str, Measure]) -> bool:
    """Whether a measure rests on the diary subsample alone, and so on its weight."""
    if isinstance(measure, DiaryMeasure | CombinedMeasure):
        return isinstance(measure, DiaryMeasure)
    return any(needs_diary(measures[key], measures) for key in made_from(measure))
