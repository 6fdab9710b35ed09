"""Titles of whatever a protected table holds: measures of the study, and numbers about the returns themselves."""

from __future__ import annotations

from analysis_lib.figures.drivers import term_title
from analysis_lib.figures.labels import Labels
from analysis_lib.measures import QuestionnaireMeasure
from analysis_lib.publishing.catalogue import Catalogue

OF_REFORMS = (
    "effect", "check", "event_time", "group_time", "exposure", "specification", "four_series", "compliance",
    "dose_response", "returned", "look", "relapse", "half_life", "persistence", "account", "moved",
)  # fmt: skip
WITHOUT = "without"  # `by` of the headline without those under a flag


def measure_title(labels: Labels, text: Catalogue, key: str) -> str:
    """Title of a measure, a count of returns, a flag, an index of answers, or a result of the list experiment."""
    if f"returns.{key}" in text.texts:
        return text(f"returns.{key}")
    for of_account in ("account", "moved"):  # parts of an account, and ways in which burden moves
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
    if by in OF_REFORMS:
        return _reform_title(labels, text, by, value)
    return term_title(by, value, labels) or labels.category(by, value)


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


def question_title(labels: Labels, column: str) -> str:
    """Title of the measure that is one question of the questionnaire; empty where there is none."""
    keys = [
        key
        for key, measure in labels.study.measures.items()
        if isinstance(measure, QuestionnaireMeasure) and measure.columns == [column]
    ]
    return labels.measure(keys[0]) if keys else ""
