"""What readers of public statistics expect (R01–R35 of the design), each asked of a whole built site."""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import json
import re
import xml.etree.ElementTree as ET
from functools import cache
from html.parser import HTMLParser

import matplotlib as mpl
import openpyxl
import pandas as pd
import pytest
from sample_site import CORRECTION

from analysis_lib.figures import style
from analysis_lib.publishing import pages as addresses
from analysis_lib.publishing.catalogue import Catalogue
from analysis_lib.publishing.gates.browser import axe_source, faint_words, missing
from analysis_lib.publishing.gates.formats import unequal_formats, unequal_languages
from analysis_lib.publishing.gates.links import dead_links
from analysis_lib.publishing.gates.markup import faults_of, read_page
from analysis_lib.publishing.pages import TEMPLATES
from analysis_lib.publishing.releases import release_of, results_of
from analysis_lib.publishing.sentences import change_word

GZIP_LIMIT, RAW_LIMIT = 30_000, 150_000
FIGURE = re.compile(r"\d")
INTERVAL = re.compile(r"95%.*?\d+\.\d.*?\d+\.\d")
KINDS = ["", "P01/", "details/", "returns/", "areas/", "reforms/", "reform-forms/", "guardrails/", "adjust/", "changes/", "data/",
         "methods/", "quality/"]  # fmt: skip
OF_SITE = ["index.html", "archive/index.html", "corrections/index.html", "find/index.html", "data/index.html",
           "methods/index.html", "quality/index.html"]  # fmt: skip
LATEST = [f"{language}/2026Q3/{kind}index.html" for language in ("zh", "en") for kind in KINDS]
EVERY_KIND = ["index.html", *LATEST, *(f"{language}/{page}" for language in ("zh", "en") for page in OF_SITE)]
REPORTS = [path for path in LATEST if path.count("/") == 2 or "P01" in path]
TEXT = re.compile(r"<style>.*?</style>|<svg.*?</svg>|<[^>]+>", re.DOTALL)


class Elements(HTMLParser):
    """Start tags of a page in order, and the text directly in each."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str], list[str]]] = []
        self.open: list[list[str]] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, {name: value or "" for name, value in attrs}, []))
        self.open.append(self.found[-1][2])

    def handle_data(self, data):
        if self.open:
            self.open[-1].append(data)

    def handle_endtag(self, tag):
        if self.open:
            self.open.pop()

    def all(self, tag: str) -> list[tuple[dict[str, str], str]]:
        return [(attributes, "".join(text).strip()) for name, attributes, text in self.found if name == tag]


@pytest.fixture(scope="module")
def pages(reader_site):
    return reader_site.pages


@pytest.fixture(scope="module")
def read(pages):
    return cache(lambda path: Elements(pages[path]))


@pytest.fixture(scope="module")
def shown(pages):
    """Words of a page without its charts."""
    return cache(lambda path: re.sub(r"\s+", " ", TEXT.sub(" ", pages[path])))


@pytest.mark.parametrize("path", EVERY_KIND)
def test_every_kind_of_page_is_light(pages, path):
    page = pages[path].encode()
    assert len(page) <= RAW_LIMIT
    assert len(gzip.compress(page)) <= GZIP_LIMIT


@pytest.mark.parametrize("path", REPORTS)
def test_r01_heading_holds_figure_unit_period_and_place(read, path):
    ((_, heading),) = read(path).all("h1")
    assert FIGURE.search(heading)
    assert re.search("小时" if path.startswith("zh") else "hours a week", heading)
    assert "2026" in heading
    if "P01" in path:
        assert re.search("示例省甲|Example Province A", heading)


def test_r01_titles_are_told_apart(pages):
    now = [re.findall(r"<title>(.*?)</title>", page)[0] for path, page in pages.items() if "releases/" not in path]
    assert len(now) == len(set(now))


@pytest.mark.parametrize("path", REPORTS)
def test_r02_three_to_six_points_and_the_first_with_its_interval(pages, path):
    points = re.findall(r"<li>(.*?)</li>", re.findall(r'id="points">.*?</ul>', pages[path], re.DOTALL)[0])
    assert 3 <= len(points) <= 6
    assert INTERVAL.search(points[0])


@pytest.mark.parametrize(("low", "high"), [*itertools.product((-2.0, -0.2, -0.1, 0.0), (0.0, 0.1, 0.3, 2.0))])
def test_r03_no_direction_is_named_where_the_interval_covers_zero(low, high):
    assert change_word(low, high, 0.5) in ("little_change", "cannot_tell")


def test_r03_a_change_is_said_by_amount_interval_and_word(shown):
    assert re.search(r"Lower than in the .* by 1\.0 hours a week \(95% interval", shown("en/2026Q3/index.html"))


@pytest.mark.parametrize("path", LATEST)
def test_r04_no_change_is_called_an_effect_on_pages_without_a_design(shown, path):
    causal = r"because of|due to|caused by|thanks to|因为|由于|导致|得益于|促使"
    assert not re.search(causal, shown(path))


def test_r05_templates_and_texts_hold_no_figures():
    for template in TEMPLATES.glob("*.jinja"):
        words = re.sub(r"<[^>]*>|{[{%].*?[%}]}", "", template.read_text(encoding="utf-8"), flags=re.DOTALL)
        assert not FIGURE.search(words), template.name
    for language in ("zh", "en"):
        assert not [key for key, text in Catalogue(language).texts.items() if FIGURE.search(text)]


def test_r06_figures_agree_on_pages_in_csv_and_workbooks(reader_site):
    release = release_of(reader_site.study, "2026Q3/r1")
    read = {path: read_page(reader_site.folder / path, path) for path in LATEST}
    assert unequal_formats(reader_site.study, reader_site.folder, release, results_of(release), read) == []


@pytest.mark.parametrize("path", LATEST)
def test_r07_each_chart_stands_below_a_headline_and_a_subtitle(pages, path):
    for section in re.findall(r"<section[^>]*>(?:(?!<section).)*?</section>", pages[path], re.DOTALL):
        if "<svg" in section:
            assert re.search(r"<h[23]>.+?</h[23]>.*?<p class=\"subtitle\">.+?</p>.*?<svg", section, re.DOTALL)


def test_r08_small_multiples_share_their_axis_and_show_the_nation(pages):
    panels = re.findall(r"<svg[^>]*trend\d.*?</svg>", pages["en/2026Q3/P01/index.html"], re.DOTALL)
    ticks = [
        re.findall(r'<text x="\d[\d.]*" y="([\d.]+)" [^>]*text-anchor="end"[^>]*>(\d+)</text>', each) for each in panels
    ]
    assert len(panels) == 3
    assert ticks[0]
    assert ticks[0] == ticks[1] == ticks[2]
    assert all(style.NATION in panel for panel in panels)
    assert all(re.search(r'font-weight="700"[^>]*>\d+\.\d</text>', panel) for panel in panels), "last value labelled"


def test_r09_intervals_are_drawn_named_and_reforms_are_lines(pages):
    for path in REPORTS:
        subtitles = re.findall(r'class="subtitle">(.*?)</p>', pages[path])
        assert sum("95%" in each for each in subtitles) >= 3
    trend = re.findall(r"<svg[^>]*trend0.*?</svg>", pages["en/2026Q3/index.html"], re.DOTALL)[0]
    assert "stroke-dasharray" in trend
    assert "①" in trend
    assert "① One form" in pages["en/2026Q3/index.html"]


def test_r10_an_axis_that_does_not_start_at_zero_says_so(pages):
    trend = re.findall(r'<section id="trend">.*?</section>', pages["en/2026Q3/index.html"], re.DOTALL)[0]
    assert "axes start at zero" in trend
    assert re.search(r"<text[^>]*>0</text>", trend)
    assert "the axis does not start at zero" in pages["en/2026Q3/details/index.html"]


def test_r11_colours_are_told_apart_in_grey_and_stand_out():
    lightness = sorted(sum(w * part for w, part in zip((0.299, 0.587, 0.114), mpl.colors.to_rgb(colour), strict=True))
                       for colour in style.SERIES[:3])  # fmt: skip
    assert all(later - earlier > 0.02 for earlier, later in itertools.pairwise(lightness))
    sheet = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    inks = dict(re.findall(r"--(ink|muted|accent|deep|better|worse):(#\w+)", sheet))
    for ground in ("#ffffff", re.findall(r"--pale:(#\w+)", sheet)[0]):
        assert all(contrast(ink, ground) >= 4.5 for ink in inks.values())
    assert contrast(*(re.findall(rf"--{name}:(#\w+)", sheet)[0] for name in ("warn-ink", "warn"))) >= 4.5


@pytest.mark.browser
@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("path", [path for path in EVERY_KIND if path.startswith("zh/2026Q3")])
def test_r12_r27_r29_r35_legible_offline_without_scripts_and_no_sideways_scroll(opened, path, width):
    page = opened(path, width, java_script_enabled=True, offline=True)
    sizes = page.evaluate(
        """() => [...document.querySelectorAll('svg text')].map(text =>
        text.ownerSVGElement.getBoundingClientRect().width / text.ownerSVGElement.viewBox.baseVal.width *
        parseFloat(getComputedStyle(text).fontSize)).filter(size => size > 0)"""
    )
    assert min(sizes, default=11) >= 10.95
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.complaints == []
    assert [url for url in page.requests_made if not url.startswith(("file:", "data:"))] == []


@pytest.mark.parametrize("path", LATEST)
def test_r13_each_chart_has_title_description_and_table(pages, path):
    for chart in re.findall(r"<svg.*?</svg>", pages[path], re.DOTALL):
        assert re.search(r"<title [^>]*>[^<]+</title><desc [^>]*>[^<]+</desc>", chart)
    for section in re.findall(r"<section[^>]*>(?:(?!<section).)*?</section>", pages[path], re.DOTALL):
        assert "<svg" not in section or "<table" in section


@pytest.mark.parametrize("path", LATEST)
def test_r14_tables_have_captions_scopes_and_explain_their_marks(pages, path):
    assert len(re.findall("<table", pages[path])) == len(re.findall("<caption", pages[path]))
    for head in re.findall(r"<th[ >][^>]*>", pages[path]):
        assert "scope=" in head
    if "/data/" in path:
        return
    for table, after in re.findall(r"(<table.*?</table>)(.*?)(?=<table|$)", pages[path], re.DOTALL):
        for mark in set(re.findall(r"<td>[^<]*?\[(c|x|u|b|bu|p|up|bp|bup|z)\]", table)):
            assert f"[{mark}] " in re.findall(r'<p class="notes">(.*?)</p>', after, re.DOTALL)[0]
    sheet = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    assert "tabular-nums" in sheet
    assert re.search(r"th,td\{[^}]*text-align:right", sheet)


def test_r15_downloads_have_their_schema_sizes_and_date(reader_site, pages):
    folder = reader_site.folder / "data" / "2026Q3"
    package = json.loads((folder / "datapackage.json").read_text(encoding="utf-8"))
    assert {each["path"] for each in package["resources"]} == {path.name for path in folder.glob("*.csv")}
    for each in package["resources"]:
        content = (folder / each["path"]).read_bytes()
        assert content.startswith(b"\xef\xbb\xbf")
        assert each["bytes"] == len(content)
        head = next(csv.reader(io.StringIO(content.decode("utf-8-sig"))))
        assert head == [field["name"] for field in each["schema"]["fields"]]
        assert f'href="../../../data/2026Q3/{each["path"]}"' in pages["en/2026Q3/data/index.html"]
    for language in ("zh", "en"):
        assert openpyxl.load_workbook(folder / f"2026Q3-{language}.xlsx").sheetnames
    assert re.search(r"<td>\d+ KB</td>", pages["en/2026Q3/data/index.html"])
    assert "published November 17, 2026" in pages["en/archive/index.html"]


def test_r16_unreliable_and_withheld_cells_carry_marks_and_are_never_blank(reader_site):
    for path in (reader_site.folder / "data" / "2026Q3").glob("*.csv"):
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        hidden = table[table["value"] == ""]
        assert set(hidden["mark"]) <= {"c", "x"}, path.name
    assert re.search(r"\[(c|x|u)\]", "".join(reader_site.pages[path] for path in LATEST))


@pytest.mark.parametrize(("language", "words"), [("en", "instead of 16.4"), ("zh", "上一版为16.4")])
def test_r17_a_revised_headline_is_told_at_the_top(pages, language, words):
    page = pages[f"{language}/2026Q2/index.html"]
    notice = re.findall(r'<p class="notice">(.*?)</p>', page[: page.index("<h1>")])
    assert any(words in each for each in notice)


def test_r18_a_correction_stays_on_the_page_and_in_the_list_and_the_old_release_in_reach(pages):
    old = pages["releases/2026Q2/r1/en/2026Q2/index.html"]
    assert CORRECTION["text_en"] in old
    assert "A newer release exists" in old
    assert CORRECTION["text_zh"] in pages["zh/corrections/index.html"]
    assert "releases/2026Q2/r1/en/2026Q2/index.html" in pages["en/archive/index.html"]


@pytest.mark.parametrize("language", ["zh", "en"])
def test_r19_quality_has_its_headings_on_the_page_and_in_the_report(pages, language):
    box = pages[f"{language}/2026Q3/index.html"].partition('id="quality"')[2]
    needed = {
        "zh": ("回收率", "日志", "抽样设计", "不要用于"),
        "en": ("Response rate", "diary days", "Sample design", "Not for"),
    }
    assert all(words in box for words in needed[language])
    report = pages[f"{language}/2026Q3/quality/index.html"]
    sections = re.findall(r'<section id="([^"]+)"', report)
    assert sections == ["relevance", "sampling", "nonsampling", "timeliness", "coherence", "comparability",
                        "accessibility", "burden", "confidentiality", "revisions"]  # fmt: skip


@pytest.mark.parametrize("language", ["zh", "en"])
def test_r20_next_release_version_and_how_to_cite(pages, shown, language):
    words = {"zh": ("引用：", "第1版", "最后一个季度"), "en": ("Cite as:", "release 1", "last quarter of this study")}
    assert all(each in shown(f"{language}/2026Q3/index.html") for each in words[language])
    assert {"zh": "最迟", "en": "is reported by"}[language] in shown(f"{language}/2026Q2/index.html")
    assert {"zh": "没有计划中的后续季度", "en": "No further quarter"}[language] in shown(f"{language}/index.html")


def test_r20_lateness_is_seen(shown):
    assert "due November 14, 2026; late by days: 3" in shown("en/archive/index.html")
    assert "due August 14, 2026" in shown("en/archive/index.html")


def test_r21_archive_is_newest_first_and_pages_know_their_neighbours(pages, reader_site):
    listed = re.findall(r'href="\.\./(\d{4}Q\d)/index\.html"', pages["en/archive/index.html"])
    assert listed == sorted(listed, reverse=True) == ["2026Q3", "2026Q2"]
    assert 'href="../2026Q3/index.html">Next' in pages["en/2026Q2/index.html"]
    assert 'href="../2026Q2/index.html">Previous' in pages["en/2026Q3/index.html"]
    assert "This is an older report" in pages["en/2026Q2/index.html"]
    read = {path: read_page(reader_site.folder / path, path) for path in pages}
    assert dead_links(reader_site.folder, read) == []


def test_r22_a_region_is_set_against_the_nation_by_its_margin(shown):
    compared = "Example Province A: 18.3 hours a week; the national mean: 16.8 hours a week."
    assert f"{compared} The difference is within the margin of error." in shown("en/2026Q3/P01/index.html")


def test_r23_regions_are_never_ranked(pages, shown):
    assert "not ranked" in shown("en/2026Q3/index.html")
    for path in LATEST:
        assert not re.search(r"\branks? \d|第\d+名|排名第", shown(path))
    rows = re.findall(r'<section id="regions">.*?<tbody>(.*?)</tbody>', pages["en/2026Q3/index.html"], re.DOTALL)[0]
    places = re.findall(r'<th scope="row">(Example.*?)</th>', rows)
    assert places == sorted(places)


@pytest.mark.parametrize("path", REPORTS)
def test_r24_three_to_six_terms_are_explained_and_linked(pages, path):
    terms = re.findall(r"<dt>(.*?)</dt>", pages[path])
    assert 3 <= len(terms) <= 6
    assert 'href="#glossary"' in pages[path].partition('id="glossary"')[0]


@pytest.mark.parametrize("path", EVERY_KIND)
def test_r25_one_heading_no_skipped_level_landmarks_and_a_skip_link(pages, read, path, reader_site):
    levels = [int(tag[1]) for tag, _, _ in read(path).found if re.fullmatch(r"h\d", tag)]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    tags = [tag for tag, _, _ in read(path).found]
    assert {"header", "main", "footer"} <= set(tags)
    assert 'class="skip" href="#main"' in pages[path]
    assert list(faults_of(read_page(reader_site.folder / path, path))) == []


@pytest.mark.browser
@pytest.mark.parametrize("path", [path for path in EVERY_KIND if path.startswith("en/")])
def test_r25_axe_finds_nothing(opened, path):
    if missing():
        pytest.skip(f"not on this machine: {missing()}")
    page = opened(path, 320)
    page.evaluate(axe_source())
    found = page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")["violations"]
    assert [(each["id"], each["nodes"][0]["html"]) for each in found] == []


@pytest.mark.browser
@pytest.mark.parametrize("path", EVERY_KIND)
def test_r11_no_word_is_faint_in_drawings_or_out_of_them(opened, path):
    page = opened(path, 1280)
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert faint_words(page) == []


@pytest.mark.browser
def test_r11_a_faint_word_is_found_on_its_own_ground(opened):
    page = opened("zh/2026Q3/index.html", 1280)
    page.evaluate("""() => {
      const chart = document.querySelector('#nested-title, svg title').ownerSVGElement, word = chart.querySelector('text');
      const {x, y, width, height} = word.getBBox(), shape = document.createElementNS(chart.namespaceURI, 'rect');
      for (const [name, value] of Object.entries({x, y, width, height, fill: '#333333'})) shape.setAttribute(name, value);
      word.before(shape);
    }""")
    ((_, ratio),) = faint_words(page)
    assert ratio < 2


@pytest.mark.browser
def test_r26_the_page_can_be_walked_by_keyboard(opened):
    page = opened("en/2026Q3/index.html", 1280)
    wanted = page.evaluate("document.querySelectorAll('a[href], summary, [tabindex]').length")
    walked = set()
    for _ in range(wanted + 5):
        page.keyboard.press("Tab")
        walked.add(page.evaluate("""() => [...document.querySelectorAll('*')].indexOf(document.activeElement)"""))
    hidden = page.evaluate("document.querySelectorAll('details:not([open]) [tabindex]').length")
    assert len(walked) >= wanted - hidden
    regions = re.findall(r'<section class="scroll" [^>]*>', page.content())
    assert regions
    assert all('tabindex="0"' in each and "aria-labelledby" in each for each in regions)


@pytest.mark.browser
def test_r27_a_page_reads_the_same_with_scripts_off(opened):
    page = opened("zh/2026Q3/index.html", 320, java_script_enabled=False)
    assert "2026年第三季度" in page.locator("h1").inner_text()
    assert "<script" not in page.content()


@pytest.mark.browser
def test_r28_prints_on_a4_with_tags(opened):
    pdf = opened("zh/2026Q3/index.html", 1280).pdf(format="A4", tagged=True)
    assert b"/StructTreeRoot" in pdf
    assert 2 <= len(re.findall(rb"/Type\s*/Page\b", pdf)) <= 9


@pytest.mark.browser
@pytest.mark.parametrize("path", [path for path in EVERY_KIND if "2026Q3/" in path])
def test_r28_nothing_is_cut_in_print(opened, path):
    page = opened(path, 680)  # A4 without its margins
    page.emulate_media(media="print")
    assert page.evaluate("document.documentElement.scrollWidth") <= 680


@pytest.mark.browser
@pytest.mark.parametrize("path", ["zh/2026Q3/index.html", "en/2026Q3/data/index.html", "en/find/index.html"])
def test_r29_twice_the_zoom_does_not_scroll_sideways(opened, path):
    page = opened(path, 640, device_scale_factor=2)
    assert page.evaluate("document.documentElement.scrollWidth") <= 640


@pytest.mark.parametrize("path", [path for path in EVERY_KIND if path != "index.html"])
def test_r30_the_language_is_named_and_the_switch_leads_to_the_same_page(pages, read, path):
    language, _, rest = path.partition("/")
    other = {"zh": "en", "en": "zh"}[language]
    names = {"zh": "zh-Hans", "en": "en"}
    assert f'<html lang="{names[language]}">' in pages[path]
    up = "../" * path.count("/")
    (link,) = [attributes for attributes, _ in read(path).all("a") if attributes.get("hreflang")]
    assert link == {"href": f"{up}{other}/{rest}", "lang": names[other], "hreflang": names[other]}
    (head,) = [attributes for attributes, _ in read(path).all("link") if attributes.get("hreflang")]
    assert (head["hreflang"], head["href"]) == (names[other], link["href"])


def test_r31_chinese_is_set_as_chinese(shown):
    sheet = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    assert re.search(r":lang\(zh\)[^{]*\{line-height:1\.7", sheet)
    assert not re.search(r"italic|letter-spacing", sheet)
    for path in EVERY_KIND:
        if path.startswith("zh/"):
            assert not re.search(r"[\u4e00-\u9fff][,;:!?]|[\u4e00-\u9fff]\(", shown(path)), path


def test_r32_both_languages_hold_the_same_numbers_sections_and_notes(reader_site, pages):
    read = {path: read_page(reader_site.folder / path, path) for path in EVERY_KIND if path != "index.html"}
    assert unequal_languages(read, ["zh", "en"]) == []
    for path in EVERY_KIND:
        if path.startswith("zh/"):
            twin = pages[path.replace("zh/", "en/", 1)]
            assert re.findall(r'<section id="([^"]+)"', pages[path]) == re.findall(r'<section id="([^"]+)"', twin)


def test_r33_methods_are_versioned_by_release_and_changes_are_dated(pages, repository):
    from analysis_lib.methods import method_record

    for quarter in ("2026Q2", "2026Q3"):
        assert f'href="../{quarter}/methods/index.html"' in pages["en/methods/index.html"]
        assert 'id="versions"' in pages[f"en/{quarter}/methods/index.html"]
    assert "releases/2026Q2/r1/en/2026Q2/methods/index.html" in pages
    assert "marked [b] in every series" in pages["en/2026Q3/methods/index.html"]
    untold = {part.stem: part.untold for part in method_record(repository / "notebooks") if part.untold}
    assert untold == {}, "suite.toml dates and explains each raised method in both languages: [[notebook.changed]]"


def test_r34_a_manifest_names_releases_hashes_and_the_next_day(reader_site):
    site = json.loads((reader_site.folder / "release.json").read_text(encoding="utf-8"))
    assert [each["name"] for each in site["releases"]] == ["2026Q2/r2", "2026Q3/r1"]
    assert all(re.fullmatch(r"[0-9a-f]{64}", each["manifest_sha256"]) for each in site["releases"])
    assert [each["published"] for each in site["releases"]] == ["2026-09-01", "2026-11-17"]
    manifest = release_of(reader_site.study, "2026Q3/r1").manifest
    assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in manifest["files"].values())


def test_r35_nothing_is_asked_of_others(pages):
    for page in pages.values():
        assert not re.search(r'(?:href|src)="(?:https?:)?//|<script|@import|url\(http|document\.cookie', page)
        assert '<link rel="icon" href="data:,">' in page


# -- the rest of the map -------------------------------------------------------------------------------


def test_a_feed_tells_of_releases_and_corrections_newest_first(reader_site):
    for language in ("zh", "en"):
        feed = ET.fromstring((reader_site.folder / language / "feed.xml").read_text(encoding="utf-8"))
        atom = {"a": "http://www.w3.org/2005/Atom"}
        days = [each.text for each in feed.findall("a:entry/a:updated", atom)]
        assert days == sorted(days, reverse=True)
        assert len(days) == 3
        assert feed.findtext("a:updated", namespaces=atom) == days[0] == "2026-11-17T00:00:00Z"
        ids = [each.text for each in feed.findall("a:entry/a:id", atom)]
        assert len(set(ids)) == 3
        for link in feed.findall("a:entry/a:link", atom):
            assert (reader_site.folder / language / link.get("href")).is_file()
        assert "feed.xml" in reader_site.pages[f"{language}/index.html"]


def test_an_index_finds_places_measures_pages_and_terms_in_order(pages):
    found = pages["en/find/index.html"]
    assert re.findall(r'<section id="([^"]+)"', found) == ["places", "pages", "measures", "terms"]
    for part in re.findall("<section.*?</section>", found, re.DOTALL):
        words = re.findall(r"<li><a [^>]*>(.*?)</a>", part)
        assert words == sorted(words, key=str.casefold)
    linked = re.findall(r'href="\.\./2026Q3/([^"#]*)index\.html', found)
    assert set(linked) >= set(KINDS)


@pytest.mark.parametrize("page", addresses.ABOUT)
def test_every_page_leads_to_data_methods_and_quality_of_its_quarter(pages, page):
    assert f'href="../../2026Q3/{page}/index.html"' in pages["en/2026Q3/P01/index.html"]
    assert f'href="{page}/index.html"' in pages["en/index.html"]


def contrast(ink: str, ground: str) -> float:
    """Contrast ratio of WCAG 2.2."""

    def luminance(colour: str) -> float:
        parts = [
            part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in mpl.colors.to_rgb(colour)
        ]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    lighter, darker = sorted([luminance(ink), luminance(ground)], reverse=True)
    return (lighter + 0.05) / (darker + 0.05)
