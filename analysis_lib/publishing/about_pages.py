"""Pages about a quarter's figures: how they are made, and how good they are, by the headings of statistical offices."""

from __future__ import annotations

import pandas as pd

from analysis_lib.measures import CombinedMeasure
from analysis_lib.methods import NotebookMethod, method_record
from analysis_lib.publishing import behind
from analysis_lib.publishing.charts import Table
from analysis_lib.publishing.pages import METHODS, QUALITY, Report, design_line, quality_parts, switch
from analysis_lib.publishing.passages import Passage, render_passages
from analysis_lib.publishing.sentences import Writer, pick

_CHANGES = ("lower", "higher", "little_change", "cannot_tell")  # as the words of a change are chosen


def render_methods(report: Report, language: str) -> str:
    """The method of a release in words, the rule for words of change, and the version of each part."""
    study, writer = report.study, Writer(report.study, language)
    text, settings = writer.text, report.study.config.estimation
    unit = writer.labels.measures[settings.headline].unit
    values = {
        "level": writer.level,
        "smallest": writer.amount(settings.smallest_change, unit),
        "count": settings.pool_quarters,
    }
    asked = ["diary", "combined", "weights", "intervals", "words", "effects", "looks", "protection", "breaks"]
    if not isinstance(study.measures[settings.headline], CombinedMeasure):
        asked.remove("combined")
    if not report.reforms:
        asked = [each for each in asked if each not in ("effects", "looks")]
    more = {"weights": [design_line(report, writer)], "protection": quality_parts(report, writer)["rules"]}
    tables = {"words": _words(writer)}
    passages = [
        Passage(each, text(f"methods.{each}_title"), [text(f"methods.{each}", **values), *more.get(each, [])],
                table=tables.get(each))
        for each in asked
    ]  # fmt: skip
    measures = [[writer.labels.measure(key), writer.labels.why(key)] for key in settings.nested]
    named = Table(text("methods.measures_title"), [text("head.measure"), text("sheet.meaning")], measures, True)
    first = Passage("measures", text("methods.measures_title"), [text("methods.measures")], table=named)
    return render_passages(
        study,
        language,
        title=text("methods.title", period=writer.labels.period(report.period)),
        lede=text("methods.lede", number=report.number),
        passages=[first, *passages, _versions(writer)],
        switch=switch(study, language, 3, str(report.quarter), METHODS),
    )


def render_quality(report: Report, language: str) -> str:
    """Relevance, accuracy, timeliness, coherence, accessibility, burden, confidentiality and revisions of a quarter."""
    writer, calendar = Writer(report.study, language), report.study.config.calendar
    text, parts = writer.text, quality_parts(report, writer)
    end, due = map(writer.labels.day, (report.quarter.last_day, report.study.due_date(report.quarter)))
    told = {
        "relevance": [writer.labels.why(report.study.config.estimation.headline), *parts["use"]],
        "sampling": [*parts["design"], *_headline(report, writer)],
        "nonsampling": [*parts["returns"], *parts["answers"], *parts["risks"]],
        "timeliness": [text("quality_report.timeliness", end=end, due=due)],
        "coherence": [text("quality_report.coherence"), *_side_by_side(report, writer)],
        "comparability": [text("quality_report.comparability", first=calendar.first)],
        "accessibility": [text("quality_report.accessibility")],
        "burden": [line for line in [behind.own_burden(report.tables, writer)] if line],
        "confidentiality": parts["rules"],
        "revisions": [text("quality_report.revisions", revised=calendar.revised_days, final=calendar.final_days)],
    }
    return render_passages(
        report.study,
        language,
        title=text("quality_report.title", period=writer.labels.period(report.period)),
        lede=text("quality_report.lede"),
        passages=[
            Passage(name, text(f"quality_report.{name}_title"), [line for line in lines if line])
            for name, lines in told.items()
            if any(lines)
        ],
        switch=switch(report.study, language, 3, str(report.quarter), QUALITY),
    )


def _words(writer: Writer) -> Table:
    text = writer.text
    rows = [[text(f"methods.when_{word}"), text(f"change.word_{word}")] for word in _CHANGES]
    return Table(text("methods.words_title"), [text("methods.interval"), text("methods.word")], rows, is_prose=True)


def _versions(writer: Writer) -> Passage:
    text, language = writer.text, writer.language
    rows = [[part.titles[language], str(part.version), _changes(part, writer)] for part in method_record()]
    head = [text("methods.part"), text("methods.version"), text("methods.changed")]
    title = text("methods.versions_title")
    return Passage("versions", title, [text("methods.versions")], table=Table(title, head, rows, is_prose=True))


def _changes(part: NotebookMethod, writer: Writer) -> str:
    return " ".join(
        f"{writer.labels.day(each.date)} ({each.version}): {each.words[writer.language]}" for each in part.changes
    )


def _headline(report: Report, writer: Writer) -> list[str]:
    return [] if report.headline is None else [writer.value(report.headline)]


def _side_by_side(report: Report, writer: Writer) -> list[str]:
    """One quantity as recalled, by diary and combined: what agrees, and what does not."""
    if "hours" not in report.tables:
        return []
    keys = report.study.config.estimation.side_by_side
    rows = [pick(report.tables["hours"], measure=key, region=report.region, period=report.period) for key in keys]
    return [writer.value(row) for row in rows if row is not None and pd.notna(row["value"])]
