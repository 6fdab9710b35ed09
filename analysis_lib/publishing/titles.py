"""Titles of whatever a protected table holds: measures of the study, and numbers about the returns themselves."""

from __future__ import annotations

from analysis_lib.figures.drivers import term_title
from analysis_lib.figures.labels import Labels
from analysis_lib.measures import QuestionnaireMeasure
from analysis_lib.monitoring.change_account import BY_ACCOUNT
from analysis_lib.monitoring.forecasts import BY_FORECAST, BY_INNER, BY_PUBLISHED, BY_PUBLISHED_INNER
from analysis_lib.monitoring.guardrails import BY_GUARDRAIL, BY_VERDICT, LATELY, QUESTIONS, YOUNG_GUARDS
from analysis_lib.publishing.catalogue import Catalogue
from analysis_lib.survey.attrition import BY_AGE_DIFFERENCE, BY_STAYING
from analysis_lib.survey.driver_plan import read_drivers
from analysis_lib.survey.scales import BY_INVARIANCE, BY_ITEM
from analysis_lib.survey.scenarios import BY_SCENARIO

OF_REFORMS = (
    "effect", "check", "event_time", "group_time", "exposure", "specification", "four_series", "compliance",
    "dose_response", "returned", "look", "relapse", "half_life", "persistence", "account", "moved", "log_ratio", "adjust",
)  # fmt: skip
GUARDED = (*QUESTIONS, "leave_intention", "leaving", "staying", "relapse")  # no measures of a study
OF_GUARDRAILS = (BY_VERDICT, BY_GUARDRAIL, BY_INVARIANCE, BY_ITEM, BY_STAYING, BY_AGE_DIFFERENCE)
WITHOUT = "without"  # `by` of the headline without those under a flag


def measure_title(labels: Labels, text: Catalogue, key: str) -> str:
    """Title of a measure, a count of returns, a flag, an index of answers, or a result of the list experiment."""
    if f"returns.{key}" in text.texts:
        return text(f"returns.{key}")
    if title := _guard_title(labels, text, key):
        return title
    for of_account in ("account", "moved", "log_ratio"):  # parts of an account, ways in which burden moves, balances
        if key not in labels.measures and f"{of_account}.{key}" in text.texts:
            return text(f"{of_account}.{key}")
    if key.startswith("flag_"):
        return text(f"flag.{key.removeprefix('flag_')}")
    if key.startswith("recall_ratio_"):
        return text("returns.recall_ratio", title=labels.measure(key.removeprefix("recall_ratio_")))
    if key.startswith("heaping_"):
        question = key.removeprefix("heaping_")
        return text("returns.heaping", title=question_title(labels, question) or question)
    list_key = f"{labels.study.config.list_experiment.key}_"
    if key.startswith(list_key) and f"list.{key.removeprefix(list_key)}" in text.texts:
        return text(f"list.{key.removeprefix(list_key)}")
    return labels.measure(key)


def category_title(labels: Labels, text: Catalogue, by: str, value: str) -> str:
    """Name of a category, of a term of the models, or of the flag whose returns are left out."""
    if by == WITHOUT and value:
        return text(f"flag.{value}")
    if by == BY_ACCOUNT:
        return text(f"movement.{value}")
    if by in OF_REFORMS:
        return _reform_title(labels, text, by, value)
    if by in OF_GUARDRAILS:
        return _guarded_title(labels, text, by, value)
    if by in (BY_FORECAST, BY_INNER):
        made_in, _, ahead = value.partition(".")
        return text(f"{by}.made_in", period=labels.period(made_in), ahead=ahead)
    if by in (BY_PUBLISHED, BY_PUBLISHED_INNER):
        ahead, _, release = value.partition(".")
        return text(f"{by}.said_in", release=release, ahead=ahead)
    if f"{by}.{value}" in text.texts and by == "forecast_score":
        return text(f"{by}.{value}")
    if by == BY_SCENARIO:
        return _scenario_title(labels, text, value)
    return term_title(by, value, labels) or labels.category(by, value)


def _scenario_title(labels: Labels, text: Catalogue, value: str) -> str:
    """Title of a declared scenario, or the changes as they were asked, and what the row says of it."""
    name, _, part = value.rpartition(".")
    if f"scenario.{part}" not in text.texts:
        name, part = value, ""
    plan = read_drivers(labels.study)
    titles = {each.id: getattr(each, f"title_{labels.language}") for each in (plan.scenario if plan else [])}
    title = titles.get(name, name)
    return text("effect.of_reform", reform=title, what=text(f"scenario.{part}")) if part else title


def _reform_title(labels: Labels, text: Catalogue, by: str, value: str) -> str:
    """Title of the reform, and what follows it in the category: words where there are any, else as it stands."""
    reform, _, rest = value.partition(".")
    parts = [_part_title(labels, text, by, part) for part in rest.split(".")]
    return text(
        "effect.of_reform",
        reform=labels.reform_titles.get(reform) or _part_title(labels, text, by, reform),
        what=text("alt.separator").join(parts),
    )


def _part_title(labels: Labels, text: Catalogue, by: str, part: str) -> str:
    if f"{by}.{part}" in text.texts:
        return text(f"{by}.{part}")
    return labels.measure(part) if part in labels.measures else part


def _guard_title(labels: Labels, text: Catalogue, key: str) -> str:
    """Title of a question, a change of the young, a recent change or a scale's number; empty for anything else."""
    if key in labels.measures:
        return ""
    if key in GUARDED:
        return text(f"guard.{key}")
    if f"guard.measure_{key}" in text.texts:  # a distinction names it though the study does not measure it
        return text(f"guard.measure_{key}")
    if key.endswith(LATELY):
        return text("guard.of_late", title=labels.measure(key.removesuffix(LATELY)))
    guarded = labels.study.config.guardrails
    for guard in YOUNG_GUARDS:
        if key == f"{guard}_{guarded.young}":
            return text(
                "guard.gap_of_group" if guard.endswith("_gap") else "guard.of_group",
                title=text(f"guard.{guard.removesuffix('_gap')}"),
                group=labels.category(guarded.age, guarded.young),
            )
    for scale in labels.study.config.scales:
        if key == scale.key:
            return str(getattr(scale, f"title_{labels.language}"))
        for number in ("alpha", "omega", "item_rest"):
            if key == f"{scale.key}_{number}":
                return text(f"guard.{number}", scale=getattr(scale, f"title_{labels.language}"))
    return ""


def _guarded_title(labels: Labels, text: Catalogue, by: str, value: str) -> str:
    """Name of a distinction or its indicator, an item, a group of age, or what was compared for a scale."""
    age = labels.study.config.guardrails.age
    first, _, rest = value.partition(".")
    if by == BY_GUARDRAIL:
        return text("guard.of_group", title=text(f"guard.{first}"), group=measure_title(labels, text, rest))
    if by == BY_VERDICT:
        return text(f"guard.{value}")
    if by == BY_STAYING:
        return text("guard.asked_again", group=labels.category(age, first), time=rest)
    if by == BY_AGE_DIFFERENCE:
        return labels.category(age, value)
    if by == BY_ITEM:
        return item_title(labels, value)
    parts = [
        text(f"guard.{each}") if f"guard.{each}" in text.texts else item_title(labels, each) for each in rest.split(".")
    ]
    compared = text("guard.quarter") if first == "quarter" else labels.column(first)
    return text("guard.of_group", title=compared, group=text("alt.separator").join(parts))


def item_title(labels: Labels, item: str) -> str:
    """What an item of a scale says; its column where the study does not tell."""
    for scale in labels.study.config.scales:
        names = getattr(scale, f"items_{labels.language}")
        if item in scale.items and names:
            return str(names[scale.items.index(item)])
    return item


def question_title(labels: Labels, column: str) -> str:
    """Title of the measure that is one question of the questionnaire; empty where there is none."""
    keys = [
        key
        for key, measure in labels.study.measures.items()
        if isinstance(measure, QuestionnaireMeasure) and measure.columns == [column]
    ]
    return labels.measure(keys[0]) if keys else ""
