"""PDF files of a release: tagged, silent about their making, equal to their page; pages are built without Chromium too."""

from __future__ import annotations

import io
import re

import pytest
from pypdf import PdfReader
from sample_results import protected, row
from sample_study import STUDY_TOML, write_study

from analysis_lib.errors import EnvironmentProblem, PublicationBlocked
from analysis_lib.publishing import printing, releases
from analysis_lib.publishing.gates import problems_of_site
from analysis_lib.publishing.pages import TEMPLATES
from analysis_lib.publishing.releases import build_release, lacks_pdf
from analysis_lib.publishing.site import Contents, assemble
from analysis_lib.quarters import Quarter
from analysis_lib.running.gates import pass_gates

QUARTER = Quarter(2026, 3)
PDF = "data/2026Q3/2026Q3-en.pdf"


@pytest.fixture
def study(tmp_path):
    return write_study(tmp_path / "s", study_toml=STUDY_TOML.replace("[publishing]", "[publishing]\npdf = true"))


def built(study):
    hours = [row("gross", "hours_week", "mean", 16.0, 0.3)]
    return build_release(study, QUARTER, {"03-hours-lost": {"hours": protected(study, "hours", hours)}})


@pytest.mark.browser
def test_r28_a_release_has_a_tagged_pdf_of_its_report_in_each_language(study, tmp_path):
    if printing.chromium() is None:
        pytest.skip("Chromium is not on this machine (Debian: apt-get install chromium)")
    release = built(study)
    assert lacks_pdf(study, release) == []
    reader = PdfReader(release.folder / PDF)
    assert reader.root_object["/MarkInfo"]["/Marked"].value is True
    assert (reader.root_object["/Lang"], PdfReader(release.folder / PDF.replace("en", "zh")).root_object["/Lang"]) == (
        "en", "zh-Hans",
    )  # fmt: skip
    assert set(reader.metadata) == {"/Title"}
    assert "16.0" in reader.pages[0].extract_text()
    assert built(study).is_new is False, "a candidate whose pages are the same keeps its PDF"
    site = assemble(study, Contents([release]))
    assert problems_of_site(study, site, release) == []
    assert ".pdf" in (site / "en/2026Q3/index.html").read_text(encoding="utf-8")
    page = site / "en/2026Q3/index.html"
    page.write_text(page.read_text(encoding="utf-8").replace("16.0", "17.0"), encoding="utf-8")
    assert f"formats: {PDF}: the finding of the page does not stand in it" in problems_of_site(study, site, release)


@pytest.mark.browser
def test_words_of_a_pdf_are_found_by_the_characters_that_readers_type_and_its_pages_are_numbered():
    if printing.chromium() is None:
        pytest.skip("Chromium is not on this machine (Debian: apt-get install chromium)")
    words, style = "一页文件用时至小人见车长门", (TEMPLATES / "style.css").read_text(encoding="utf-8")
    page = f'<!DOCTYPE html><html lang="zh-Hans"><title>t</title><style>{style}</style><p>{words}</p></html>'
    text = PdfReader(io.BytesIO(printing.printed(page))).pages[0].extract_text()
    assert words in text.replace(" ", "")
    assert re.search(r"1 ?/ ?1", text)


def test_f26_without_chromium_pages_are_built_and_publishing_is_refused(study, monkeypatch):
    monkeypatch.setattr(printing, "chromium", lambda: None)
    release = built(study)
    assert (release.folder / "en/2026Q3/index.html").is_file()
    assert release.manifest["lacking"] == "Chromium is not on this machine"
    assert lacks_pdf(study, release) == ["data/2026Q3/2026Q3-zh.pdf", PDF]
    with pytest.raises(PublicationBlocked, match=r"was not made: Chromium is not on this machine; .*pdf = false"):
        pass_gates(study, assemble(study, Contents([release])), release)
    monkeypatch.setattr(releases, "printed", lambda page: b"%PDF")
    assert lacks_pdf(study, built(study)) == [], "the next build makes what is lacking"


def test_a_browser_that_does_not_print_is_a_problem_of_the_machine(monkeypatch):
    monkeypatch.setattr(printing, "chromium", lambda: "/bin/false")
    with pytest.raises(EnvironmentProblem, match="did not print"):
        printing.printed("<p>x")


def test_x16_a_pdf_keeps_its_title_and_nothing_else_of_its_properties():
    from pypdf import PdfWriter

    writer, stream = PdfWriter(), io.BytesIO()
    writer.add_blank_page(100, 100)
    writer.add_metadata({"/Title": "T", "/Author": "somebody", "/Creator": "x", "/CreationDate": "D:20260101000000"})
    writer.write(stream)
    cleared = printing.cleared(stream.getvalue())
    assert dict(PdfReader(io.BytesIO(cleared)).metadata) == {"/Title": "T"}
    assert printing.cleared(cleared) == cleared
