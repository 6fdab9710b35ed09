"""What a page says and how it is built, on a study of two regions."""

from __future__ import annotations

import base64
import gzip
import hashlib
import itertools
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from sample_results import hours_rows, national_results, protected, regional_results, row
from sample_study import STUDY_TOML, write_combined_study, write_study

from analysis_lib.publishing import pages
from analysis_lib.publishing.details import render_areas, render_details, render_returns
from analysis_lib.publishing.pages import FURTHER, Report, render_report
from analysis_lib.quarters import Quarter
from analysis_lib.study import NATION

RAW_LIMIT, GZIP_LIMIT = 150_000, 30_000


VOID = {"meta", "link", "br"}


class Outline(HTMLParser):
    """Elements of a page in order, with their attributes and texts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(html)
        assert self._open == [], "every element is closed"

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)
            self.texts.setdefault(tag, []).append("")

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open:
            self.texts[self._open[-1]][-1] += data

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write_combined_study(tmp_path_factory.mktemp("study") / "s")


def report_of(study, tables, region=NATION, page_regions=("P01", "P02")):
    named = {name.removeprefix("region_"): table for name, table in tables.items()}
    return Report(study, Quarter(2026, 3), region, named, list(page_regions), 1)


@pytest.fixture(scope="module")
def national(study):
    return report_of(
        study, {name: table for tables in national_results(study).values() for name, table in tables.items()}
    )


@pytest.fixture(scope="module")
def rendered(study, national):
    regional = report_of(study, regional_results(study, "P01"), region="P01")
    return {
        (place, language): render_report(report, language)
        for place, report in [("nation", national), ("P01", regional)]
        for language in ("zh", "en")
    }


def test_the_one_h1_is_the_finding_with_value_unit_and_period(rendered):
    headings = {key: Outline(html).texts["h1"] for key, html in rendered.items()}
    assert headings == {
        ("nation", "zh"): ["2026年第三季度，基层干部的会议、文件等总耗时为每周16.8小时"],
        ("nation", "en"): ["Gross hours lost: 16.8 hours a week, 3rd quarter of 2026"],
        ("P01", "zh"): ["2026年第三季度，示例省甲基层干部的会议、文件等总耗时为每周18.3小时"],
        ("P01", "en"): ["Gross hours lost in Example Province A: 18.3 hours a week, 3rd quarter of 2026"],
    }


def test_three_to_six_main_points_and_the_first_holds_the_headline_with_its_interval(rendered, national):
    for key, html in rendered.items():
        points = re.findall(
            r"<li>(.*)</li>", html[html.index('class="points"') : html.index("</ul>", html.index('class="points"'))]
        )
        assert 3 <= len(points) <= 6, key
        assert re.search(r"(16\.8|18\.3).*95%.*\d+\.\d", points[0])


def test_a_page_is_light_and_asks_nothing_of_others(rendered):
    for key, html in rendered.items():
        assert len(html.encode()) <= RAW_LIMIT, key
        assert len(gzip.compress(html.encode())) <= GZIP_LIMIT, key
        assert not re.search(r'(?:href|src)="(?:https?:)?//|<script|javascript:|@import|url\(http', html)


def test_the_policy_names_the_hash_of_the_one_style_and_no_element_has_a_style(rendered):
    for html in rendered.values():
        (style,) = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        assert f"style-src 'sha256-{digest}'" in html
        assert "default-src 'none'" in html
        assert " style=" not in html


def test_tables_have_captions_and_scopes_and_charts_have_text_alternatives(rendered):
    for html in rendered.values():
        outline = Outline(html)
        assert len(outline.all("caption")) == len(outline.all("table")) >= 4
        assert all(attributes.get("scope") in ("col", "row") for attributes in outline.all("th"))
        charts = outline.all("svg")
        assert len(charts) >= 6
        ids = [attributes["id"] for _, attributes in outline.elements if "id" in attributes]
        assert len(ids) == len(set(ids))
        assert all(set((chart["aria-labelledby"] or "").split()) <= set(ids) for chart in charts)
        assert all(text.strip() for text in outline.texts["desc"])


def test_headings_skip_no_level(rendered):
    for html in rendered.values():
        levels = [int(tag[1]) for tag, _ in Outline(html).elements if re.fullmatch(r"h\d", tag)]
        assert levels[0] == 1
        assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


def test_both_languages_hold_the_same_numbers_and_sections(rendered):
    def numbers(html):
        cells = re.findall(r"<td>([^<]*)</td>", html)
        return [re.findall(r"[−+]?\d[\d,.]*%?", cell) for cell in cells]

    for place in ("nation", "P01"):
        chinese, english = rendered[place, "zh"], rendered[place, "en"]
        sections = re.compile(r'<section id="([^"]+)"')
        assert sections.findall(chinese) == sections.findall(english)
        assert numbers(chinese) == numbers(english)


def test_every_page_says_that_it_is_simulated_and_a_real_study_says_nothing(rendered, tmp_path):
    assert all("模拟" in html for (_, language), html in rendered.items() if language == "zh")
    assert all("SIMULATED" in html for (_, language), html in rendered.items() if language == "en")
    real = write_study(tmp_path / "s", study_toml=STUDY_TOML.replace("is_simulated = true", "is_simulated = false"))
    html = render_report(report_of(real, {}), "en")
    assert "SIMULATED" not in html


def test_the_language_switch_leads_to_the_same_page(rendered):
    assert 'href="../../en/2026Q3/index.html" lang="en"' in rendered["nation", "zh"]
    assert 'href="../../../zh/2026Q3/P01/index.html" lang="zh-Hans"' in rendered["P01", "en"]


def test_the_quality_box_states_response_design_rules_and_misuse(rendered):
    box = rendered["nation", "en"].partition('id="quality"')[2]
    for words in (
        "Response rate 71%",
        "820 diary days",
        "stratified",
        "fewer than 10 people",
        "Not for: judging a person",
    ):
        assert words in box


def test_a_withheld_region_gets_a_page_without_a_number(study):
    rows = [
        row(key, "hours_week", "mean", 16.0, 0.3, region="P01", n=7)
        for key in ("gross_combined", "avoidable_combined", "excess_combined")
    ]
    tables = {
        "region_hours": protected(study, "region_hours", rows),
        "region_change": protected(study, "region_change", []),
    }
    html = render_report(report_of(study, tables, region="P01"), "en")
    assert Outline(html).texts["h1"] == ["Gross hours lost in Example Province A: not published, 3rd quarter of 2026"]
    assert "[c] withheld to protect respondents" in html
    assert "16.0" not in html


def test_a_study_without_sample_list_tiers_or_earlier_quarters_gets_its_page(tmp_path):
    plain = STUDY_TOML.replace(
        "[estimation]", '[design]\nstratum = ""\npsu = ""\n[estimation]\ncategories = []\npool_quarters = 1'
    )
    study = write_study(tmp_path / "s", study_toml=plain)
    (study.reference / "categories.csv").unlink()
    (study.reference / "reforms.toml").unlink()
    hours = [row(key, "hours_week", "mean", 16.0, 0.3) for key in ("gross", "avoidable", "excess")]
    tables = {
        "response": protected(study, "response", []),
        "hours": protected(study, "hours", hours),
        "series": protected(study, "series", hours),
        "change": protected(study, "change", []),
    }
    html = render_report(report_of(study, tables, page_regions=()), "zh")
    assert "每周16.0小时" in html
    assert "没有可与一年前比较的数值" in html
    assert "每位应答者视为一个单位" in html
    assert 'id="response"' not in html


def test_hostile_names_stay_text(tmp_path):
    study = write_combined_study(tmp_path / "s")
    path = study.reference / "regions.csv"
    payload = '</title><script>alert(1)</script>"onload=x'
    path.write_text(
        path.read_text(encoding="utf-8").replace("示例省甲", payload.replace('"', '""').join('""')), encoding="utf-8"
    )
    html = render_report(report_of(study, regional_results(study, "P01"), region="P01"), "zh")
    assert "<script" not in html
    assert "&lt;script&gt;" in html


def test_templates_hold_no_figures_and_mark_nothing_as_safe():
    for template in Path(pages.TEMPLATES).glob("*.jinja"):
        text = template.read_text(encoding="utf-8")
        assert "|safe" not in text.replace(" ", ""), template.name
        visible = re.sub(r"<[^>]*>|{[{%].*?[%}]}", "", text, flags=re.DOTALL)
        assert not re.search(r"\d", visible), template.name


# -- further pages ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def further(national):
    return {
        (page, language): render(national, language)
        for page, render in [("details", render_details), ("returns", render_returns), ("areas", render_areas)]
        for language in ("zh", "en")
    }


def test_the_national_page_leads_to_the_pages_that_have_something_to_show(rendered, national, study):
    for page in ("details", "returns", "areas"):
        assert f'href="{page}/index.html"' in rendered["nation", "en"]
    few = {name: table for name, table in national.tables.items() if name not in FURTHER["details"] and name != "areas"}
    assert report_of(study, few).further_pages == ["returns"]
    assert report_of(study, regional_results(study, "P01"), region="P01").further_pages == []


def test_further_pages_are_light_whole_and_hold_the_same_sections_in_both_languages(further):
    for key, html in further.items():
        assert len(html.encode()) <= RAW_LIMIT, key
        assert len(gzip.compress(html.encode())) <= GZIP_LIMIT, key
        outline = Outline(html)
        assert len(outline.texts["h1"]) == 1
        assert len(outline.all("caption")) == len(outline.all("table")) >= 1
        ids = [attributes["id"] for _, attributes in outline.elements if "id" in attributes]
        assert len(ids) == len(set(ids))
    sections = re.compile(r'<section id="([^"]+)"')
    for page in ("details", "returns", "areas"):
        assert sections.findall(further[page, "zh"]) == sections.findall(further[page, "en"])
    assert sections.findall(further["details", "en"]) == ["instruments", "requirers", "drivers", "parts", "bottom-up"]
    assert sections.findall(further["returns", "en"]) == [
        "response", "flags", "recall", "heaping", "coping", "own-burden",
    ]  # fmt: skip


def test_the_combined_interval_is_held_against_that_of_the_diaries(further):
    assert "both combined: 16.8 (95% interval 16.2 to 17.5), an interval 28% narrower" in further["details", "en"]


def test_who_required_the_hours_stands_on_the_second_page_alone(further, rendered):
    assert re.search(r">Gross hours required by the county</th><td>6\.0</td>", further["details", "en"])
    assert "required by the county" not in rendered["nation", "en"] + rendered["P01", "en"]


def test_hours_that_nobody_divides_by_requirer_have_no_section_on_them(study, national):
    hours = protected(study, "hours", hours_rows(["all"], keys=["recall_gross", "gross", "gross_combined"]))
    page = render_details(report_of(study, {**national.tables, "hours": hours}), "en")
    assert re.findall(r'<section id="([^"]+)"', page) == ["instruments", "drivers", "parts", "bottom-up"]


def test_a_place_says_which_kind_of_estimate_it_shows_and_how_much_its_diaries_weigh(further):
    row = re.search(r'<tr><th scope="row">Example County A2</th>(.*?)</tr>', further["areas", "en"])
    assert row and re.findall(r"<td>(.*?)</td>", row[1])[2:] == ["model", "0.30"]


def test_what_a_handful_of_doubted_returns_would_change_is_withheld(further):
    rows = re.findall(r'<tr><th scope="row">(.*?)</th><td>(.*?)</td><td>(.*?)</td></tr>', further["returns", "en"])
    moves = {name: move for name, _, move in rows}
    assert moves["Answered much faster than usual"] == "[c]"
    assert moves["Memory far from the diary"].startswith("+1.1 ")
