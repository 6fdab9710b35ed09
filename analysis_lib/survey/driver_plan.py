"""Which answers and attributes hours lost are set against: ``reference/drivers.toml``, which a study may leave out."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from analysis_lib.errors import InputRejected, UsageError, did_you_mean
from analysis_lib.measures import made_from
from analysis_lib.study import Section, Study, read_toml, validation_error

Form = Literal["log", "identity"]
FILE = "drivers.toml"
RESERVED = {"constant", "quarter", "rest"}


class Term(Section):
    """A number with the step that its effect is told for, or categories told against one of them."""

    column: str = Field(description="a measure of the questionnaire, or a respondent column with categories")
    step: float = Field(1.0, gt=0, description="the change of a number that the effect is told for")
    reference: str = Field("", description="the category that the others are compared with; empty: a number")
    name_zh: str = Field(
        "", description="short name in Chinese; numbers need one, categories have that of their column"
    )
    name_en: str = Field("", description="short name in English")
    title_zh: str = Field("", description="what one step of a number is, in Chinese")
    title_en: str = Field("", description="what one step of a number is, in English")

    @model_validator(mode="after")
    def _a_number_has_its_words(self) -> Term:
        if not self.reference and not all([self.name_zh, self.name_en, self.title_zh, self.title_en]):
            raise ValueError("a number needs name_zh, name_en, and title_zh, title_en that say what one step is")
        return self


class DeclaredScenario(Section):
    """A change to reckon with, declared beforehand: what the model gives if answers were otherwise."""

    id: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$", description="short name, used in results")
    changes: str = Field(description='columns and how they change, such as "inspections_received=-50%"')
    title_zh: str = Field(description="what is changed, in Chinese")
    title_en: str = Field(description="the same in English")


class DriverPlan(Section):
    """The model of hours lost: outcomes side by side, the form of the mean, and the terms."""

    outcomes: list[str] = Field(min_length=1, description="measures in hours, each with a model of its own")
    form: Form = Field("log", description="log: effects multiply; identity: effects add up")
    terms: dict[str, Term] = Field(min_length=1)
    scenario: list[DeclaredScenario] = Field([], description="changes to reckon with on the page of what to adjust")

    @field_validator("terms")
    @classmethod
    def _names_are_free(cls, terms: dict[str, Term]) -> dict[str, Term]:
        taken = RESERVED & set(terms)
        if taken:
            raise ValueError(f"{sorted(taken)} cannot name a term: tables use these words")
        return terms


def read_drivers(study: Study) -> DriverPlan | None:
    """Read ``drivers.toml``; None where the study has none.

    Raises
    ------
    UsageError
        For an unknown key or a wrong value.
    InputRejected
        For an outcome that is no measure with a value per person, or a term made from the same answers as an outcome.
    """
    path = study.reference / FILE
    if not path.is_file():
        return None
    try:
        plan = DriverPlan.model_validate(read_toml(path))
    except ValidationError as error:
        raise validation_error(error, DriverPlan, where=FILE) from error
    ids = [each.id for each in plan.scenario]
    if len(set(ids)) < len(ids):
        raise InputRejected("two scenarios have the same id", where=FILE, fix="give each an id of its own")
    for key in plan.outcomes:
        if key not in study.measures:
            raise UsageError(f"{key!r} is not a measure", where=FILE, fix=did_you_mean(key, study.measures))
        if study.measures[key].kind not in ("diary", "questionnaire", "excess"):
            raise InputRejected(
                f"{key!r} has no value per person", where=FILE, fix="name a diary, questionnaire or excess measure"
            )
    for name, term in plan.terms.items():
        if term.column in {*plan.outcomes, *(part for key in plan.outcomes for part in made_from(study.measures[key]))}:
            raise InputRejected(f"term {name!r} is itself an outcome", where=FILE, fix="take it out of the terms")
    return plan
