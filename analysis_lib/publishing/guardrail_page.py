"""The page on the three distinctions: their answers first, then what each rests on."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from analysis_lib.disclosure.policy import CHANGE_ARROW
from analysis_lib.disclosure.protect import ProtectedTable
from analysis_lib.figures import effect_rows, margins, trend
from analysis_lib.figures.svg import to_svg
from analysis_lib.monitoring.guardrails import BY_GUARDRAIL
from analysis_lib.publishing.charts import Chart, ChartMaker, Table
from analysis_lib.publishing.details import Section
from analysis_lib.publishing.guardrail_words import distinction_words
from analysis_lib.publishing.pages import (
    GUARDRAILS,
    Report,
    download_links,
    render_template,
    switch,
)
from analysis_lib.publishing.sentences import Writer
from analysis_lib.publishing.titles import item_title, measure_title
from analysis_lib.study import ScaleSettings
from analysis_lib.survey.attrition import BY_AGE_DIFFERENCE, BY_STAYING
from analysis_lib.survey.factor_model import LEVELS
from analysis_lib.survey.scales import BY_INVARIANCE

Tables = dict[str, ProtectedTable]
OF_STATED = {"broken": "found", "kept": "not_found", "open": "open"}
NOT_SHOWN = ("effects", "autonomy", "leaving", "averages", "two_items", "many")


def render_guardrails(report: Report, language: str) -> str:
    """Answers, indicators beside their margins, scales, staying by age, service hours and the authority gap."""
    writer, tables = Writer(report.study, language), report.tables
    maker = GuardrailMaker(writer, report.region, report.period)
    charts = [maker.indicators(tables["guardrails"]), maker.staying(tables), maker.levels(tables)]
    sections = [maker.scales(tables)]
    return render_template(
        "guardrails",
        report.study,
        language,
        finding=writer.text("guard.page_title", period=writer.labels.period(report.period)),
        lede=_lede(tables["guardrails"], writer),
        cards=distinction_words(tables["guardrails"], writer=writer),
        charts=[chart for chart in charts if chart],
        sections=[section for section in sections if section],
        not_shown=[writer.text(f"guard.not_shown_{name}") for name in NOT_SHOWN],
        switch=switch(report.study, language, 3, str(report.quarter), GUARDRAILS),
        download=download_links(report, 3),
    )


def _lede(guardrails: ProtectedTable, writer: Writer) -> str:
    """What was held against what."""
    earlier, _, later = str(guardrails.table["period"].iloc[0]).partition(CHANGE_ARROW)
    if later:
        return writer.text("guard.page_lede", earlier=earlier, later=later)
    return writer.text("guard.page_lede_without", later=earlier)


@dataclass(frozen=True)
class GuardrailMaker(ChartMaker):
    """Makes the charts and tables of the page; each is None where there is nothing to show."""

    def indicators(self, guardrails: ProtectedTable) -> Chart | None:
        """The change of every indicator in margins, and a table with the findings of other tests as well."""
        text, table = self.writer.text, guardrails.table
        rows = table[table["by"] == BY_GUARDRAIL]
        panels = {key: text(f"guard.{key}") for key in dict.fromkeys(rows["category"].str.split(".").str[0])}
        names = {key: measure_title(self.writer.labels, text, key) for key in rows["measure"]}
        frame = margins.prepare_margins(guardrails, panels, names, **self._asked)
        if frame.empty:
            return None
        limits = margins.limits_of(frame)
        drawn = [
            to_svg(
                margins.draw_margins(part, language=self.writer.language, limits=limits),
                id_prefix=f"indicators{place}",
                title=str(name),
                description=self._panel_words(str(name), part),
            )
            for place, (name, part) in enumerate(frame.groupby("panel", sort=False))
        ]
        title = text("guard.indicators_title")
        head = [text(f"head.{name}") for name in ("measure", "wanted", "value")]
        head += [text("head.interval", level=self.writer.level), text("head.margin"), text("head.outcome")]
        cells = [self._judged(row, panels, names) for row in rows.to_dict("records")]
        return Chart("indicators", title, text("guard.indicators_subtitle", level=self.writer.level), drawn,
                     Table(title, head, cells), guardrails.name, [text("guard.indicators_note")])  # fmt: skip

    def _judged(self, row: dict, panels: dict[str, str], names: dict[str, str]) -> list[str]:
        text, labels = self.writer.text, self.writer.labels
        panel = panels[str(row["category"]).split(".")[0]]
        title = text("guard.of_group", title=panel, group=names[str(row["measure"])])
        if not row["outcome"]:
            return [title, "", labels.cell(row), "", "", ""]
        if pd.isna(row["value"]):
            return [title, "", "", "", "", text(f"guard.{OF_STATED[row['outcome']]}")]
        remark = row["reasons"] if f"guard.{row['reasons']}" in text.texts else row["outcome"]
        return [
            title,
            text(f"guard.{row['wanted']}"),
            self.writer.amount(row["value"], row["unit"], signed=True),
            self._interval_cell(row),
            self.writer.amount(row["margin"], row["unit"]),
            text(f"guard.{remark}"),
        ]

    def staying(self, tables: Tables) -> Chart | None:
        """Who stops answering and who means to leave, by age."""
        if "staying" not in tables:
            return None
        text, labels, table = self.writer.text, self.writer.labels, tables["staying"].table
        column = self.writer.study.config.guardrails.age
        rows = table[(table["by"] == column) & table["value"].notna()].reset_index(drop=True)
        if rows.empty:
            return None
        groups = labels.categories(column, list(dict.fromkeys(rows["category"])))
        rows = rows.assign(
            panel=[self._of_person(key) for key in rows["measure"]],
            label=[labels.category(column, group) for group in rows["category"]],
            text=labels.cells(rows),
            _measure=rows["measure"].map(list(dict.fromkeys(rows["measure"])).index),
            _order=rows["category"].map(groups.index),
        ).sort_values(["_measure", "_order"], kind="stable")
        panels = [
            to_svg(
                effect_rows.draw_effect_rows(part, one_axis=False),
                id_prefix=f"staying{place}",
                title=str(name),
                description=self._panel_words(str(name), part),
            )
            for place, (name, part) in enumerate(rows.groupby("panel", sort=False))
        ]
        title = text("guard.staying_title")
        period = str(rows["period"].iloc[0])
        return Chart("staying", title, text("guard.staying_subtitle", period=period, level=self.writer.level), panels,
                     self._by_age(tables["staying"], groups, title), "staying",
                     [*self._differences(table), text("guard.staying_note")])  # fmt: skip

    def _by_age(self, staying: ProtectedTable, groups: list[str], title: str) -> Table:
        """A row for each age group: stopping, still answering after each time, meaning to leave."""
        text, labels, table = self.writer.text, self.writer.labels, staying.table
        column = self.writer.study.config.guardrails.age
        found = {
            (row["measure"], row["category"]): row
            for row in table.to_dict("records")
            if row["by"] in (column, BY_STAYING)
        }
        times = sorted({category.split(".")[1] for _, category in found if "." in category})
        wanted = [("leaving", ""), *(("staying", f".{time}") for time in times), ("leave_intention", "")]
        head = [text("head.category")] + [
            text("guard.still_answering", time=time[1:]) if time else self._of_person(key) for key, time in wanted
        ]
        cells = [
            [
                labels.category(column, group),
                *(
                    self._with_interval(found[key, group + time]) if (key, group + time) in found else ""
                    for key, time in wanted
                ),
            ]
            for group in groups
        ]
        return Table(title, head, cells)

    def _differences(self, table: pd.DataFrame) -> list[str]:
        """How the young differ from the others, in leaving and in meaning to leave."""
        guarded = self.writer.study.config.guardrails
        items = [
            self.writer.text(
                "guard.item",
                title=self._of_person(str(row["measure"])),
                amount=self.writer.amount(row["value"], row["unit"], signed=True),
                interval=self.writer.interval(row),
                level=self.writer.level,
            )
            for row in table[table["by"] == BY_AGE_DIFFERENCE].to_dict("records")
            if not pd.isna([row["value"], row["ci_low"]]).any()
        ]
        if not items:
            return []
        group = self.writer.labels.category(guarded.age, guarded.young)
        return [self.writer.text("guard.differences", group=group, items=self.writer.text("alt.separator").join(items))]

    def _of_person(self, measure: str) -> str:
        return measure_title(self.writer.labels, self.writer.text, measure)

    def levels(self, tables: Tables) -> Chart | None:
        """Service hours and the authority gap quarter by quarter, each on its own scale."""
        if "guardrail_levels" not in tables:
            return None
        text, labels = self.writer.text, self.writer.labels
        keys = list(dict.fromkeys(tables["guardrail_levels"].table["measure"]))
        frame = trend.prepare_trend(tables["guardrail_levels"], keys, **self._asked)
        if frame["value"].notna().sum() == 0 or frame["quarter"].nunique() < 2:
            return None
        quarters = list(frame["quarter"].unique())
        reforms = self._numbered_reforms(after=quarters[0], until=quarters[-1])
        dated = reforms.groupby("quarter", sort=False)["mark"].agg("".join).rename("label").reset_index()
        panels = [
            to_svg(
                trend.draw_trend(_in_percent(part), reforms=dated),
                id_prefix=f"levels{place}",
                title=str(name),
                description=self._trend_words(part),
            )
            for place, (name, part) in enumerate(frame.groupby("panel", sort=False))
        ]
        title = text("guard.levels_title")
        units = text("alt.separator").join(labels.unit(unit) for unit in frame["unit"].unique())
        subtitle = text("guard.levels_subtitle", units=units, place=labels.region(self.region), first=quarters[0],
                        last=quarters[-1], level=self.writer.level)  # fmt: skip
        notes = [
            text("figure.reform", mark=row["mark"], label=row["label"], period=labels.period(row["quarter"]))
            for row in reforms.to_dict("records")
        ]
        cells = frame.assign(cell=[self._with_interval(row) for row in frame.to_dict("records")])
        wide = cells.pivot(index="quarter", columns="panel", values="cell")[list(frame["panel"].unique())]
        rows = [[str(quarter), *map(str, row)] for quarter, row in zip(wide.index, wide.to_numpy(), strict=True)]
        return Chart("levels", title, subtitle, panels, Table(title, [text("head.quarter"), *wide.columns], rows),
                     "guardrail_levels", [text("figure.reforms"), *notes] if notes else [])  # fmt: skip

    def scales(self, tables: Tables) -> Section | None:
        """Reliability of each scale, and whether it means the same everywhere and always."""
        if "scales" not in tables or tables["scales"].table.empty:
            return None
        text, labels = self.writer.text, self.writer.labels
        table = tables["scales"].table
        periods = list(dict.fromkeys(table["period"]))
        rows = {(row["measure"], row["period"]): row for row in table[table["by"] == ""].to_dict("records")}
        tried = tables["invariance"].table if "invariance" in tables else table.head(0)
        columns = list(dict.fromkeys(tried["category"].str.split(".").str[0]))
        names = [text("guard.quarter") if column == "quarter" else labels.column(column) for column in columns]
        cells = [
            [
                str(getattr(scale, f"title_{self.writer.language}")),
                text("guard.items", number=labels.number(len(scale.items), "count", "count")),
                *(
                    self._with_interval(row) if (row := rows.get((f"{scale.key}_alpha", period))) else ""
                    for period in periods
                ),
                *(self._same(tried, scale, column) for column in columns),
            ]
            for scale in self.writer.study.config.scales
            if any((f"{scale.key}_alpha", period) in rows for period in periods)
        ]
        head = [
            text("guard.scale"),
            text("guard.n_items"),
            *(text("guard.alpha_in", period=period) for period in periods),
        ]
        head += [text("guard.same_across", column=name) for name in names]
        return Section("scales", text("guard.scales_subtitle", level=self.writer.level),
                       Table(text("guard.scales_title"), head, cells), "scales", text("guard.scales_lead"))  # fmt: skip

    def _same(self, tried: pd.DataFrame, scale: ScaleSettings, column: str) -> str:
        """Whether a scale measures the same in all categories of a column: the worst of the three steps."""
        text = self.writer.text
        rows = tried[(tried["by"] == BY_INVARIANCE) & (tried["measure"] == scale.key)]
        steps = rows[rows["category"].isin([f"{column}.{level}" for level in LEVELS])]
        if steps.empty:
            return text("guard.not_tried")
        differs = rows[rows["category"].str.startswith(f"{column}.") & (rows["outcome"] == "differs")]
        if (steps["outcome"] == "fails").any():
            items = [item_title(self.writer.labels, category.split(".")[-1]) for category in differs["category"]]
            return text("guard.differs", items=text("answer.and").join(dict.fromkeys(items)))
        return text("guard.same" if (steps["outcome"] == "holds").all() else "guard.cannot_tell")


def _in_percent(part: pd.DataFrame) -> pd.DataFrame:
    """Shares on an axis of per cent."""
    factor = 100 if (part["unit"] == "share").all() else 1
    return part.assign(**{name: part[name] * factor for name in ("value", "ci_low", "ci_high")})
