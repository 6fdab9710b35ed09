"""Gates of a publication: each lets a sound site pass and names what was planted in it, without repeating a leak."""

from __future__ import annotations

import re
import shutil
import zipfile

import pytest
from sample_results import protected, row
from sample_study import write_combined_study

from analysis_lib.publishing.gates import problems_of_site
from analysis_lib.publishing.gates.browser import one_of_each_kind
from analysis_lib.publishing.gates.leaks import Searched, is_id_number, leaks_in, leaks_in_text
from analysis_lib.publishing.releases import build_release
from analysis_lib.publishing.site import Contents, assemble
from analysis_lib.quarters import Quarter

PRIVATE = {"R-00417-ab", "12"}
PAGE, CSV = "en/2026Q3/index.html", "data/2026Q3/hours.csv"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    study = write_combined_study(tmp_path_factory.mktemp("study") / "s")
    measures = ("gross_combined", "avoidable_combined", "excess_combined")
    hours = [
        row(key, "hours_week", "mean", 16.2 + place, 0.3, region=region)
        for place, key in enumerate(measures)
        for region in ("all", "P01", "P02")
    ]
    change = [row("gross_combined", "hours_week", "mean", -1.0, 0.2, period="2025Q3→2026Q3")]
    national = {"hours": protected(study, "hours", hours), "change": protected(study, "change", change)}
    regional = {"region_hours": protected(study, "region_hours", [one for one in hours if one["region"] != "P02"])}
    results = {"03-hours-lost": national, "10-region-brief/P01": regional}
    release = build_release(study, Quarter(2026, 3), results)
    return study, release, assemble(study, Contents([release]))


@pytest.fixture
def found(built, tmp_path):
    """What the gates say of a copy of the site in which a text of a file was replaced."""
    study, release, built_site = built
    site = shutil.copytree(built_site, tmp_path / "site")

    def of(path: str = PAGE, old: str = "</main>", new: str = "</main>") -> list[str]:
        text = (site / path).read_bytes().decode()
        assert old in text
        (site / path).write_bytes(text.replace(old, new, 1).encode())
        return problems_of_site(study, site, release, private=PRIVATE)

    return of


def test_a_sound_site_passes(found):
    assert found() == []


# -- leaks (X15) --------------------------------------------------------------------------------------

LEAKS = {
    "a path of a machine": ["/ho" + "me/someone/study", "file:///x", "D:\\work\\x"],
    "a traceback": ["Traceback (most recent call last):"],
    "a terminal code": ["\x1b[31mred"],
    "a mobile number": ["13812345678", "+86 138 1234 5678", "138-1234-5678"],
    "an e-mail address": ["someone@example.org"],
    "an identity number": ["11010519491231002X"],
    "the id of a respondent": ["R-00417-ab"],
}


@pytest.mark.parametrize(("kind", "leak"), [(kind, leak) for kind, leaks in LEAKS.items() for leak in leaks])
@pytest.mark.parametrize("path", [PAGE, CSV])
def test_x15_a_leak_is_named_by_kind_and_place_and_never_repeated(built, tmp_path, kind, leak, path):
    study, _, site = built
    file = tmp_path / "planted"
    file.write_bytes((site / path).read_bytes() + f"\n<p>{leak}</p>".encode())
    said = leaks_in(file, path, Searched.of(study, PRIVATE))
    assert any(line.startswith(f"{path}: {kind}") for line in said)
    assert not any(leak in line for line in said)


@pytest.mark.parametrize(
    "text",
    [
        "../../data/2026Q3/hours.csv", "sha256-a13812345678b", "9138123456781", "110105194912310021", "12", "16.8/tmp",
        "contact@example.cn",
    ],
)  # fmt: skip
def test_x15_what_only_looks_like_a_leak_is_none(text):
    searched = Searched(frozenset(), (), frozenset(), "write to contact@example.cn")
    assert leaks_in_text(text, searched) == []


def test_x15_names_of_user_and_machine_are_looked_for_as_words():
    searched = Searched(frozenset({"jdoe-pc7"}), ("/srv/study-of-ours",), frozenset(), "")
    assert leaks_in_text("seen by JDOE-PC7", searched) == ["leak: the name of the user or the machine (line 1)"]
    assert leaks_in_text("\nsrc=/srv/study-of-ours/x", searched)[-1] == "leak: a folder of this machine (line 2)"


def test_x15_parts_of_a_workbook_and_names_of_files_are_read(built, tmp_path):
    study, _, site = built
    searched = Searched.of(study, PRIVATE)
    file = shutil.copy(site / "data/2026Q3/2026Q3-en.xlsx", tmp_path / "x.xlsx")
    assert leaks_in(file, "x.xlsx", searched) == []
    with zipfile.ZipFile(file, "a") as book:
        book.writestr("docProps/custom.xml", "<a>someone@example.org</a>")
    assert leaks_in(file, "x.xlsx", searched) == ["x.xlsx!docProps/custom.xml: an e-mail address (line 1)"]
    assert leaks_in(file, "R-00417-ab.xlsx", searched) == ["a file is named by the id of a respondent"]


@pytest.mark.parametrize(
    ("text", "is_one"),
    [("11010519491231002X", True), ("110105194912310021", False), ("110105199913310029", False)],
)
def test_an_identity_number_has_a_day_of_birth_and_a_check_character(text, is_one):
    # The first is the example of GB 11643-1999.
    assert is_id_number(text) is is_one


# -- links, markup, formats ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("link", "said"),
    [
        ('<a href="gone.html">x</a>', "no file stands at gone.html"),
        ('<a href="#gone">x</a>', "no anchor stands at #gone"),
        ('<a href="../../index.html#gone">x</a>', "no anchor stands at ../../index.html#gone"),
        ('<a href="../../../x">x</a>', "no file stands at ../../../x"),
        ('<a href="https://example.org/x">x</a>', "a link leaves the site for example.org"),
        ('<a href="//example.org/x">x</a>', "a link leaves the site for example.org"),
        ('<a href="javascript:alert(1)">x</a>', "a link leaves the site for javascript:"),
    ],
)
def test_x03_a_dead_or_foreign_link_is_named(found, link, said):
    assert found(new=f"{link}</main>") == [f"link: {PAGE}: {said}"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("</main>", "<p><b>x</p></main>", "</p> closes nothing, or closes it too early"),
        ("</body>", "", "</html> closes nothing"),
        ("<!DOCTYPE html>", "", "the doctype of HTML is missing"),
        ("</main>", '<p class="a" class="b">x</p></main>', "<p> has an attribute twice"),
        ("</main>", '<p id="points">x</p></main>', "id 'points' stands 2 times"),
        ("</main>", '<p aria-labelledby="gone">x</p></main>', "no element has the id 'gone'"),
        ("</main>", '<img src="data:,"></main>', "a picture has no text in its place"),
        ("</main>", "<script>x()</script></main>", "an element <script>"),
        ("</main>", '<p onclick="x()">x</p></main>', "an attribute onclick"),
        ("</main>", '<p style="color:red">x</p></main>', "an attribute style"),
        ("</main>", '<img alt="x" src="https://example.org/x.png"></main>', "src refers to something outside"),
        ("</main>", "<h1>x</h1></main>", "2 elements <h1> where one is meant"),
        ("</main>", "<h6>x</h6></main>", "a level of headings is left out"),
        ('<html lang="en">', "<html>", "the page does not say its language"),
        ("default-src 'none'", "default-src 'self'", "the content policy is not the one that was tested"),
        ('<th scope="col">', "<th>", "a head of a table says no scope"),
    ],
)
def test_a_page_that_breaks_a_rule_of_markup_is_named(found, old, new, said):
    lines = found(old=old, new=new)
    assert lines and all(line.startswith(f"markup: {PAGE}: ") for line in lines)
    assert any(said in line for line in lines)


def test_two_pages_of_one_title_are_named(found, built):
    title = re.search(r"<title>.*?</title>", (built[2] / "zh/2026Q3/index.html").read_text(encoding="utf-8"))[0]
    old = re.search(r"<title>.*?</title>", (built[2] / PAGE).read_text(encoding="utf-8"))[0]
    assert found(old=old, new=title) == ["markup: zh/2026Q3/index.html: its title is that of en/2026Q3/index.html"]


def test_r06_a_number_of_a_csv_that_is_not_that_of_the_results_is_named(found):
    assert found(CSV, ",16.2,", ",16.3,") == [f"formats: {CSV}: row 1, value is not that of the results"]


def test_r06_a_number_of_a_workbook_that_is_not_that_of_the_results_is_named(found, built, tmp_path):
    book = tmp_path / "site" / "data" / "2026Q3" / "2026Q3-en.xlsx"
    with zipfile.ZipFile(book) as parts:
        content = {name: parts.read(name) for name in parts.namelist()}
    sheet = next(name for name, part in content.items() if b"<v>16.2</v>" in part)
    content[sheet] = content[sheet].replace(b"<v>16.2</v>", b"<v>16.25</v>", 1)
    with zipfile.ZipFile(book, "w") as parts:
        for name, part in content.items():
            parts.writestr(name, part)
    (said,) = found()
    assert re.fullmatch(
        r"formats: data/2026Q3/2026Q3-en.xlsx: sheet '\w+', row 1, value is not that of the results", said
    )


def test_r06_r32_a_number_of_a_page_that_is_not_that_of_the_results_is_named(found):
    lines = found(old="<td>16.2</td>", new="<td>19.9</td>")
    assert any("has a number that the results do not have" in line for line in lines)
    assert any("has other numbers in 'en'" in line for line in lines)


def test_r32_a_page_without_its_twin_is_named(found, tmp_path):
    (tmp_path / "site" / "en" / "2026Q3" / "P01" / "index.html").unlink()
    assert "languages: zh/2026Q3/P01/index.html: there is no such page in 'en'" in found()


def test_one_page_of_each_kind_and_language_is_looked_at():
    paths = ["en/2026Q3/P01/index.html", "en/2026Q3/P02/index.html", "en/2026Q3/index.html", "zh/2026Q3/P02/index.html"]
    assert one_of_each_kind(paths, {"P01": "甲省", "P02": "乙省"}) == [paths[0], paths[2], paths[3]]
    assert one_of_each_kind(paths, {"P01": "甲省", "P02": "a longer name"}) == paths, "the widest name as well"
