"""Pages on reforms: one that lists them with what changed since, and one for each with all that speaks for and against."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from analysis_lib.disclosure.protect import ProtectedTable
from analysis_lib.effects.results import BY_EFFECT
from analysis_lib.figures import dose_response, effect_paths, effect_rows, exposure_trends, specification_curve
from analysis_lib.figures.reform_rows import about_zero, rows_of, signed_texts
from analysis_lib.figures.svg import to_svg
from analysis_lib.monitoring.compositions import BY_LOG_RATIO
from analysis_lib.publishing.charts import Chart, ChartMaker, Table
from analysis_lib.publishing.check_words import check_lines
from analysis_lib.publishing.details import Section
from analysis_lib.publishing.lasting_words import lasting_lines
from analysis_lib.publishing.pages import (
    REFORMS,
    Report,
    download_links,
    reform_page,
    render_template,
    switch,
)
from analysis_lib.publishing.reform_words import of_reform, title_of_reform
from analysis_lib.publishing.sentences import Writer
from analysis_lib.publishing.titles import measure_title
from analysis_lib.reforms import Reform
from analysis_lib.study import NATION

Tables = dict[str, ProtectedTable]
RETURNED, COMPLIANCE = "returned", "compliance"
JOINT = "joint"  # end of a category whose interval holds for all parts at once


def render_reforms(report: Report, language: str) -> str:
    """All reforms: a sentence on each, a chart of the hours on which each is judged, and the ways on."""
    writer = Writer(report.study, language)
    maker = ReformMaker(writer, report.region, report.period)
    effects, looks = report.tables["reform_effects"], report.tables.get("reform_looks")
    entries = [
        {
            "title": title_of_reform(effects.table, reform, writer, looks=looks),
            "text": of_reform(effects.table, reform, writer, looks=looks),
            "href": f"../{reform_page(reform.id)}/index.html",
            "more": writer.text("reform.more", reform=reform.titles[language]),
        }
        for reform in report.reforms
    ]
    return _render(
        report,
        writer,
        REFORMS,
        finding=writer.text("reform.page_title", period=writer.labels.period(report.period)),
        lede=writer.text("reform.page_lede"),
        back={"href": "../index.html", "text": writer.text("behind.back")},
        entries=entries,
        charts=[maker.overview(effects, report.reforms)],
    )


def render_reform(report: Report, reform: Reform, language: str) -> str:
    """One reform: what was decided, what changed since, by which design, and whether another analyst would agree."""
    writer, tables = Writer(report.study, language), report.tables
    maker = ReformMaker(writer, report.region, report.period)
    lists = ReformLists(writer, reform)
    effects, looks = tables["reform_effects"], tables.get("reform_looks")
    charts = [
        maker.effects(effects, reform),
        maker.trends(tables, reform),
        maker.path(tables, reform),
        maker.starts(tables, reform),
        maker.looks(tables, reform),
        maker.dose(tables, reform),
        maker.account(tables, reform),
        maker.four_series(tables, reform),
        maker.ways(tables, reform),
    ]
    sections = [
        lists.lasting(tables),
        lists.ratios(tables),
        lists.checks(tables),
        lists.estimates(effects),
        lists.returned(effects),
        lists.caps(tables),
        lists.decided(),
    ]
    return _render(
        report,
        writer,
        reform_page(reform.id),
        finding=title_of_reform(effects.table, reform, writer, looks=looks),
        lede=of_reform(effects.table, reform, writer, looks=looks),
        back={"href": f"../{REFORMS}/index.html", "text": writer.text("reform.back")},
        entries=[],
        charts=charts,
        sections=[section for section in sections if section],
    )


def _render(
    report: Report,
    writer: Writer,
    page: str,
    *,
    finding: str,
    lede: str,
    back: dict[str, str],
    entries: list[dict[str, str]],
    charts: list[Chart | None],
    sections: list[Section] | None = None,
) -> str:
    return render_template(
        "reform",
        report.study,
        writer.language,
        finding=finding,
        lede=lede,
        back=back,
        entries=entries,
        charts=[chart for chart in charts if chart],
        sections=sections or [],
        switch=switch(report.study, writer.language, 3, str(report.quarter), page),
        download=download_links(report, 3),
    )


@dataclass(frozen=True)
class ReformMaker(ChartMaker):
    """Makes the charts of reforms; each is None where there is nothing to draw."""

    def overview(self, effects: ProtectedTable, reforms: list[Reform]) -> Chart | None:
        """The effect of each reform on the hours that it means to cut."""
        frame = effect_rows.prepare_reforms(effects, reforms, **self._asked)
        text = self.writer.text
        title = text("reform.overview_title")
        subtitle = text("reform.overview_subtitle", unit=self._unit_first(), level=self.writer.level)
        return self._rows("overview", frame, title, subtitle, effects.name, text("head.measure"), is_by_reform=True)

    def effects(self, effects: ProtectedTable, reform: Reform) -> Chart | None:
        """The planned effect on every measure of hours."""
        frame = effect_rows.prepare_measures(effects, reform.id, **self._asked)
        text = self.writer.text
        title = text("reform.effects_title")
        subtitle = text("reform.effects_subtitle", unit=self._unit_first(), level=self.writer.level)
        return self._rows("effects", frame, title, subtitle, effects.name, text("head.measure"),
                          notes=[text("reform.effects_note")])  # fmt: skip

    def trends(self, tables: Tables, reform: Reform) -> Chart | None:
        """Regions with and without the reform, and what the former would have been."""
        if "reform_trends" not in tables:
            return None
        primary = reform.primary_in(self.writer.study)
        frame = exposure_trends.prepare_exposure_trends(tables["reform_trends"], reform.id, primary, **self._asked)
        if frame["value"].notna().sum() == 0:
            return None
        text, labels = self.writer.text, self.writer.labels
        title = text("reform.trends_title", title=labels.measure(primary))
        subtitle = text("reform.trends_subtitle", unit=self._unit_first(), level=self.writer.level)
        wide = frame.pivot(index="quarter", columns="label", values="text")[list(frame["label"].unique())]
        rows = [[str(key), *map(str, row)] for key, row in zip(wide.index, wide.to_numpy(), strict=True)]
        described = frame.assign(label=frame["label"] + " " + frame["quarter"])
        panel = to_svg(exposure_trends.draw_exposure_trends(frame), id_prefix="trends", title=title,
                       description=self._panel_words("", described))  # fmt: skip
        return Chart("trends", title, subtitle, [panel], Table(title, [text("head.quarter"), *wide.columns], rows),
                     tables["reform_trends"].name, [text("reform.trends_note")])  # fmt: skip

    def path(self, tables: Tables, reform: Reform) -> Chart | None:
        """Effects by quarters since the start, on the primary measure and those that the reform means to cut."""
        if "reform_paths" not in tables:
            return None
        measures = list(dict.fromkeys([reform.primary_in(self.writer.study), *reform.measures]))
        frame = effect_paths.prepare_event_study(tables["reform_paths"], reform.id, measures, **self._asked)
        title = self.writer.text("reform.path_title")
        return self._paths("path", frame, title, tables["reform_paths"].name)

    def starts(self, tables: Tables, reform: Reform) -> Chart | None:
        """The same by the quarter in which regions started."""
        if "reform_paths" not in tables:
            return None
        primary = reform.primary_in(self.writer.study)
        frame = effect_paths.prepare_group_time(tables["reform_paths"], reform.id, primary, **self._asked)
        title = self.writer.text("reform.starts_title", title=self.writer.labels.measure(primary))
        return self._paths("starts", frame, title, tables["reform_paths"].name)

    def looks(self, tables: Tables, reform: Reform) -> Chart | None:
        """The estimate look by look, as it would have been published each quarter with the data of today."""
        if "reform_looks" not in tables:
            return None
        primary = reform.primary_in(self.writer.study)
        frame = effect_paths.prepare_looks(tables["reform_looks"], reform.id, primary, **self._asked)
        title = self.writer.text("lasting.looks_title", title=self.writer.labels.measure(primary))
        return self._paths("looks", frame, title, "reform_looks", section="lasting")

    def dose(self, tables: Tables, reform: Reform) -> Chart | None:
        """Effects by burden before the reform, on the first measure for which there are any."""
        if "reform_doses" not in tables:
            return None
        text, labels, table = self.writer.text, self.writer.labels, tables["reform_doses"]
        for key in dict.fromkeys([reform.primary_in(self.writer.study), *reform.measures]):
            frame = dose_response.prepare_dose_response(table, reform.id, key, **self._asked)
            if len(frame):
                said = dose_response.dose_words(table, reform.id, key, **self._asked)
                title = text("reform.dose_title", title=labels.measure(key))
                subtitle = text("reform.dose_subtitle", unit=self._unit_first(), level=self.writer.level)
                return self._rows("dose", frame, title, subtitle, table.name, text("head.place"),
                                  notes=[said, text("reform.dose_note")])  # fmt: skip
        return None

    def account(self, tables: Tables, reform: Reform) -> Chart | None:
        """What the reform did to each part of the working week."""
        if "accounts" not in tables:
            return None
        frame = effect_rows.prepare_account(tables["accounts"], reform.id, **self._asked)
        text = self.writer.text
        subtitle = text("lasting.account_subtitle", unit=self._unit_first(), level=self.writer.level)
        return self._rows("account", frame, text("lasting.account_title"), subtitle, "accounts", text("head.activity"),
                          notes=[text("lasting.account_note")])  # fmt: skip

    def four_series(self, tables: Tables, reform: Reform) -> Chart | None:
        """Claimed, counted, measured and felt."""
        if "reform_series" not in tables:
            return None
        frame = effect_rows.prepare_four_series(tables["reform_series"], reform.id, **self._asked)
        text = self.writer.text
        subtitle = text("reform.four_subtitle", level=self.writer.level)
        return self._rows("four-series", frame, text("reform.four_title"), subtitle, "reform_series", text("head.series"),
                          one_axis=False, notes=[text("reform.four_note")])  # fmt: skip

    def ways(self, tables: Tables, reform: Reform) -> Chart | None:
        """Every declared way to estimate the effect."""
        if not {"reform_specifications", "reform_checks"} <= set(tables):
            return None
        primary = reform.primary_in(self.writer.study)
        table = tables["reform_specifications"]
        frame = specification_curve.prepare_specification_curve(table, reform.id, primary, **self._asked)
        if frame.empty:
            return None
        text, labels = self.writer.text, self.writer.labels
        title = text("reform.ways_title", title=labels.measure(primary))
        subtitle = text("reform.ways_subtitle", unit=self._unit_first(), level=self.writer.level)
        # Counted before rounding, as the check is; counts of what is printed would differ by a way or two.
        lines = check_lines(tables["reform_checks"], reform.id, primary, writer=self.writer)
        note = "".join(line.sentence for line in lines if line.key == "specifications")
        panel = to_svg(specification_curve.draw_specification_curve(frame), id_prefix="ways", title=title,
                       description=note or subtitle)  # fmt: skip
        shown = frame[frame["is_planned"] | frame["place"].isin([0, (len(frame) - 1) // 2, len(frame) - 1])]
        ways = [text("alt.separator").join(row[column] for column in specification_curve.CHOICES)
                for row in shown.to_dict("records")]  # fmt: skip
        table_of = self._table(title, text("head.way"), shown.assign(label=ways))
        return Chart("ways", title, subtitle, [panel], table_of, table.name, [note] if note else [])

    # -- parts ----------------------------------------------------------------------------------------

    def _rows(
        self,
        name: str,
        frame: pd.DataFrame,
        title: str,
        subtitle: str,
        download: str,
        first: str,
        *,
        one_axis: bool = True,
        is_by_reform: bool = False,
        notes: list[str] | None = None,
    ) -> Chart | None:
        if frame.empty:
            return None
        limits = about_zero(frame) if one_axis else None
        panels = self._panels(name, title, frame, lambda part: effect_rows.draw_effect_rows(part, limits=limits))
        text = self.writer.text
        named = frame
        if is_by_reform:
            pairs = zip(frame["panel"], frame["label"], strict=True)
            named = frame.assign(label=[text("verdict.of_reform", reform=panel, text=label) for panel, label in pairs])
        noted = [text("reform.no_interval_note")] if one_axis and frame["ci_low"].isna().any() else []
        return Chart(name, title, subtitle, panels, self._table(title, first, named), download,
                     [*noted, *(notes or [])])  # fmt: skip

    def _paths(
        self, name: str, frame: pd.DataFrame, title: str, download: str, *, section: str = "reform"
    ) -> Chart | None:
        if frame["value"].notna().sum() == 0:
            return None
        text = self.writer.text
        limits = effect_paths.limits_of(frame)
        draw: Callable[[pd.DataFrame], Figure] = lambda part: effect_paths.draw_effect_path(part, limits=limits)  # noqa: E731
        described = frame.assign(label=frame["when"])
        panels = self._panels(name, title, described, draw)
        cells = described.assign(cell=[self._with_interval(row) for row in described.to_dict("records")])
        wide = cells.pivot(index="label", columns="panel", values="cell").reindex(
            index=list(dict.fromkeys(described.sort_values("place")["label"])), columns=list(frame["panel"].unique())
        )
        rows = [[str(key), *("" if pd.isna(cell) else str(cell) for cell in row)]
                for key, row in zip(wide.index, wide.to_numpy(), strict=True)]  # fmt: skip
        table = Table(title, [frame["axis"].iloc[0], *wide.columns], rows)
        subtitle = text(f"{section}.{name}_subtitle", unit=self._unit_first(), level=self.writer.level)
        note = text("reform.path_note" if section == "reform" else f"{section}.{name}_note")
        return Chart(name, title, subtitle, panels, table, download, [note])

    def _panels(self, name: str, title: str, frame: pd.DataFrame, draw: Callable[[pd.DataFrame], Figure]) -> list[str]:
        """A drawing for each panel; one without a name is called by the chart's title."""
        return [
            to_svg(
                draw(part),
                id_prefix=f"{name}{place}",
                title=str(panel) or title,
                description=self._panel_words(str(panel), part),
            )
            for place, (panel, part) in enumerate(frame.groupby("panel", sort=False))
        ]


@dataclass(frozen=True)
class ReformLists:
    """Makes the tables of one reform; each is None where there is nothing to show."""

    writer: Writer
    reform: Reform

    def checks(self, tables: Tables) -> Section | None:
        """Every check of the effect on the primary measure, with its sentence."""
        if "reform_checks" not in tables:
            return None
        text, primary = self.writer.text, self.reform.primary_in(self.writer.study)
        lines = check_lines(tables["reform_checks"], self.reform.id, primary, writer=self.writer)
        if not lines:
            return None
        head = [text("head.check"), text("head.outcome"), text("head.says")]
        rows = [[line.title, line.outcome, line.sentence] for line in lines]
        subtitle = text("reform.checks_subtitle", title=self.writer.labels.measure(primary))
        return Section("checks", subtitle, Table(text("reform.checks_title"), head, rows, is_prose=True), "reform_checks",
                       text("reform.checks_lead"))  # fmt: skip

    def lasting(self, tables: Tables) -> Section | None:
        """What this look allows to say, whether the cut held, and whether burden moved."""
        if not {"reform_looks", "reform_lasting", "accounts"} <= set(tables):
            return None
        text, primary = self.writer.text, self.reform.primary_in(self.writer.study)
        looks, lasting, accounts = (tables[name] for name in ("reform_looks", "reform_lasting", "accounts"))
        lines = lasting_lines(looks, lasting, accounts, self.reform.id, primary, writer=self.writer)
        if not lines:
            return None
        head = [text("lasting.question"), text("head.outcome"), text("head.says")]
        rows = [[line.title, line.outcome, line.sentence] for line in lines]
        subtitle = text("lasting.subtitle", title=self.writer.labels.measure(primary))
        return Section("lasting", subtitle, Table(text("lasting.title"), head, rows, is_prose=True), "reform_lasting")

    def ratios(self, tables: Tables) -> Section | None:
        """Parts of the working week, and of burden, relative to each other."""
        if "log_ratios" not in tables:
            return None
        text, labels = self.writer.text, self.writer.labels
        rows = rows_of(tables["log_ratios"], BY_LOG_RATIO, self.reform.id, region=NATION, parts=["part"])
        rows = rows.assign(cell=signed_texts(rows, labels))
        found = {row["part"]: row for row in rows.to_dict("records")}
        cells = [
            [
                measure_title(labels, text, str(row["measure"])),
                row["cell"],
                *("" if each is None or pd.isna(each["ci_low"]) else self.writer.interval(each)
                  for each in (row, found.get(f"{part}.{JOINT}"))),
            ]
            for part, row in found.items() if not part.endswith(f".{JOINT}")
        ]  # fmt: skip
        if not cells:
            return None
        head = [text("head.part"), text("log_ratio.change"), text("head.interval", level=self.writer.level),
                text("log_ratio.joint_head")]  # fmt: skip
        return Section("ratios", text("log_ratio.subtitle"), Table(text("log_ratio.title"), head, cells), "log_ratios",
                       text("log_ratio.lead"))  # fmt: skip

    def estimates(self, effects: ProtectedTable) -> Section | None:
        """Every measure with the planned estimate and what may be said, another estimate, and the foil."""
        text, labels = self.writer.text, self.writer.labels
        rows = rows_of(effects, BY_EFFECT, self.reform.id, region=NATION, parts=["how"])
        rows = rows.assign(cell=signed_texts(rows, labels))
        cells = []
        for key, found in rows.groupby("measure", sort=False):
            planned, *others = found.to_dict("records")
            foil = [each["cell"] for each in others if each["estimator"] == "two_way"]
            beside = [each["cell"] for each in others if each["estimator"] != "two_way"]
            interval = "" if pd.isna(planned["ci_low"]) else self.writer.interval(planned)
            word = text(f"effect.{planned['outcome'].replace('.', '_')}") if planned["outcome"] else ""
            cells.append([labels.measure(str(key)), labels.unit(planned["unit"]), planned["cell"], interval, word,
                          "".join(beside[:1]), "".join(foil)])  # fmt: skip
        head = [text("head.measure"), text("head.unit"), text("head.planned"),
                text("head.interval", level=self.writer.level), text("head.outcome"), text("head.beside"),
                text("head.foil")]  # fmt: skip
        return Section("estimates", text("reform.estimates_subtitle"), Table(text("reform.estimates_title"), head, cells),
                       effects.name) if cells else None  # fmt: skip

    def returned(self, effects: ProtectedTable) -> Section | None:
        """Hours returned as full-time equivalents."""
        labels, text = self.writer.labels, self.writer.text
        rows = rows_of(effects, RETURNED, self.reform.id, region=NATION, parts=["of"])
        if rows.empty:
            return None
        cells = [
            [
                labels.measure(row["measure"]),
                labels.cell(row),
                "" if pd.isna(row["ci_low"]) else self.writer.interval(row),
            ]
            for row in rows.to_dict("records")
        ]
        head = [text("head.measure"), labels.unit("fte"), text("head.interval", level=self.writer.level)]
        hours = labels.number(self.writer.study.config.estimation.standard_week_hours, "count", "count")
        return Section("returned", text("reform.returned_subtitle", hours=hours),
                       Table(text("reform.returned_title"), head, cells), effects.name)  # fmt: skip

    def caps(self, tables: Tables) -> Section | None:
        """What was counted against each cap."""
        if "reform_series" not in tables:
            return None
        text, labels = self.writer.text, self.writer.labels
        rows = rows_of(tables["reform_series"], COMPLIANCE, self.reform.id, region=NATION, parts=["about", "part"])
        if rows.empty:
            return None
        cells = []
        for about, parts in rows.groupby("about", sort=False):
            found = {row["part"]: row for row in parts.assign(cell=signed_texts(parts, labels)).to_dict("records")}
            is_change = any(cap.change is not None for cap in self.reform.caps if cap.measure == about)
            reached, asked = (found[part] for part in ("reached", "asked"))
            as_text = [each["cell"] if is_change else labels.cell(each) for each in (reached, asked)]
            interval = "" if pd.isna(reached["ci_low"]) else self.writer.interval(reached)
            word = text(f"effect.{reached['outcome']}") if reached["outcome"] else ""
            cells.append([labels.measure(str(about)), as_text[1], as_text[0], interval, word])
        head = [text("head.measure"), text("head.cap"), text("head.reached"),
                text("head.interval", level=self.writer.level), text("head.outcome")]  # fmt: skip
        return Section("caps", text("reform.caps_subtitle"), Table(text("reform.caps_title"), head, cells),
                       "reform_series")  # fmt: skip

    def decided(self) -> Section:
        """What the register says: dates, places, the plan settled beforehand, the source."""
        text, labels, reform = self.writer.text, self.writer.labels, self.reform
        join, plan = text("alt.separator").join, reform.plan
        places = [text("reform.place_start", place=labels.region(code), period=labels.period(start))
                  for code, start in reform.units.items()]  # fmt: skip
        dates = [text(f"reform.{name}", day=getattr(reform, name))
                 for name in ("approved", "issued", "public") if getattr(reform, name)]  # fmt: skip
        rule = getattr(plan.decision_rule, f"text_{self.writer.language}")
        smallest = self.writer.amount(
            reform.smallest_change, labels.measures[reform.primary_in(self.writer.study)].unit
        )
        rows = [
            ["lever", text(f"lever.{reform.lever}")],
            ["dates", join(dates)],
            ["places", join(places)],
            ["cuts", join(labels.measure(key) for key in reform.measures)],
            ["counts_as_start", text(f"effect.{plan.treatment_date}")],
            ["primary", labels.measure(reform.primary_in(self.writer.study))],
            ["smallest", smallest],
            ["registered", plan.registered],
            ["rule", rule],
            ["source", reform.source],
        ]
        shown = [[text(f"reform.{name}_head"), words] for name, words in rows if words]
        head = [text("reform.fact"), text("reform.register")]
        return Section(
            "decided",
            text("reform.decided_subtitle"),
            Table(text("reform.decided_title"), head, shown, is_prose=True),
            "",
        )
