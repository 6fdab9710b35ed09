"""Pages of a quarter, rendered from protected tables: the nation's and each region's, in each language."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd
from babel.numbers import format_decimal
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from analysis_lib.disclosure.protect import ProtectedTable
from analysis_lib.publishing import behind
from analysis_lib.publishing.charts import ChartMaker, Table, region_words
from analysis_lib.publishing.guardrail_words import distinction_words
from analysis_lib.publishing.sentences import Writer, pick, share_measures
from analysis_lib.publishing.verdicts import three_verdicts
from analysis_lib.quarters import Quarter
from analysis_lib.reforms import Reform, read_reforms
from analysis_lib.study import NATION, Study

TEMPLATES = Path(__file__).resolve().parent / "templates"
# Filled when a site is put together.
NAVIGATION, NOTICE, DOWNLOADS = "<!--site:navigation-->", "<!--site:notice-->", "<!--site:downloads-->"
SITE_MAP = "<!--site:map-->"
# Pages of the site and pages that every quarter has, last parts of their addresses.
ARCHIVE, CORRECTIONS, FIND = "archive", "corrections", "find"
DATA, METHODS, QUALITY = "data", "methods", "quality"
ABOUT = (DATA, METHODS, QUALITY)
MAX_POINTS = 6
KILOBYTE = 1000
WHOLE = {
    ".xlsx": "page.workbook",
    ".pdf": "page.pdf",
}  # end of the name of a file that holds a whole release → text of its link
# Last parts of the addresses of further pages.
DETAILS, RETURNS, AREAS, REFORMS = "details", "returns", "areas", "reforms"
CHANGES, GUARDRAILS, ADJUST = "changes", "guardrails", "adjust"
FURTHER = {  # page → tables of which it needs one
    GUARDRAILS: ("guardrails",),
    REFORMS: ("reform_effects",),
    ADJUST: ("adjustments", "scenarios", "forecasts"),
    DETAILS: ("drivers", "parts", "bottom_up"),
    RETURNS: ("flags", "recall", "heaping", "coping", "own_burden"),
    AREAS: ("areas",),
    CHANGES: ("change_account", "past_claims"),
}

_ENVIRONMENT = Environment(
    loader=FileSystemLoader(TEMPLATES),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


@dataclass(frozen=True)
class Report:
    """What a page of a quarter is made from.

    Attributes
    ----------
    study : Study
        The study.
    quarter : Quarter
        Quarter under report.
    region : str
        Region of the page, or the nation.
    tables : dict of str to ProtectedTable
        The nation's tables, or those of the region, by their names without ``region_``.
    page_regions : list of str
        Regions that have a page of their own in this release.
    number : int
        Release of the quarter.
    """

    study: Study
    quarter: Quarter
    region: str
    tables: dict[str, ProtectedTable]
    page_regions: list[str]
    number: int

    @property
    def period(self) -> str:
        """The quarter as a period of the tables."""
        return str(self.quarter)

    @property
    def is_national(self) -> bool:
        """Whether the page describes the whole population."""
        return self.region == NATION

    @cached_property
    def headline(self) -> pd.Series | None:
        """Row of the headline measure."""
        if "hours" not in self.tables:
            return None
        key = self.study.config.estimation.headline
        return pick(self.tables["hours"], measure=key, region=self.region, period=self.period)

    def change_of(self, measure: str) -> pd.Series | None:
        """Row of a measure's change."""
        if "change" not in self.tables:
            return None
        return pick(self.tables["change"], measure=measure, region=self.region, period=None)

    @property
    def further_pages(self) -> list[str]:
        """Pages besides the main one that have anything to show."""
        filled = [name for name, table in self.tables.items() if not table.table.empty] if self.is_national else []
        return [page for page, names in FURTHER.items() if set(names) & set(filled)]

    @property
    def reforms(self) -> list[Reform]:
        """Reforms of the register that the results tell of."""
        if REFORMS not in self.further_pages:
            return []
        told = {category.split(".")[0] for category in self.tables["reform_effects"].table["category"]}
        return [reform for reform in read_reforms(self.study) if reform.id in told]

    @property
    def regions_below(self) -> list[str]:
        """Regions compared on the page: those with pages, or those just below the region."""
        if self.is_national:
            return self.study.regions_at(self.study.config.estimation.page_level)
        regions = self.study.regions
        return [str(code) for code in regions.index[regions["parent"] == self.region]]


def reform_page(reform: str) -> str:
    """Last part of the address of a reform's page."""
    return f"reform-{reform}"


def render_report(report: Report, language: str) -> str:
    """The page of a quarter, for the nation or one of its regions."""
    writer = Writer(report.study, language)
    maker = ChartMaker(writer, report.region, report.period)
    tables = report.tables
    headline = report.study.config.estimation.headline
    made = {
        "trend": maker.trend(tables["series"], report.change_of(headline)) if "series" in tables else None,
        "week": maker.week(tables["week"]) if "week" in tables else None,
        "regions": maker.regions(tables["hours"], report.regions_below) if "hours" in tables else None,
        "nested": maker.nested(tables["hours"]) if "hours" in tables else None,
        "response": maker.response(tables["response"])
        if "response" in tables and RETURNS not in report.further_pages
        else None,
    }
    categories = list(maker.categories(tables["hours"])) if "hours" in tables else []
    charts = {chart.id: chart for chart in [*made.values(), *categories] if chart}
    measures = maker.measures(tables["hours"], tables["change"]) if {"hours", "change"} <= set(tables) else None
    depth = 2 if report.is_national else 3
    return render_template(
        "report",
        report.study,
        language,
        finding=writer.finding(report.headline, region=report.region, period=report.period),
        lede=_lede(report, writer),
        verdicts=verdict_cards(report, writer, below=""),
        distinctions=distinction_lines(report, writer, below=""),
        hero=hero(report, writer),
        nested=charts.get("nested"),
        points=main_points(report, writer),
        charts=[
            charts[name] for name in ("trend", "regions", *(chart.id for chart in categories), "week") if name in charts
        ],
        activities=None if DETAILS in report.further_pages else activities_table(report, writer),
        measures=measures and {"table": measures[0], "subtitle": measures[1], "download": tables["hours"].name},
        places=[{"href": f"{code}/index.html", "name": writer.labels.region(code)} for code in report.page_regions]
        if report.is_national
        else [],
        quality=quality_lines(report, writer),
        response=charts.get("response"),
        glossary=glossary(report, writer),
        about=_about(report, writer),
        home=None
        if report.is_national
        else {"href": "../index.html", "text": writer.text("page.back", nation=writer.labels.region(NATION))},
        switch=switch(
            report.study, language, depth, str(report.quarter), *([] if report.is_national else [report.region])
        ),
        behind=behind.of_page(tables, writer) if report.is_national else [],
        further=[
            {"href": f"{page}/index.html", "text": writer.text(f"behind.{page}_more")} for page in report.further_pages
        ],
        download=download_links(report, depth),
    )


# -- sentences of the page ----------------------------------------------------------------------------


def main_points(report: Report, writer: Writer) -> list[str]:
    """Three to six sentences: the headline, its change, the nested measures, a guardrail, the regions."""
    settings = report.study.config.estimation
    row = report.headline
    if row is None or "hours" not in report.tables:
        return [writer.finding(None, region=report.region, period=report.period)]
    points = [writer.value(row)]
    if pd.notna(row["value"]):
        points.append(writer.change(report.change_of(settings.headline)))
    points += [
        writer.value(other) for other in _rows(report, [key for key in settings.nested if key != settings.headline])
    ]
    points += [writer.value(other) for other in _rows(report, share_measures(report.study))]
    guards = [key for key, each in report.study.measures.items() if each.low_is_good is False]
    for other in _rows(report, guards[:1]):
        moved = writer.change(report.change_of(str(other["measure"])))
        points.append(writer.text("point.with_change", value=writer.value(other), change=moved))
    comparison = _regions_point(report, writer)
    return [*points[: MAX_POINTS - len(comparison)], *comparison]


def _regions_point(report: Report, writer: Writer) -> list[str]:
    hours, key = report.tables["hours"], report.study.config.estimation.headline
    if not report.is_national:
        nation = pick(hours, measure=key, region=NATION, period=report.period)
        here = report.headline
        if nation is None or here is None or pd.isna(nation["value"]) or pd.isna(here["value"]):
            return []
        return [writer.comparison(here, nation)]
    words = region_words(hours, key, report.regions_below, reference=NATION, period=report.period)
    if len(words) < 2:
        return []
    counted = {"above": words.count("higher"), "below": words.count("lower"), "rest": words.count("within")}
    key = "point.alike" if counted["rest"] == len(words) else "point.above_below"
    return [writer.text(key, total=len(words), mean=writer.mean(NATION), **counted)]


def verdict_cards(report: Report, writer: Writer, *, below: str) -> list[dict[str, str]]:
    """The verdicts that lead a national page, with links; ``below`` leads from the page to the quarter's folder."""
    if not report.is_national or report.headline is None:
        return []
    page = REFORMS if REFORMS in report.further_pages else ""
    change = report.change_of(report.study.config.estimation.headline)
    verdicts = three_verdicts(report.tables, change, writer=writer, page=page)
    return [asdict(each) | {"href": each.page and f"{below}{each.page}/index.html"} for each in verdicts]


def distinction_lines(report: Report, writer: Writer, *, below: str) -> list[dict[str, str]]:
    """The three distinctions in a line each, with links to their page."""
    if not report.is_national or "guardrails" not in report.tables:
        return []
    href = f"{below}{GUARDRAILS}/index.html" if GUARDRAILS in report.further_pages else ""
    return [
        {"title": each.title, "word": each.word, "tone": each.tone, "href": href}
        for each in distinction_words(report.tables["guardrails"], writer=writer)
    ]


def hero(report: Report, writer: Writer) -> dict[str, str] | None:
    """The one number that a reader takes away, with its interval and its change; None when it is not published."""
    row = report.headline
    if row is None or pd.isna(row["value"]):
        return None
    moved = report.change_of(str(row["measure"]))
    word = writer.word_for(moved)
    shown = {
        "number": writer.labels.number(row["value"], row["unit"], row["statistic"]),
        "unit": writer.labels.unit(row["unit"]),
        "range": writer.text("page.interval", level=writer.level, interval=writer.interval(row)),
        "word": "",
    }
    if moved is None or word == "unknown":
        return shown
    amount = writer.amount(moved["value"], moved["unit"], signed=True)
    return shown | {
        "word": writer.text(f"change.word_{word}"),
        "tone": _tone(word, report.study.measures[str(row["measure"])].low_is_good),
        "since": writer.text("page.since", base=writer.base(moved)),
        "amount": writer.with_interval(amount, moved),
    }


def _tone(word: str, low_is_good: bool | None) -> str:
    """Style of a change: for the better, for the worse, or neither; the word says which way it went."""
    if low_is_good is None or word not in ("lower", "higher"):
        return "neutral"
    return "better" if (word == "lower") == low_is_good else "worse"


def _lede(report: Report, writer: Writer) -> str:
    words = [writer.labels.why(report.study.config.estimation.headline)]
    words.append(writer.text("page.uncertainty", level=writer.level))
    return (" " if writer.language == "en" else "").join(word for word in words if word)


def _rows(report: Report, keys: list[str]) -> list[pd.Series]:
    rows = [pick(report.tables["hours"], measure=key, region=report.region, period=report.period) for key in keys]
    return [row for row in rows if row is not None]


def quality_lines(report: Report, writer: Writer) -> list[str]:
    """The data-quality box: response, diaries, checks, design, rules, risks, and what the figures are not for."""
    return [line for lines in quality_parts(report, writer).values() for line in lines]


def quality_parts(report: Report, writer: Writer) -> dict[str, list[str]]:
    """Sentences on quality by what they are about."""
    text, labels, config = writer.text, writer.labels, report.study.config
    returns = []
    counts: dict[str, str] = {}
    if "returns" in report.tables:
        table = report.tables["returns"].table
        counts = {row["measure"]: labels.number(row["value"], "count", "count") for row in table.to_dict("records")}
    rate = pick(report.tables["response"], measure="response_rate") if "response" in report.tables else None
    if rate is not None and pd.notna(rate["value"]) and "sampled" in counts:
        returns.append(text("quality.response", rate=labels.number(rate["value"], "share"), sampled=counts["sampled"]))
    returns += silent_lines(report, writer)
    not_held = report.study.config.calendar.not_held
    returns += [
        text("quality.not_held", quarter=labels.period(quarter), reason=not_held[quarter][writer.language])  # pyright: ignore[reportArgumentType]
        for quarter in sorted(not_held)
        if quarter < report.period
    ]
    if "diary_days" in counts:
        returns.append(text("quality.diaries", days=counts["diary_days"], used=counts["diary_days_used"]))
        problems = {name: counts[f"problems_{name}"] for name in ("rejected", "fixed", "warned")}
        returns.append(text("quality.problems", **problems))
    answers = [behind.coping(report.tables, writer), behind.own_burden(report.tables, writer)]
    design = [design_line(report, writer)]
    if config.design.stratum and config.design.single_psu != "refuse":
        design.append(text(f"quality.single_psu_{config.design.single_psu}"))
    limits = config.disclosure
    numbers = {"people": limits.min_respondents, "units": limits.min_units, "base": limits.round_counts_to}
    unit = labels.measures[config.estimation.headline].unit
    return {
        "returns": returns,
        "answers": [line for line in answers if line],
        "design": design,
        "rules": [text("quality.rules" if config.design.psu else "quality.rules_people", **numbers)],
        "words": [text("quality.smallest", amount=writer.amount(config.estimation.smallest_change, unit))],
        "risks": [text("quality.recall")],
        "use": [text("quality.not_for")],
    }


def design_line(report: Report, writer: Writer) -> str:
    """The sample design as the study declares it."""
    design = report.study.config.design
    names = {
        (True, True): "stratified",
        (False, True): "clustered",
        (True, False): "strata_only",
        (False, False): "simple",
    }
    return writer.text(f"quality.{names[bool(design.stratum), bool(design.psu)]}")


def silent_lines(report: Report, writer: Writer) -> list[str]:
    """Which regions nothing came from, and whom the figures above them then rest on."""
    if "response" not in report.tables:
        return []
    lines, table = [], report.tables["response"].table
    for what in ("response", "diary"):
        rows = table[table["measure"] == f"{what}_coverage"]
        whole = rows.loc[rows["region"] == NATION, "value"]
        if len(whole):
            silent = _whole_regions(report.study, set(rows["region"]) - {NATION})
            places = writer.text("answer.and").join(map(writer.labels.region, silent))
            share = writer.labels.number(float(whole.iloc[0]), "share")
            lines.append(writer.text(f"quality.silent_{what}", places=places, share=share))
    return lines


def _whole_regions(study: Study, codes: set[str]) -> list[str]:
    """Regions, those that are all of the regions below one named by that one, in the order of the list."""
    parents = study.regions["parent"]
    for parent, below in reversed(list(parents.groupby(parents, sort=False))):
        if parent != NATION and set(below.index) <= codes:
            codes = codes - set(below.index) | {str(parent)}
    return [str(code) for code in study.regions.index if code in codes]


def glossary(report: Report, writer: Writer) -> list[tuple[str, str]]:
    """Terms of a page with their meaning."""
    labels, settings = writer.labels, report.study.config.estimation
    keys = [key for key in dict.fromkeys([settings.headline, *settings.nested]) if labels.why(key)]
    terms = [(labels.measure(key), labels.why(key)) for key in keys][:3]
    for name in ("interval", "cannot_tell", *(["pooled"] if settings.pool_quarters > 1 else [])):
        words = writer.text(f"glossary.{name}_text", level=writer.level, count=settings.pool_quarters)
        terms.append((writer.text(f"glossary.{name}"), words))
    return terms


def _about(report: Report, writer: Writer) -> list[str]:
    about, text = report.study.config.study, writer.text
    following = report.quarter.shift(1)
    lines = []
    if source := getattr(about, f"source_{writer.language}"):
        lines.append(text("about.source", source=source))
    lines.append(text("about.cite", title=getattr(about, f"title_{writer.language}"), number=report.number,
                      place=writer.labels.region(report.region), period=writer.labels.period(report.period)))  # fmt: skip
    if about.contact:
        lines.append(text("about.contact", contact=about.contact))
    if following in report.study.config.calendar.quarters:
        due = writer.labels.day(report.study.due_date(following))
        lines.append(text("about.next", date=due))
    else:
        lines.append(text("about.last"))
    return [*lines, text("about.licence")]


def activities_table(report: Report, writer: Writer) -> dict[str, object] | None:
    """Every activity code, where there are few enough to show."""
    if "activities" not in report.tables or report.tables["activities"].table.empty:
        return None
    table = report.tables["activities"]
    rows = [
        [writer.labels.measure(row["measure"]), writer.labels.cell(row),
         "" if pd.isna(row["ci_low"]) else writer.interval(row)]
        for _, row in table.table.iterrows()
    ]  # fmt: skip
    head = [writer.text("head.activity"), writer.labels.unit("hours_week")]
    head.append(writer.text("head.interval", level=writer.level))
    return {"table": Table(writer.text("page.activities"), head, rows), "download": table.name}


# -- links and rendering ------------------------------------------------------------------------------


def download_name(table: str, region: str) -> str:
    """File name of a table's CSV."""
    return f"{table}.csv" if region == NATION else f"{region}-{table}.csv"


def workbook_name(quarter: Quarter, language: str) -> str:
    """File name of the workbook that holds every table of a quarter in a language."""
    return f"{quarter}-{language}.xlsx"


def whole_downloads(writer: Writer, sizes: dict[str, int], folder: str) -> str:
    """Section with links to the files that hold a whole release; their sizes in bytes by name, in a folder."""
    kinds = {name: text for end, text in WHOLE.items() for name in sizes if name.endswith(f"-{writer.language}{end}")}
    if not kinds:
        return ""
    item = Markup('<li><a href="{}{}" download>{}</a></li>')
    sized = {name: format_decimal(math.ceil(sizes[name] / KILOBYTE), locale=writer.language) for name in kinds}
    items = [item.format(folder, name, writer.text(text, size=sized[name])) for name, text in kinds.items()]
    section = '<section id="downloads">\n<h2>{}</h2>\n<ul class="tools">{}</ul>\n</section>\n'
    return str(Markup(section).format(writer.text("page.whole_release"), Markup("").join(items)))


def download_links(report: Report, depth: int) -> Callable[[str], str]:
    """Address of a table's CSV, from a page so many folders below the site's."""
    return lambda table: f"{'../' * depth}data/{report.quarter}/{download_name(table, report.region)}"


def switch(study: Study, language: str, depth: int, *path: str) -> list[dict[str, str]]:
    """Links to the same page in the other languages."""
    others = [other for other in study.config.publishing.languages if other != language]
    return [
        {
            "href": f"{'../' * depth}{'/'.join([other, *path, 'index.html'])}",
            "lang": {"zh": "zh-Hans", "en": "en"}[other],
        }
        for other in others
    ]


def render_template(template: str, study: Study, language: str, **values: object) -> str:
    """A page of a study in a language."""
    style = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    writer = Writer(study, language)
    return _ENVIRONMENT.get_template(f"{template}.html.jinja").render(
        language=language,
        t=writer.text,
        style=Markup(style),
        style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        is_simulated=study.config.study.is_simulated,
        study_title=getattr(study.config.study, f"title_{language}"),
        **values,
    )


def render_overview(report: Report, language: str, *, navigation: str, next_report: str, feed: str) -> str:
    """First page of a language: the finding of the latest quarter, and the ways on."""
    writer = Writer(report.study, language)
    return render_template(
        "overview",
        report.study,
        language,
        finding=writer.finding(report.headline, region=NATION, period=report.period),
        lede=_lede(report, writer),
        verdicts=verdict_cards(report, writer, below=f"{report.quarter}/"),
        distinctions=distinction_lines(report, writer, below=f"{report.quarter}/"),
        hero=hero(report, writer),
        points=main_points(report, writer),
        quarter=str(report.quarter),
        places=[
            {"href": f"{report.quarter}/{code}/index.html", "name": writer.labels.region(code)}
            for code in report.page_regions
        ],
        navigation=Markup(navigation),
        next=next_report,
        feed=feed,
        switch=switch(report.study, language, 1),
    )


def render_choice(report: Report) -> str:
    """The very first page: a choice of language, with the finding in each."""
    study = report.study
    entries = []
    for language in study.config.publishing.languages:
        writer = Writer(study, language)
        entries.append(
            {
                "lang": {"zh": "zh-Hans", "en": "en"}[language],
                "title": getattr(study.config.study, f"title_{language}"),
                "finding": writer.finding(report.headline, region=NATION, period=report.period),
                "href": f"{language}/index.html",
                "read": writer.text("site.read"),
            }
        )
    return render_template("choose", study, study.config.publishing.languages[0], entries=entries)


def navigation(
    writer: Writer, quarter: Quarter, quarters: list[Quarter], region_path: str, has_page: Callable[[Quarter], bool]
) -> tuple[str, str]:
    """Links of a page to its neighbours in time, and the notice that an older page carries."""
    depth = "../" * (2 if region_path else 1)
    links = [(f"{depth}index.html", writer.text("site.home"))]
    before = [other for other in quarters if other < quarter and has_page(other)]
    after = [other for other in quarters if other > quarter and has_page(other)]
    if before:
        links.append(
            (f"{depth}{before[-1]}/{region_path}index.html", writer.text("site.previous", period=str(before[-1])))
        )
    if after:
        links.append((f"{depth}{after[0]}/{region_path}index.html", writer.text("site.next", period=str(after[0]))))
    links += [(f"{depth}{page}/index.html", writer.text(f"site.{page}")) for page in (ARCHIVE, FIND)]
    items = link_items(links)
    if not after:
        return items, ""
    latest = after[-1]
    notice = Markup('<p class="notice">{} <a href="{}">{}</a></p>').format(
        writer.text("site.older"), f"{depth}{latest}/{region_path}index.html", writer.labels.period(str(latest))
    )
    return items, str(notice)


def link_items(links: Sequence[tuple[str, str]]) -> str:
    """Addresses and words as items of a navigation."""
    return str(Markup("\n").join(Markup('<li><a href="{}">{}</a></li>').format(*link) for link in links))
