"""The page on what changed since the last release, and on the record of the suite's own claims."""

from __future__ import annotations

from dataclasses import dataclass

from analysis_lib.figures.movement import draw_movement, prepare_movement
from analysis_lib.figures.svg import to_svg
from analysis_lib.monitoring.change_account import LAST, MOVED, STEPS, THIS
from analysis_lib.monitoring.claims import Claim, Score
from analysis_lib.publishing import change_words
from analysis_lib.publishing.charts import Chart, ChartMaker, Table
from analysis_lib.publishing.claim_rows import PAST, scored_claims
from analysis_lib.publishing.details import Section, render_further
from analysis_lib.publishing.pages import CHANGES, Report
from analysis_lib.publishing.sentences import Writer
from analysis_lib.study import NATION

ACCOUNT = "change_account"
MOST_CLAIMS = 40  # rows of the page; the download has every claim
_Scored = tuple[str, Claim, Claim | None, Score]


def render_changes(report: Report, language: str) -> str:
    """The movement of the headline step by step, of the other measures and regions as a table, and the claims' record."""
    writer, tables = Writer(report.study, language), report.tables
    maker = MovementMaker(writer, report.region, report.period)
    headline = report.study.config.estimation.headline
    lead = change_words.movement(tables[ACCOUNT], headline, writer) if ACCOUNT in tables else ""
    sections = [maker.accounts(tables), maker.claims(tables)]
    return render_further(
        report, writer, CHANGES,
        writer.text("movement.page_title", period=writer.labels.period(report.period)),
        writer.text("movement.page_lede"),
        [(maker.movement(tables), lead)],
        sections=[section for section in sections if section],
    )  # fmt: skip


@dataclass(frozen=True)
class MovementMaker(ChartMaker):
    """Makes the chart and tables of the page; each is None where there is nothing to show."""

    def movement(self, tables: dict) -> Chart | None:
        """The headline from the value last published to the one of today."""
        if ACCOUNT not in tables:
            return None
        text, labels = self.writer.text, self.writer.labels
        headline = self.writer.study.config.estimation.headline
        titles = change_words.step_titles(self.writer.language, study=self.writer.study)
        frame = prepare_movement(tables[ACCOUNT], headline, titles, **self._asked)
        if frame.empty:
            return None
        title = text("movement.chart_title", title=labels.measure(headline))
        subtitle = text("movement.chart_subtitle", unit=self._unit_first(), place=labels.region(NATION), **self._when)
        panel = to_svg(
            draw_movement(frame), id_prefix="movement", title=title, description=self._panel_words("", frame)
        )
        notes = [change_words.step_note(outcome, self.writer) for outcome in frame["outcome"]]
        rows = self._table(title, text("head.part"), frame)
        table = Table(title, [*rows.head, text("movement.how")],
                      [[*row, note] for row, note in zip(rows.rows, notes, strict=True)])  # fmt: skip
        return Chart("movement", title, subtitle, [panel], table, ACCOUNT, [text("movement.note")])

    def accounts(self, tables: dict) -> Section | None:
        """Every account in a row: measure and place, last value, each step, value of today."""
        if ACCOUNT not in tables or tables[ACCOUNT].table.empty:
            return None
        text, labels, table = self.writer.text, self.writer.labels, tables[ACCOUNT].table
        titles, columns = (
            change_words.step_titles(self.writer.language, study=self.writer.study),
            [LAST, *STEPS, THIS, MOVED],
        )
        rows = []
        for (measure, region), found in table.groupby(["measure", "region"], sort=False):
            cells = {row["category"]: self._step(row) for row in found.to_dict("records")}
            name = text("alt.separator").join([labels.measure(str(measure)), labels.region(str(region))])
            rows.append([name, *(cells.get(step, "") for step in columns)])
        caption = text("movement.table_title")
        return Section("accounts", text("movement.table_subtitle", level=self.writer.level),
                       Table(caption, [text("head.measure"), *(titles[step] for step in columns)], rows), ACCOUNT)  # fmt: skip

    def claims(self, tables: dict) -> Section | None:
        """Earlier claims: those that no longer hold first, then the latest, with the word then and now."""
        found = scored_claims(tables, self.writer.study, self.period)
        if not found:
            return None
        text = self.writer.text
        rows = [
            [change_words.claim_text(claim, self.writer), release, change_words.word_text(claim, self.writer),
             change_words.word_text(now, self.writer), text(f"claims.{score}")]
            for release, claim, now, score in _shown(found)
        ]  # fmt: skip
        head = [text(f"claims.head_{name}") for name in ("claim", "release", "then", "now", "score")]
        return Section("claims", text("claims.subtitle"), Table(text("claims.title"), head, rows, is_prose=True), PAST,
                       change_words.record(tables, self.period, self.writer))  # fmt: skip

    def _step(self, row: dict) -> str:
        labels = self.writer.labels
        if row["category"] in (LAST, THIS) or row["value"] != row["value"]:
            return labels.cell(row)
        signed = labels.signed(row["value"], row["unit"])
        return (
            self.writer.with_interval(signed, row)
            if row["category"] == MOVED and row["ci_low"] == row["ci_low"]
            else signed
        )


def _shown(found: list[_Scored]) -> list[_Scored]:
    """Claims that do not hold, newest first, then those that do, as many as a page takes."""
    newest = sorted(found, key=lambda each: each[0], reverse=True)
    return sorted(newest, key=lambda each: each[3] == "held")[:MOST_CLAIMS]
