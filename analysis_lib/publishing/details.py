"""The further pages of a quarter: how the estimate is made, whether the returns can be trusted, and the smaller places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from analysis_lib.disclosure.policy import CHANGE_ARROW
from analysis_lib.figures import areas, drivers, instruments, requirers, waterfall
from analysis_lib.figures.labels import NO_CATEGORY
from analysis_lib.figures.svg import to_svg
from analysis_lib.measures import by_diary
from analysis_lib.publishing import behind
from analysis_lib.publishing.charts import Chart, ChartMaker, Table
from analysis_lib.publishing.pages import (
    AREAS,
    DETAILS,
    RETURNS,
    Report,
    activities_table,
    download_links,
    render_template,
    switch,
)
from analysis_lib.publishing.sentences import Writer, pick
from analysis_lib.publishing.titles import WITHOUT, measure_title, question_title
from analysis_lib.quality.flags import ANY, SIGNS
from analysis_lib.quality.heaping import BASES
from analysis_lib.survey.list_experiment import RESULTS


@dataclass(frozen=True)
class Section:
    """A table of the page with what is said of it.

    Attributes
    ----------
    id : str
        Anchor on the page.
    subtitle, lead : str
        What the numbers are; a sentence of what they say, or nothing.
    """

    id: str
    subtitle: str
    table: Table
    download: str
    lead: str = ""


def render_details(report: Report, language: str) -> str:
    """How the national estimate is made, and what it goes with."""
    writer, tables = Writer(report.study, language), report.tables
    maker = DetailMaker(writer, report.region, report.period)
    charts = [
        (maker.instruments(tables), behind.instruments(tables, writer)),
        (maker.requirers(tables), ""),
        (maker.drivers(tables), behind.drivers(tables, writer)),
        (maker.parts(tables), behind.parts(tables, writer)),
        (maker.bottom_up(tables), behind.bottom_up(tables, writer)),
    ]
    title = writer.labels.measure(report.study.config.estimation.headline)
    finding = writer.text("behind.page_title", title=title, period=writer.labels.period(report.period))
    return render_further(report, writer, DETAILS, finding, writer.text("behind.page_lede"), charts,
                   activities=activities_table(report, writer))  # fmt: skip


def render_returns(report: Report, language: str) -> str:
    """Who answered, which returns are in doubt, and what the survey itself took."""
    writer, tables = Writer(report.study, language), report.tables
    maker, lists = DetailMaker(writer, report.region, report.period), TableMaker(writer)
    finding = writer.text("behind.returns_title", period=writer.labels.period(report.period))
    charts = [(maker.response(tables["response"]) if "response" in tables else None, "")]
    sections = [lists.flags(tables), lists.recall(tables), lists.heaping(tables), lists.coping(tables),
                lists.own_burden(tables)]  # fmt: skip
    return render_further(report, writer, RETURNS, finding, writer.text("behind.returns_lede"), charts,
                   sections=[section for section in sections if section])  # fmt: skip


def render_areas(report: Report, language: str) -> str:
    """Small areas, with what kind of estimate each shows."""
    writer = Writer(report.study, language)
    maker = DetailMaker(writer, report.region, report.period)
    finding = writer.text("behind.areas_title", period=writer.labels.period(report.period))
    charts = [(maker.counties(report.tables), behind.counties(report.tables, writer))]
    return render_further(report, writer, AREAS, finding, writer.text("behind.areas_lede"), charts,
                   others=maker.other_counties(report.tables))  # fmt: skip


def render_further(
    report: Report,
    writer: Writer,
    page: str,
    finding: str,
    lede: str,
    charts: list[tuple[Chart | None, str]],
    *,
    activities: dict[str, object] | None = None,
    others: Table | None = None,
    sections: Sequence[Section] = (),
) -> str:
    """A further page: its finding, charts with a sentence each, and tables."""
    return render_template(
        "details",
        report.study,
        writer.language,
        finding=finding,
        lede=lede,
        charts=[{"chart": chart, "lead": lead} for chart, lead in charts if chart],
        activities=activities,
        others=others,
        sections=sections,
        switch=switch(report.study, writer.language, 3, str(report.quarter), page),
        download=download_links(report, 3),
    )


@dataclass(frozen=True)
class DetailMaker(ChartMaker):
    """Makes the charts of the second page; each is None where there is nothing to draw."""

    def instruments(self, tables: behind.Tables) -> Chart | None:
        """Memory, diaries and both combined."""
        if "hours" not in tables:
            return None
        frame = instruments.prepare_instruments(tables["hours"], **self._asked, region=self.region, period=self.period)
        if len(frame) < 2:
            return None
        text = self.writer.text
        title = text("behind.instruments_title")
        subtitle = text("behind.instruments_subtitle", unit=self._unit_first(), place=self._place, **self._when)
        panel = to_svg(instruments.draw_instruments(frame), id_prefix="instruments", title=title,
                       description=self._panel_words("", frame))  # fmt: skip
        people = [
            "" if pd.isna(number) else self.writer.labels.number(number, "count", "count") for number in frame["n"]
        ]
        table = self._table(title, text("head.way"), frame)
        table = Table(
            title, [*table.head, text("head.n")], [[*row, n] for row, n in zip(table.rows, people, strict=True)]
        )
        return Chart("instruments", title, subtitle, [panel], table, tables["hours"].name,
                     [text("behind.instruments_note")])  # fmt: skip

    def requirers(self, tables: behind.Tables) -> Chart | None:
        """Hours by who required them."""
        if "hours" not in tables:
            return None
        frame = requirers.prepare_requirers(tables["hours"], **self._asked, region=self.region, period=self.period)
        if frame["value"].notna().sum() == 0:
            return None
        text = self.writer.text
        title = text("behind.requirers_title")
        subtitle = text("behind.requirers_subtitle", unit=self._unit_first(), place=self._place, **self._when)
        panel = to_svg(requirers.draw_requirers(frame), id_prefix="requirers", title=title,
                       description=self._panel_words("", frame))  # fmt: skip
        return Chart("requirers", title, subtitle, [panel], self._table(title, text("head.measure"), frame),
                     tables["hours"].name, [text("behind.requirers_note")])  # fmt: skip

    def drivers(self, tables: behind.Tables) -> Chart | None:
        """Differences per step of each term, a panel for each outcome."""
        if "drivers" not in tables:
            return None
        frame = drivers.prepare_drivers(tables["drivers"], **self._asked)
        if frame["value"].notna().sum() == 0:
            return None
        text = self.writer.text
        period = str(tables["drivers"].table["period"].max())
        subtitle = text("behind.drivers_subtitle", unit=self._unit(), place=self._place,
                        period=self.writer.labels.period(period), level=self.writer.level)  # fmt: skip
        return self._about_zero("drivers", frame, subtitle, tables["drivers"].name, text("head.term"))

    def parts(self, tables: behind.Tables) -> Chart | None:
        """What a change is made of, a panel for each outcome."""
        if "parts" not in tables or tables["parts"].table.empty:
            return None
        table = tables["parts"].table
        frame = drivers.prepare_all_parts(tables["parts"], **self._asked)
        if frame["value"].notna().sum() == 0:
            return None
        base = self.writer.base(table.iloc[0])
        subtitle = self.writer.text("behind.parts_subtitle", unit=self._unit(), place=self._place, base=base,
                                    level=self.writer.level)  # fmt: skip
        return self._about_zero("parts", frame, subtitle, tables["parts"].name, self.writer.text("head.part"))

    def counties(self, tables: behind.Tables) -> Chart | None:
        """The first measure of small areas, a panel for each region above."""
        measures = self.writer.study.config.small_areas.measures
        if "areas" not in tables or not measures:
            return None
        frame = areas.prepare_areas(tables["areas"], measures[0], **self._asked)
        if frame["value"].notna().sum() == 0:
            return None
        text, labels = self.writer.text, self.writer.labels
        title = text("behind.counties_title", title=labels.measure(measures[0]))
        subtitle = text("behind.counties_subtitle", title=labels.measure(measures[0]), unit=self._unit(), **self._when)
        upper = areas.upper_end(frame)
        panels = [
            to_svg(areas.draw_areas(part, upper=upper), id_prefix=f"counties{place}", title=str(name),
                   description=self._panel_words(str(name), part))
            for place, (name, part) in enumerate(frame.groupby("panel", sort=False))
        ]  # fmt: skip
        table = self._table(title, text("head.place"), frame)
        weights = ["" if pd.isna(weight) else f"{weight:.2f}" for weight in frame["shrinkage"]]
        rows = [[*row, kind, weight] for row, kind, weight in zip(table.rows, frame["kind_text"], weights, strict=True)]
        table = Table(title, [*table.head, text("head.kind"), text("head.shrinkage")], rows)
        return Chart("counties", title, subtitle, panels, table, tables["areas"].name, [text("behind.counties_note")])

    def other_counties(self, tables: behind.Tables) -> Table | None:
        """The other measures of small areas: value, kind and weight of the own diaries in one cell."""
        keys = self.writer.study.config.small_areas.measures[1:]
        if "areas" not in tables or not keys:
            return None
        frames = {key: areas.prepare_areas(tables["areas"], key, **self._asked) for key in keys}
        frames = {key: frame for key, frame in frames.items() if not frame.empty}
        if not frames:
            return None
        cells = [
            [row["text"] if pd.isna(row["value"]) else f"{row['text']} {row['kind_text']} {row['shrinkage']:.2f}"
             for row in frame.to_dict("records")]
            for frame in frames.values()
        ]  # fmt: skip
        names = next(iter(frames.values()))["label"]
        head = [self.writer.text("head.place"), *(self.writer.labels.measure(key) for key in frames)]
        rows = [[str(name), *values] for name, *values in zip(names, *cells, strict=True)]
        return Table(self.writer.text("behind.counties_others"), head, rows)

    def bottom_up(self, tables: behind.Tables) -> Chart | None:
        """From counted items to the diaries."""
        if "bottom_up" not in tables:
            return None
        frame = waterfall.prepare_waterfall(tables["bottom_up"], **self._asked, region=self.region)
        if frame["value"].notna().sum() < 2:
            return None
        text = self.writer.text
        title = text("behind.bottom_up_title")
        subtitle = text("behind.bottom_up_subtitle", unit=self._unit_first(), place=self._place, **self._when)
        panel = to_svg(waterfall.draw_waterfall(frame), id_prefix="bottom-up", title=title,
                       description=self._panel_words("", frame))  # fmt: skip
        return Chart("bottom-up", title, subtitle, [panel], self._table(title, text("head.part"), frame),
                     tables["bottom_up"].name, [text("behind.bottom_up_note")])  # fmt: skip

    @property
    def _place(self) -> str:
        return self.writer.labels.region(self.region)

    def _about_zero(self, name: str, frame: pd.DataFrame, subtitle: str, download: str, first: str) -> Chart:
        """A chart of differences: panels of one family on one axis, and a table with a column for each."""
        title = self.writer.text(f"behind.{name}_title")
        bounds = frame[["value", "ci_low", "ci_high"]].fillna(0.0).to_numpy(float)
        limits = (min(0.0, bounds.min()), max(0.0, bounds.max()))
        panels = [
            to_svg(drivers.draw_drivers(part, limits=limits), id_prefix=f"{name}{place}", title=str(outcome),
                   description=self._panel_words(str(outcome), part))
            for place, (outcome, part) in enumerate(frame.groupby("panel", sort=False))
        ]  # fmt: skip
        cells = frame.assign(cell=[self._with_interval(row) for _, row in frame.iterrows()])
        wide = cells.pivot(index="label", columns="panel", values="cell").reindex(
            index=list(frame["label"].unique()), columns=list(frame["panel"].unique())
        )
        rows = [[str(label), *("" if pd.isna(cell) else str(cell) for cell in row)] for label, row in wide.iterrows()]
        table = Table(title, [first, *wide.columns], rows)
        return Chart(name, title, subtitle, panels, table, download, [self.writer.text(f"behind.{name}_note")])


@dataclass(frozen=True)
class TableMaker:
    """Makes the tables on trust; each is None where there is nothing to show."""

    writer: Writer

    def flags(self, tables: behind.Tables) -> Section | None:
        """Share of returns under each sign, and what leaving them out does to the headline."""
        if "flags" not in tables or tables["flags"].table.empty:
            return None
        text, labels = self.writer.text, self.writer.labels
        moves = {}
        if "flag_effects" in tables:
            found = tables["flag_effects"].table
            found = found[(found["by"] == WITHOUT) & found["period"].str.contains(CHANGE_ARROW)]
            moves = {str(row["category"]): row for _, row in found.iterrows()}
        rows = []
        for name in [*SIGNS, ANY]:
            share = pick(tables["flags"], measure=f"flag_{name}")
            if share is not None:
                cells = [self._cell(share), self._cell(moves[name], signed=True) if name in moves else ""]
                rows.append([text(f"flag.{name}"), *cells])
        caption = text("behind.flags_title")
        head = [text("head.flag"), text("head.flagged"), text("head.move")]
        measure = by_diary(self.writer.study.config.estimation.headline, labels.measures)
        subtitle = text("behind.flags_subtitle", title=labels.measure(measure), unit=labels.unit("hours_week"))
        return Section("flags", subtitle, Table(caption, head, rows), "flags", behind.doubts(tables, self.writer))

    def recall(self, tables: behind.Tables) -> Section | None:
        """Recalled over diary hours, for everybody and by category."""
        if "recall" not in tables or tables["recall"].table.empty:
            return None
        text, labels = self.writer.text, self.writer.labels
        rows = []
        for _, row in tables["recall"].table.iterrows():
            title = labels.measure(row["measure"].removeprefix("recall_ratio_"))
            group = labels.category(row["by"], row["category"]) if row["category"] else labels.region(row["region"])
            rows.append([f"{title}{text('alt.separator')}{group}", self._cell(row)])
        caption = text("behind.ratio_title")
        return Section("recall", text("behind.ratio_subtitle"),
                       Table(caption, [text("head.measure"), text("head.rate")], rows), "recall")  # fmt: skip

    def heaping(self, tables: behind.Tables) -> Section | None:
        """Whipple's index of the questions that are a measure of the study."""
        if "heaping" not in tables or tables["heaping"].table.empty:
            return None
        text = self.writer.text
        table = tables["heaping"].table
        cells = {(row["measure"], row["category"]): self._cell(row) for _, row in table.iterrows()}
        bases = [f"{base:g}" for base in BASES]
        named = {
            key: question_title(self.writer.labels, key.removeprefix("heaping_")) for key in table["measure"].unique()
        }
        rows = [[title, *(cells.get((key, base), "") for base in bases)] for key, title in named.items() if title]
        if not rows:
            return None
        head = [text("head.question"), *(text("head.base", base=base) for base in bases)]
        caption = text("behind.heaping_title")
        return Section("heaping", text("behind.heaping_subtitle"), Table(caption, head, rows), "heaping")

    def coping(self, tables: behind.Tables) -> Section | None:
        """The list experiment with its tests."""
        if "coping" not in tables or tables["coping"].table.empty:
            return None
        text = self.writer.text
        key = self.writer.study.config.list_experiment.key
        found = {str(row["measure"]): row for _, row in tables["coping"].table.iterrows()}
        rows = [
            [text(f"list.{name}"), self._cell(found[f"{key}_{name}"])]
            for name in [*RESULTS]
            if f"{key}_{name}" in found
        ]
        pooled = [period for period in tables["coping"].table["period"] if CHANGE_ARROW not in period]
        caption = text("behind.coping_title")
        return Section("coping", text("behind.coping_subtitle", period=self.writer.labels.period(str(pooled[0]))),
                       Table(caption, [text("head.result"), text("head.rate")], rows), "coping",
                       behind.coping(tables, self.writer))  # fmt: skip

    def own_burden(self, tables: behind.Tables) -> Section | None:
        """What the survey took from those who answered."""
        if "own_burden" not in tables or tables["own_burden"].table.empty:
            return None
        text, labels = self.writer.text, self.writer.labels
        rows = [
            [measure_title(labels, text, row["measure"]), labels.cell(row)]
            for _, row in tables["own_burden"].table.iterrows()
            if row["by"] == NO_CATEGORY
        ]
        caption = text("behind.own_title")
        return Section("own-burden", text("behind.own_subtitle"),
                       Table(caption, [text("head.measure"), text("head.value")], rows), "own_burden",
                       behind.own_burden(tables, self.writer))  # fmt: skip

    def _cell(self, row: pd.Series, *, signed: bool = False) -> str:
        """A number with its interval and its mark."""
        labels = self.writer.labels
        text = labels.cell(row)
        if pd.isna(row["value"]):
            return text
        if signed:
            text = labels.signed(row["value"], row["unit"])
        return text if pd.isna(row["ci_low"]) else self.writer.with_interval(text, row)
