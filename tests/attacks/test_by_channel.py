"""Attacks 9–17, 19–21, 23, 25 and 26: what leaks beside the numbers: precision, drawings, order, files, words, archives.

Most are tried by telling two worlds apart. In the one the withheld officials lost few hours, in the other many; or a
few more people answered. What readers get must be the same to the last byte, in whatever channel they look. The same
tables without a rule of disclosure must differ there, or the test could not fail.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable

import numpy as np
import openpyxl
import pandas as pd
import pypdf
import pytest
from crafted_release import NOW, SIZES, SMALL, crafted_study, officials, release_of_rows, tables_of, without_rules

from analysis_lib.disclosure.protect import protect
from analysis_lib.figures.labels import Labels
from analysis_lib.publishing import printing
from analysis_lib.publishing.downloads import csv_text
from analysis_lib.publishing.releases import build_release, release_files, release_of, render_page, reports_of
from analysis_lib.publishing.site import Contents, assemble
from analysis_lib.quarters import Quarter
from analysis_lib.running.releases import archived

Files = dict[str, str | bytes]
NUMBERS = ["estimate", "ci_low", "ci_high"]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return crafted_study(tmp_path_factory.mktemp("study") / "s")


@pytest.fixture(scope="module")
def rows():
    return officials()


@pytest.fixture(scope="module")
def withheld(study, rows):
    """Regions of which something is withheld: the small ones and their companions."""
    tables, _ = tables_of(study, rows)
    frame = pd.concat([each.table for unit in tables.values() for each in unit.values()])
    return sorted(set(frame.loc[frame["mark"] == "c", "region"]))


def busy(estimates: pd.DataFrame, regions: list[str]) -> pd.DataFrame:
    """The same estimates, but in the withheld places everybody lost three times as many hours."""
    there = estimates["region"].isin(regions)
    changed = {name: estimates[name].mask(there, estimates[name] * 3) for name in NUMBERS}
    return estimates.assign(**changed)


def crowded(estimates: pd.DataFrame, regions: list[str]) -> pd.DataFrame:
    """The same estimates, but of a few more people: as many as rounding takes away; in withheld places any number."""
    fitting = np.where(estimates["n"] % 5 == 2, estimates["n"] - 1, estimates["n"] + (estimates["n"] % 5 != 2))
    n = np.where(estimates["region"].isin(SMALL), np.minimum(9, 2 * estimates["n"]), fitting)
    return estimates.assign(n=n.astype("int64"), n_psu=estimates["n_psu"].where(estimates["n_psu"] < 4, 4))


def files_of(study, rows, world: Callable[[pd.DataFrame], pd.DataFrame]) -> Files:
    tables, _ = tables_of(study, rows, world=world)
    return release_files(study, Quarter.parse(NOW), tables, 1, map)


@pytest.fixture(scope="module")
def worlds(study, rows, withheld) -> dict[str, tuple[Files, Files]]:
    """By what differs between them: what readers get of two worlds."""
    here = files_of(study, rows, lambda estimates: estimates)
    there = {
        "hours": files_of(study, rows, lambda estimates: busy(estimates, withheld)),
        "people": files_of(study, rows, lambda estimates: crowded(estimates, withheld)),
    }
    return {name: (here, files) for name, files in there.items()}


@pytest.fixture(scope="module")
def bare(study, rows, withheld) -> dict[str, tuple[Files, Files]]:
    """The same without any rule of disclosure."""
    free = without_rules(study)
    here = files_of(free, rows, lambda estimates: estimates)
    there = {
        "hours": files_of(free, rows, lambda estimates: busy(estimates, withheld)),
        "people": files_of(free, rows, lambda estimates: crowded(estimates, withheld)),
    }
    return {name: (here, files) for name, files in there.items()}


# -- where readers look -------------------------------------------------------------------------------


def pages(files: Files) -> dict[str, str]:
    return {path: str(content) for path, content in files.items() if path.endswith(".html")}


def found(pattern: str) -> Callable[[Files], object]:
    return lambda files: {path: re.findall(pattern, text, re.S) for path, text in pages(files).items()}


def workbook_cells(files: Files) -> list:
    books = [openpyxl.load_workbook(io.BytesIO(book)) for path, book in files.items() if path.endswith(".xlsx")]  # type: ignore[arg-type]
    return [cell.value for book in books for sheet in book for row in sheet.iter_rows() for cell in row]


def bars_by_length(files: Files) -> dict[str, list[str]]:
    """Order of the places of a page by how far their marks reach, as a reader of a drawing has it."""
    return {path: sorted(re.findall(r'<path d="M ([\d. L-]+)"', text)) for path, text in pages(files).items()}


CHANNELS: dict[str, tuple[str, Callable[[Files], object]]] = {
    "a10 paths of drawings": ("hours", found(r' d="([^"]+)"')),
    "a11 attributes and embedded data": ("hours", found(r'(?:data-[a-z]+|title|aria-label|content)="([^"]*)"|<script[^>]*>(.*?)</script>')),
    "a12 alternative texts": ("hours", found(r"<(?:desc|title)[^>]*>([^<]*)<")),
    "a15 files beside the pages": ("hours", lambda files: {path: text for path, text in files.items() if not path.endswith((".html", ".xlsx"))}),
    "a16 order of marks and rows": ("hours", bars_by_length),
    "a17 ends of axes": ("hours", found(r"<text[^>]*>([\d.,−-]+)</text>")),
    "a25 pages in Chinese": ("hours", lambda files: {path: text for path, text in pages(files).items() if path.startswith("zh/")}),
    "a25 pages in English": ("hours", lambda files: {path: text for path, text in pages(files).items() if path.startswith("en/")}),
    "a19 units of a stratum": ("people", lambda files: {path: text for path, text in files.items() if path.endswith(".csv")}),
    "a26 people in captions, tables and lists": ("people", lambda files: {path: text for path, text in files.items() if isinstance(text, str)}),
    "a09 cells of workbooks": ("hours", workbook_cells),
}  # fmt: skip
UNREACHED = {"a11 attributes and embedded data"}  # nothing of a table goes there, with or without rules


@pytest.mark.parametrize("channel", CHANNELS)
def test_two_worlds_are_one_in(channel, worlds, bare):
    differs, look = CHANNELS[channel]
    first, second = worlds[differs]
    assert look(first) == look(second)
    if channel not in UNREACHED:
        first, second = bare[differs]
        assert look(first) != look(second), "without rules the worlds can be told apart here"


@pytest.mark.parametrize("differs", ["hours", "people"])
def test_two_worlds_are_one_to_the_last_byte(worlds, differs):
    first, second = worlds[differs]
    assert list(first) == list(second)
    for path, content in first.items():
        if isinstance(content, bytes):
            parts = [zipfile.ZipFile(io.BytesIO(each)) for each in (content, second[path])]  # type: ignore[arg-type]
            assert [{name: book.read(name) for name in book.namelist()} for book in parts[:1]] == [
                {name: book.read(name) for name in book.namelist()} for book in parts[1:]
            ]
        else:
            assert content == second[path], path


# -- precision ----------------------------------------------------------------------------------------


def test_a09_workbooks_keep_no_precision_behind_a_format_nothing_hidden_and_no_author(worlds, bare):
    def attack(files: Files) -> set[float]:
        numbers = [value for value in workbook_cells(files) if isinstance(value, float)]
        return {value for value in numbers if round(value, 2) != round(value, 1) and abs(value) > 1}

    first, _ = worlds["hours"]
    assert attack(bare["hours"][0])
    assert not attack(first)
    for path, book in first.items():
        if path.endswith(".xlsx"):
            read = openpyxl.load_workbook(io.BytesIO(book))  # type: ignore[arg-type]
            assert all(sheet.sheet_state == "visible" for sheet in read)
            assert not [
                1
                for sheet in read
                for each in (*sheet.column_dimensions.values(), *sheet.row_dimensions.values())
                if each.hidden
            ]
            assert not (read.properties.creator or read.properties.lastModifiedBy)


@pytest.mark.browser
def test_a13_a_pdf_holds_no_text_under_its_drawing_and_names_nobody(study):
    if printing.chromium() is None:
        pytest.skip("Chromium is not on this machine (Debian: apt-get install chromium)")

    def words(of) -> tuple[str, pd.DataFrame]:
        tables, _ = tables_of(of, officials(quarters=[NOW]))
        report = next(each for each in reports_of(of, Quarter.parse(NOW), tables, 1) if each.region == "P01")
        read = pypdf.PdfReader(io.BytesIO(printing.printed(render_page(report, "", "en"))))
        assert not (read.metadata and read.metadata.author)
        return " ".join(page.extract_text() for page in read.pages), report.tables["hours"].table

    text, table = words(without_rules(study))
    (value,) = table.query("measure == 'recall_gross' and region == 'C0102'")["value"].unique()
    assert f"{value:.2f}" in text
    text, _ = words(study)
    assert f"{value:.2f}" not in text and f"{value:.1f}" not in text


def hours_from_line(page: str) -> list[float]:
    """Hours of the first line of the trend, read off its path by the lines of its grid: to a hundredth of an hour."""
    drawing = re.search(r'<svg[^>]*aria-labelledby="trend0.*?</svg>', page, re.S)
    assert drawing
    grid = [float(y) for y in re.findall(r"M 30 ([\d.]+) L 244 ", drawing[0])]
    labels = [float(text) for text in re.findall(r'<text[^>]*text-anchor="end"[^>]*>(\d+)</text>', drawing[0])]
    per_hour = (grid[0] - grid[1]) / (labels[1] - labels[0])
    (line,) = re.findall(r'd="(M [^"]+)"[^>]*stroke="#1b5e8c" stroke-width="2"', drawing[0])
    return [(grid[0] - float(y)) / per_hour for y in re.findall(r"[\d.]+ ([\d.]+)(?: L|$)", line)]


def test_a10_a_drawing_holds_no_more_decimals_than_its_table(study, rows, worlds, bare):
    tables, _ = tables_of(without_rules(study), rows)
    series = tables["03-hours-lost"]["series"].table
    closer = series[(series["measure"] == "recall_gross") & (series["region"] == "all")]["value"].to_numpy()
    page = f"en/{NOW}/index.html"
    read = np.array(hours_from_line(str(bare["hours"][0][page])))
    np.testing.assert_allclose(read, closer, atol=0.011)
    assert np.abs(read - closer.round(1)).max() > 0.02, "without rules the drawing gives the second decimal"
    read = np.array(hours_from_line(str(worlds["hours"][0][page])))
    np.testing.assert_allclose(read, read.round(1), atol=0.011)


# -- names of places ----------------------------------------------------------------------------------


def test_a20_files_and_menus_do_not_tell_which_small_places_took_part(study, rows, worlds):
    """A county of seven people against one where nobody answered."""
    gone = rows[rows["county"] != "C0302"]
    without = release_files(study, Quarter.parse(NOW), release_of_rows(study, gone), 1, map)
    menu = found(r'href="([^#"][^"]*)"')
    assert [*without] == [*worlds["hours"][0]]
    assert menu(without) == menu(worlds["hours"][0])
    name = Labels(study, "en").region("C0302")
    for files in (without, worlds["hours"][0]):
        assert f"{name} [c]" in str(files[f"en/{NOW}/P03/index.html"])
    present = {county for county in rows["county"].unique() if county in set(gone["county"])}
    assert "C0302" not in present, "a list of the places in the data would have told"


def test_a12_a_text_beside_a_chart_says_that_a_place_is_withheld_and_nothing_else(study, worlds, bare):
    name = Labels(study, "en").region("C0102")
    attack = re.compile(rf"{name} (\d+\.\d)")
    page = f"en/{NOW}/P01/index.html"
    assert attack.search(str(bare["hours"][0][page]))
    assert not attack.search(str(worlds["hours"][0][page]))


# -- beside the tables --------------------------------------------------------------------------------


def test_a21_one_diary_dropped_in_a_county_is_not_told(study):
    def counts(of, dropped: int) -> str:
        row = {"measure": "problems_rejected", "statistic": "count", "unit": "count", "region": "all", "by": "",
               "category": "", "period": NOW, "estimate": float(dropped), "se": np.nan, "ci_low": float(dropped),
               "ci_high": float(dropped), "df": np.nan, "deff": np.nan, "n": dropped, "n_psu": 9}  # fmt: skip
        return csv_text(protect(pd.DataFrame([row]), "returns", study=of), study=of)

    assert counts(without_rules(study), 11) != counts(without_rules(study), 12)
    assert counts(study, 11) == counts(study, 12)


def test_a23_draws_of_a_bootstrap_do_not_pass_the_gate(study, rows):
    world = {"draws": lambda frame: [[1.0, 2.0, 71.3]] * len(frame), "residual": 3.25}
    tables, _ = tables_of(study, rows, world=lambda estimates: estimates.assign(**world))
    table = tables["03-hours-lost"]["hours"]
    assert {"draws", "residual"}.isdisjoint(table.table.columns)
    assert "71.3" not in table.to_json() + csv_text(table, study=study)


# -- archives -----------------------------------------------------------------------------------------


def test_a14_the_archive_does_not_keep_what_is_withheld_now(tmp_path):
    """Four of twelve officials of a county took part no more; the release that showed the county leaves the site."""
    study = crafted_study(tmp_path / "s")
    rows = officials({**SIZES, "C0202": 12}, quarters=[NOW])
    quarter = Quarter.parse(NOW)
    first = build_release(study, quarter, release_of_rows(study, rows))
    fewer = rows[~rows["respondent_id"].isin([f"C0202-{person}" for person in range(4)])]
    second = build_release(study, quarter, release_of_rows(study, fewer), published=1)
    name = Labels(study, "en").region("C0202")

    def attack(older) -> list[str]:
        site = assemble(study, Contents([second], older))
        told = [
            path for path in site.rglob("*.html") if re.search(rf"{name} \d+\.\d", path.read_text(encoding="utf-8"))
        ]
        return [path.relative_to(site).as_posix() for path in told]

    assert attack([first]), "with the older release beside it the number is back"
    assert archived([first], [second]) == []
    assert attack(archived([first], [second])) == []
    assert archived([first], [release_of(study, first.name)]) == [first], "what tells no more may stay"
