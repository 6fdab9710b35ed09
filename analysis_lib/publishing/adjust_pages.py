"""The page of what to adjust: a card for each reform, the answers behind it, scenarios, and the year to come."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from analysis_lib.figures import forecast
from analysis_lib.figures.svg import to_svg
from analysis_lib.monitoring.adjusting import BY_ADJUST, COST, CRITERIA
from analysis_lib.monitoring.forecasts import BY_SCORE, INNER_LEVEL, SCORES
from analysis_lib.publishing.adjust_words import advice, answer_word, forecast_words, number_of, record_words
from analysis_lib.publishing.charts import Chart, ChartMaker, Table
from analysis_lib.publishing.details import Section
from analysis_lib.publishing.forecast_rows import PUBLISHED, scored_forecasts
from analysis_lib.publishing.pages import (
    ADJUST,
    Report,
    download_links,
    reform_page,
    render_template,
    switch,
)
from analysis_lib.publishing.sentences import Writer, pick
from analysis_lib.publishing.titles import category_title
from analysis_lib.reforms import read_reforms
from analysis_lib.survey.scenarios import AFFECTED, BY_SCENARIO, OUTSIDE

MOST_FORECASTS = 24  # rows of the page; the download has every one


def render_adjust(report: Report, language: str) -> str:
    """What the declared rules recommend, with what they rest on, what a change might come to, and what is foreseen."""
    writer, tables = Writer(report.study, language), report.tables
    text, with_page = writer.text, {reform.id for reform in report.reforms}
    told = advice(tables["adjustments"], writer=writer) if "adjustments" in tables else []
    entries = [
        {
            "title": each.title,
            "text": each.text,
            "href": f"../{reform_page(each.reform.id)}/index.html" if each.reform.id in with_page else "../index.html",
            "more": text("reform.more", reform=each.reform.titles[language])
            if each.reform.id in with_page
            else text("behind.back"),
        }
        for each in told
    ]
    lists = AdjustLists(writer)
    charts = [AdjustMaker(writer, report.region, report.period).fan(report)]
    sections = [lists.answers(report), lists.scenarios(report), lists.record(report), lists.scores(report)]
    return render_template(
        "reform",
        report.study,
        language,
        finding=text("adjust.page_title", period=writer.labels.period(report.period)),
        lede=text("adjust.page_lede"),
        back={"href": "../index.html", "text": text("behind.back")},
        entries=entries,
        charts=[chart for chart in charts if chart],
        sections=[section for section in sections if section],
        switch=switch(report.study, language, 3, str(report.quarter), ADJUST),
        download=download_links(report, 3),
    )


@dataclass(frozen=True)
class AdjustMaker(ChartMaker):
    """Makes the chart of the year to come."""

    def fan(self, report: Report) -> Chart | None:
        """The nested measures as measured, and as foreseen; None without a forecast."""
        tables, settings = report.tables, self.writer.study.config.estimation
        if not {"series", "forecasts"} <= set(tables):
            return None
        frame = forecast.prepare_forecast(tables["series"], tables["forecasts"], settings.nested, **self._asked)
        if not frame["is_forecast"].any() or frame["value"].notna().sum() == 0:
            return None
        text, upper = self.writer.text, forecast.upper_end(frame)
        title = text("adjust.fan_title")
        panels = [
            to_svg(forecast.draw_forecast(part, upper=upper), id_prefix=f"fan{place}", title=str(name),
                   description=self._panel_words(str(name), part[part["is_forecast"]]))
            for place, (name, part) in enumerate(frame.groupby("panel", sort=False))
        ]  # fmt: skip
        foreseen = frame[frame["is_forecast"]]
        cells = foreseen.assign(cell=[self._with_interval(row) for row in foreseen.to_dict("records")])
        wide = cells.pivot(index="quarter", columns="panel", values="cell")[list(foreseen["panel"].unique())]
        rows = [[str(key), *map(str, row)] for key, row in zip(wide.index, wide.to_numpy(), strict=True)]
        said = forecast_words(tables["forecasts"], tables.get("forecast_scores"), writer=self.writer)
        # Where some have come, the record of published forecasts says so in a section of its own.
        waits = (
            "" if scored_forecasts(tables, level=settings.confidence_level) else record_words([], writer=self.writer)
        )
        subtitle = text("adjust.fan_subtitle", unit=self._unit_first(), level=self.writer.level)
        return Chart("fan", title, subtitle, panels, Table(title, [text("head.quarter"), *wide.columns], rows), "forecasts",
                     [line for line in (said, waits, text("adjust.fan_note")) if line])  # fmt: skip


@dataclass(frozen=True)
class AdjustLists:
    """Makes the tables of the page; each is None where there is nothing to show."""

    writer: Writer

    def answers(self, report: Report) -> Section | None:
        """Every question about each reform with its answer, the number behind it and the limit of the rule."""
        if "adjustments" not in report.tables:
            return None
        text, table = self.writer.text, report.tables["adjustments"].table
        found = {row["category"]: row for row in table[table["by"] == BY_ADJUST].to_dict("records")}
        rows = []
        for reform in read_reforms(self.writer.study):
            for name in (*CRITERIA, COST):
                row = found.get(f"{reform.id}.{name}")
                if row is not None:
                    title = text(
                        "effect.of_reform", reform=reform.titles[self.writer.language], what=text(f"adjust.{name}")
                    )
                    answer = answer_word(name, row["outcome"], self.writer)
                    rows.append([title, answer, number_of(row, self.writer), self._limit(row)])
        if not rows:
            return None
        head = [text("lasting.question"), text("head.outcome"), text("head.value"), text("adjust.limit")]
        return Section("answers", text("adjust.answers_subtitle", level=self.writer.level),
                       Table(text("adjust.answers_title"), head, rows, is_prose=True), "adjustments",
                       text("adjust.answers_lead"))  # fmt: skip

    def scenarios(self, report: Report) -> Section | None:
        """What the model of hours lost gives under each declared scenario, and how far that leaves what was seen."""
        if "scenarios" not in report.tables:
            return None
        text, labels, table = self.writer.text, self.writer.labels, report.tables["scenarios"].table
        table = table[table["by"] == BY_SCENARIO]
        found = {(row["category"], row["measure"]): row for row in table.to_dict("records")}
        rows = []
        for (name, measure), row in found.items():
            if name.endswith((f".{AFFECTED}", f".{OUTSIDE}")) or pd.isna(row["value"]):
                continue
            shares = [found.get((f"{name}.{part}", measure)) for part in (AFFECTED, OUTSIDE)]
            rows.append(
                [
                    text("effect.of_reform", reform=category_title(labels, text, BY_SCENARIO, name), what=labels.measure(measure)),
                    self.writer.with_interval(self.writer.amount(row["value"], row["unit"], signed=True), row),
                    *("" if each is None or pd.isna(each["value"]) else labels.number(each["value"], "share") for each in shares),
                ]
            )  # fmt: skip
        if not rows:
            return None
        head = [
            text("adjust.scenario"),
            text("adjust.association"),
            text("scenario.affected"),
            text("scenario.outside"),
        ]
        return Section("scenarios", text("adjust.scenarios_subtitle", level=self.writer.level),
                       Table(text("adjust.scenarios_title"), head, rows, is_prose=True), "scenarios",
                       text("adjust.scenarios_lead"))  # fmt: skip

    def record(self, report: Report) -> Section | None:
        """Forecasts as earlier releases published them, beside what came; the newest quarters first."""
        if PUBLISHED not in report.tables:
            return None
        text, labels = self.writer.text, self.writer.labels
        scored = scored_forecasts(report.tables, level=self.writer.study.config.estimation.confidence_level)
        newest = sorted(scored, key=lambda each: (each["period"], each["claimed_in"]), reverse=True)[:MOST_FORECASTS]
        rows = [
            [
                labels.measure(each["measure"]),
                labels.period(each["period"]),
                each["claimed_in"],
                self.writer.with_interval(labels.number(each["value"], each["unit"]), each),
                labels.number(each["came"], each["unit"]),
                *(text(f"adjust.{each[name]}") if each[name] else "" for name in ("score", "inner")),
            ]
            for each in newest
        ]
        levels = (self.writer.level, labels.number(INNER_LEVEL, "share"))
        head = [*(text(f"adjust.head_{name}") for name in ("measure", "period", "release", "foreseen", "came")),
                *(text("adjust.head_within", level=level) for level in levels)]  # fmt: skip
        lead = record_words(scored, writer=self.writer)
        return Section("record", text("adjust.record_subtitle"), Table(text("adjust.record_title"), head, rows), PUBLISHED,
                       lead) if rows else None  # fmt: skip

    def scores(self, report: Report) -> Section | None:
        """How forecasts of earlier quarters, made anew, fared."""
        if "forecast_scores" not in report.tables:
            return None
        text, labels, table = self.writer.text, self.writer.labels, report.tables["forecast_scores"]
        rows = []
        for measure in dict.fromkeys(table.table["measure"]):
            cells = [pick(table, measure=measure, category=name, period=None) for name in SCORES]
            rows.append([labels.measure(measure), *("" if each is None else labels.cell(each) for each in cells)])
        if not rows:
            return None
        head = [text("head.measure"), *(text(f"{BY_SCORE}.{name}") for name in SCORES)]
        return Section("scores", text("adjust.scores_subtitle"), Table(text("adjust.scores_title"), head, rows),
                       "forecast_scores")  # fmt: skip

    def _limit(self, row: dict) -> str:
        if pd.isna(row["margin"]):
            return ""
        is_share = row["unit"] == "share"
        return (
            self.writer.labels.number(row["margin"], "share")
            if is_share
            else self.writer.amount(row["margin"], row["unit"])
        )
