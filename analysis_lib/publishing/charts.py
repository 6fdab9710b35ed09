"""The charts of a page: each a finding, a statistical subtitle, panels as SVG, a table and a file to download."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from analysis_lib.disclosure.policy import POOLED_DASH
from analysis_lib.disclosure.protect import ProtectedTable
from analysis_lib.figures import comparison, nested, response, trend, working_week
from analysis_lib.figures.labels import NO_CATEGORY
from analysis_lib.figures.svg import to_svg
from analysis_lib.measures import by_requirer
from analysis_lib.publishing.sentences import Writer, compare_word, largest_groups, pick
from analysis_lib.study import NATION

FIRST_MARK = "①"
NO_FIGURE = "z"  # what stands in a cell of a table for which there is no number
MARKS = ("c", "x", "u", "b", "bu", "p", "up", "bp", "bup", NO_FIGURE)
NESTED = 3  # gross, avoidable, excess: the study that names other measures names them plainly


@dataclass(frozen=True)
class Table:
    """A table as text.

    Attributes
    ----------
    caption : str
        What it shows.
    head : list of str
        Column heads, the first above the row heads.
    rows : list of list of str
        Row head, then cells.
    is_prose : bool
        Whether cells are words to read, which wrap, and not numbers.
    """

    caption: str
    head: list[str]
    rows: list[list[str]]
    is_prose: bool = False

    @property
    def marks(self) -> list[str]:
        """The bracketed marks that occur, in fixed order."""
        text = "".join(cell or f"[{NO_FIGURE}]" for row in self.rows for cell in row)
        return [mark for mark in MARKS if f"[{mark}]" in text]


@dataclass(frozen=True)
class Chart:
    """A figure of a page with all that goes with it.

    Attributes
    ----------
    id : str
        Anchor on the page.
    title, subtitle : str
        The finding; then measure, unit, place, period and what the intervals are.
    panels : sequence of str
        Inline SVG, one a panel.
    table : Table
        The same values as text.
    download : str
        Name of the table whose CSV holds them.
    notes : list of str
        Lines below the chart.
    """

    id: str
    title: str
    subtitle: str
    panels: Sequence[str]
    table: Table
    download: str
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class ChartMaker:
    """Makes the charts of one place and quarter.

    Attributes
    ----------
    writer : Writer
        Language and study.
    region, period : str
        The place and quarter of the page.
    """

    writer: Writer
    region: str
    period: str

    def nested(self, hours: ProtectedTable) -> Chart | None:
        """The nested measures."""
        frame = nested.prepare_nested(hours, **self._asked, region=self.region, period=self.period)
        if frame.empty:
            return None
        text, labels = self.writer.text, self.writer.labels
        title = text("figure.nested_title" if len(frame) == NESTED else "figure.nested_plain")
        return Chart(
            "nested",
            title,
            text("figure.nested_subtitle", unit=self._unit_first(), place=labels.region(self.region), **self._when),
            [
                to_svg(
                    nested.draw_nested(frame), id_prefix="nested", title=title, description=self._panel_words("", frame)
                )
            ],
            self._table(title, text("head.measure"), frame),
            hours.name,
        )

    def trend(self, series: ProtectedTable, change: pd.Series | None) -> Chart | None:
        """The nested measures quarter by quarter, with the reforms that the study dates."""
        settings = self.writer.study.config.estimation
        frame = trend.prepare_trend(series, settings.nested, **self._asked, region=self.region)
        if frame["value"].notna().sum() == 0 or frame["quarter"].nunique() < 2:
            return None
        text, labels = self.writer.text, self.writer.labels
        quarters = list(frame["quarter"].unique())
        reforms = self._numbered_reforms(after=quarters[0], until=quarters[-1])
        marks = reforms.groupby("quarter", sort=False)["mark"].agg("".join).rename("label").reset_index()
        upper = trend.upper_end(frame)
        title = self.writer.change_heading(change, settings.headline)
        panels = [
            to_svg(trend.draw_trend(part, reforms=marks, upper=upper), id_prefix=f"trend{place}",
                   title=str(name), description=self._trend_words(part))
            for place, (name, part) in enumerate(frame.groupby("panel", sort=False))
        ]  # fmt: skip
        notes = [
            text("figure.reform", mark=row["mark"], label=row["label"], period=labels.period(row["quarter"]))
            for row in reforms.to_dict("records")
        ]
        subtitle = text("figure.trend_subtitle", unit=self._unit_first(), place=labels.region(self.region), first=quarters[0],
                        last=quarters[-1], level=self.writer.level)  # fmt: skip
        if frame["nation"].notna().any():
            subtitle += text("figure.trend_nation", nation=labels.region(NATION))
        cells = frame.assign(cell=[self._with_interval(row) for row in frame.to_dict("records")])
        wide = cells.pivot(index="quarter", columns="panel", values="cell")[list(frame["panel"].unique())]
        table = Table(title, [text("head.quarter"), *wide.columns], [[str(key), *row] for key, row in _rows(wide)])
        return Chart(
            "trend", title, subtitle, panels, table, series.name, [text("figure.reforms"), *notes] if notes else []
        )

    def week(self, week: ProtectedTable) -> Chart | None:
        """How time divides among activity groups: for the place, by the first category column, and for the nation."""
        text, labels = self.writer.text, self.writer.labels
        columns = [
            column for column in self.writer.study.config.estimation.categories if column in set(week.table["by"])
        ]
        frame = working_week.prepare_week(week, **self._asked, region=self.region, by=(columns or [NO_CATEGORY])[0])
        if self.region != NATION:
            frame = pd.concat([frame, working_week.prepare_week(week, **self._asked)], ignore_index=True)
        if frame["value"].notna().sum() == 0:
            return None
        upper = working_week.upper_end(frame)
        parts = [(str(name), part) for name, part in frame.groupby("panel", sort=False)]
        title, subtitle = text("figure.week_plain"), "figure.week_subtitle_plain"
        largest = [labels.measure(row["measure"]) for row in largest_groups(week, labels, region=self.region)]
        if "burden" in labels.group_kinds.values() and largest:
            title = text(
                "figure.week_title" if len(largest) == 1 else "figure.week_title_several",
                label=text("answer.and").join(largest),
            )
            subtitle = "figure.week_subtitle"
        panels = [
            to_svg(working_week.draw_week(part, upper=upper), id_prefix=f"week{place}", title=name,
                   description=self._panel_words(name, part))
            for place, (name, part) in enumerate(parts)
        ]  # fmt: skip
        cells = frame.assign(cell=[self._with_interval(row) for row in frame.to_dict("records")])
        wide = cells.pivot(index="label", columns="panel", values="cell").reindex(
            index=list(frame["label"].unique()), columns=[name for name, _ in parts]
        )
        table = Table(title, [text("head.activity"), *wide.columns], [[str(key), *row] for key, row in _rows(wide)])
        return Chart(
            "week",
            title,
            text(subtitle, unit=_capital(labels.unit("hours_week")), **self._when),
            panels,
            table,
            week.name,
        )

    def regions(self, hours: ProtectedTable, regions: list[str]) -> Chart | None:
        """The headline by region, in code order, beside the place of the page."""
        text, labels = self.writer.text, self.writer.labels
        headline = self.writer.study.config.estimation.headline
        frame = comparison.prepare_regions(
            hours, headline, **self._asked, regions=regions, reference=self.region, period=self.period
        )
        if frame["value"].notna().sum() < 2:  # nothing to compare, and no finding to put in a heading
            return None
        words = region_words(hours, headline, regions, reference=self.region, period=self.period)
        counts = {"total": len(words), "above": words.count("higher"), "below": words.count("lower")}
        alike = counts["above"] == counts["below"] == 0
        title = text(
            "figure.regions_alike" if alike else "figure.regions_title", mean=self.writer.mean(self.region), **counts
        )
        subtitle = text("figure.regions_subtitle", title=labels.measure(headline), unit=self._unit(),
                        reference=labels.region(self.region), **self._when)  # fmt: skip
        return Chart(
            "regions",
            title,
            subtitle,
            [self._comparison(frame, "regions", title)],
            self._table(self._titled(headline), text("head.place"), frame),
            hours.name,
        )

    def categories(self, hours: ProtectedTable) -> Iterator[Chart]:
        """The headline by each category column that the results hold."""
        text, labels = self.writer.text, self.writer.labels
        settings = self.writer.study.config.estimation
        for column in settings.categories:
            frame = comparison.prepare_categories(
                hours, settings.headline, **self._asked, by=column, region=self.region, period=self.period
            )
            if len(frame) < 2:
                continue
            title = text("figure.categories_title", column=labels.column(column))
            subtitle = text("figure.categories_subtitle", title=labels.measure(settings.headline), unit=self._unit(),
                            place=labels.region(self.region), reference=labels.region(self.region), **self._when)  # fmt: skip
            yield Chart(
                f"by-{column.replace('_', '-')}",
                title,
                subtitle,
                [self._comparison(frame, f"by-{column}", title)],
                self._table(self._titled(settings.headline), text("head.category"), frame),
                hours.name,
            )

    def response(self, rates: ProtectedTable) -> Chart | None:
        """Who answered, in the nation and in each region with a page."""
        study, text = self.writer.study, self.writer.text
        regions = study.regions_at(study.config.estimation.page_level)
        frame = response.prepare_response(rates, **self._asked, regions=regions)
        if frame.empty:
            return None
        title = text("figure.response_title")
        panels = [
            to_svg(response.draw_response(part), id_prefix=f"response{place}", title=str(name),
                   description=self._panel_words(str(name), part))
            for place, (name, part) in enumerate(frame.groupby("panel", sort=False))
        ]  # fmt: skip
        wide = frame.pivot(index="label", columns="panel", values="text").reindex(
            index=list(frame["label"].unique()), columns=list(frame["panel"].unique())
        )
        table = Table(title, [text("head.place"), *wide.columns], [[str(key), *row] for key, row in _rows(wide)])
        subtitle = text("figure.response_subtitle", period=self.writer.labels.period(self.period))
        return Chart("response", title, subtitle, panels, table, rates.name)

    def measures(self, hours: ProtectedTable, change: ProtectedTable) -> tuple[Table, str] | None:
        """Table of the measures: the quarter, the pooled period and the change; and its subtitle."""
        writer, labels, text = self.writer, self.writer.labels, self.writer.text
        table = hours.table
        here = table[(table["region"] == self.region) & (table["by"] == NO_CATEGORY)]
        pooled = sorted(period for period in here["period"].unique() if POOLED_DASH in period)
        head = [
            text("head.measure"),
            text("head.unit"),
            labels.period(self.period),
            text("head.interval", level=writer.level),
        ]
        head += [text("head.pooled", period=period) for period in pooled]
        # Who required the hours is a chart of the second page.
        keys = [key for key in writer.study.measures if key not in by_requirer(writer.study.measures)]
        moved = {key: pick(change, measure=key, region=self.region, period=None) for key in keys}
        bases = [writer.base(row) for row in moved.values() if row is not None]
        if bases:
            head.append(text("head.change", base=bases[0]))
        rows = []
        for key in keys:
            row = pick(hours, measure=key, region=self.region, period=self.period)
            if row is None:
                continue
            others = [pick(hours, measure=key, region=self.region, period=period) for period in pooled]
            cells = [labels.measure(key), labels.unit(row["unit"]), labels.cell(row), self._interval_cell(row)]
            cells += [self._with_interval(other) if other is not None else "" for other in others]
            if bases:
                cells.append(self._change_cell(moved[key]))
            rows.append(cells)
        subtitle = text("figure.measures_subtitle", place=labels.region(self.region))
        return (Table(text("figure.measures_title"), head, rows), subtitle) if rows else None

    # -- parts ----------------------------------------------------------------------------------------

    @property
    def _asked(self) -> dict:
        return {"study": self.writer.study, "language": self.writer.language}

    @property
    def _when(self) -> dict[str, str]:
        return {"period": self.writer.labels.period(self.period), "level": self.writer.level}

    def _numbered_reforms(self, *, after: str, until: str) -> pd.DataFrame:
        """Reforms that started within the series, numbered: titles of a line's length stand below the chart."""
        reforms = trend.reform_lines(**self._asked, region=self.region)
        reforms = reforms[(reforms["quarter"] > after) & (reforms["quarter"] <= until)]
        return reforms.assign(mark=[chr(ord(FIRST_MARK) + place) for place in range(len(reforms))])

    def _unit(self) -> str:
        labels = self.writer.labels
        return labels.unit(labels.measures[self.writer.study.config.estimation.headline].unit)

    def _unit_first(self) -> str:
        return _capital(self._unit())

    def _titled(self, measure: str) -> str:
        labels = self.writer.labels
        return self.writer.text(
            "head.titled", title=labels.measure(measure), unit=labels.unit(labels.measures[measure].unit)
        )

    def _comparison(self, frame: pd.DataFrame, prefix: str, title: str) -> str:
        drawn: Figure = comparison.draw_comparison(frame)
        return to_svg(drawn, id_prefix=prefix, title=title, description=self._panel_words("", frame))

    def _panel_words(self, name: str, part: pd.DataFrame) -> str:
        text = self.writer.text
        values = [text("alt.value", label=row["label"], text=row["text"]) for row in part.to_dict("records")]
        items = text("alt.separator").join(values)
        return text("alt.panel", panel=name, items=items) if name else items

    def _trend_words(self, part: pd.DataFrame) -> str:
        shown = part[part["value"].notna()].to_dict("records")
        if not shown:
            return ""
        first, last = shown[0], shown[-1]
        return self.writer.text("alt.trend", label=first["panel"], first=first["quarter"], last=last["quarter"],
                                from_text=first["text"], to_text=last["text"])  # fmt: skip

    def _table(self, caption: str, first: str, frame: pd.DataFrame) -> Table:
        text = self.writer.text
        head = [first, text("head.value"), text("head.interval", level=self.writer.level)]
        rows = [[row["label"], row["text"], self._interval_cell(row)] for row in frame.to_dict("records")]
        return Table(caption, head, rows)

    def _interval_cell(self, row: Mapping[Any, Any] | pd.Series) -> str:
        if pd.isna(row["ci_low"]) or pd.isna(row["ci_high"]):
            return f"[{row['mark']}]" if row["mark"] else ""
        return self.writer.interval(row)

    def _with_interval(self, row: Mapping[Any, Any] | pd.Series) -> str:
        text = str(row["text"]) if "text" in row else self.writer.labels.cell(row)
        return text if pd.isna(row["value"]) or pd.isna(row["ci_low"]) else self.writer.with_interval(text, row)

    def _change_cell(self, row: pd.Series | None) -> str:
        word = self.writer.word_for(row)
        if row is None or word == "unknown":
            return f"[{row['mark']}]" if row is not None and row["mark"] else ""
        is_share = row["unit"] == "share"
        signed = self.writer.labels.signed(row["value"], row["unit"])
        amount = self.writer.amount(row["value"], row["unit"], signed=True) if is_share else signed
        return f"{self.writer.with_interval(amount, row)} {self.writer.text(f'change.word_{word}')}"


def region_words(hours: ProtectedTable, measure: str, regions: list[str], *, reference: str, period: str) -> list[str]:
    """How each region with a published value stands to the reference: higher, lower, within."""
    other = pick(hours, measure=measure, region=reference, period=period)
    rows = [pick(hours, measure=measure, region=code, period=period) for code in regions]
    if other is None or pd.isna(other["value"]):
        return []
    return [compare_word(row, other) for row in rows if row is not None and pd.notna(row["value"])]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _rows(wide: pd.DataFrame) -> Iterator[tuple[object, list[str]]]:
    for key, row in wide.iterrows():
        yield key, [str(cell) if pd.notna(cell) else "" for cell in row]
