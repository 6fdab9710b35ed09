"""Releases that are never rewritten, and a site that is swapped in one step."""

from __future__ import annotations

import json
import re

import pytest
from sample_results import national_results, protected, regional_results, row
from sample_study import write_combined_study

from analysis_lib.errors import PublicationBlocked, UsageError
from analysis_lib.publishing.releases import SBOM, altered, build_release, release_of
from analysis_lib.publishing.site import SITE, Contents, assemble, swap
from analysis_lib.quarters import Quarter

FIRST, SECOND = Quarter(2026, 2), Quarter(2026, 3)


def small_results(study, quarter, value=16.0):
    """Few rows, so that a release is built quickly."""
    hours = [
        row(key, "hours_week", "mean", value, 0.3, region=region, period=str(quarter))
        for key in ("gross_combined", "avoidable_combined", "excess_combined")
        for region in ("all", "P01", "P02")
    ]
    change = [row("gross_combined", "hours_week", "mean", -1.0, 0.2, period=f"{quarter.shift(-4)}→{quarter}")]
    national = {"hours": protected(study, "hours", hours), "change": protected(study, "change", change)}
    regional = {"region_hours": protected(study, "region_hours", [one for one in hours if one["region"] != "P02"])}
    return {"03-hours-lost": national, "10-region-brief/P01": regional}


@pytest.fixture
def study(tmp_path):
    return write_combined_study(tmp_path / "s")


def build_site(study, **contents):
    """The site of the newest release of each quarter."""
    newest = {}
    for manifest in sorted(study.reports.glob("20*/r*/release.json")):
        newest[manifest.parent.parent.name] = release_of(study, manifest.parent.relative_to(study.reports).as_posix())
    return swap(study, SITE, assemble(study, Contents(list(newest.values()), **contents)))


def tree(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_release_holds_pages_downloads_results_and_their_hashes(study):
    release = build_release(study, SECOND, small_results(study, SECOND))
    assert (release.name, release.is_new) == ("2026Q3/r1", True)
    pages = ["", "P01/", "data/", "methods/", "quality/"]
    assert set(release.manifest["files"]) == {
        *(f"{language}/2026Q3/{page}index.html" for language in ("zh", "en") for page in pages),
        *(f"data/2026Q3/{name}" for name in ("2026Q3-en.xlsx", "2026Q3-zh.xlsx", "P01-region_hours.csv", "change.csv",
                                             "datapackage.json", "hours.csv")),
        *(f"results/{name}.json" for name in ("03-hours-lost/change", "03-hours-lost/hours",
                                              "10-region-brief/P01/region_hours")),
    }  # fmt: skip
    assert release.manifest["is_simulated"] is True


def test_the_same_results_are_not_released_twice(study):
    first = build_release(study, SECOND, small_results(study, SECOND))
    before = tree(study.reports)
    again = build_release(study, SECOND, small_results(study, SECOND))
    assert (again.name, again.is_new) == (first.name, False)
    assert tree(study.reports) == before


def test_a_changed_number_is_a_new_release_beside_the_old(study):
    build_release(study, SECOND, small_results(study, SECOND))
    first = build_release(study, SECOND, small_results(study, SECOND), published=1)
    assert (first.name, first.is_new) == ("2026Q3/r1", False)
    old = tree(study.reports / "2026Q3" / "r1")
    release = build_release(study, SECOND, small_results(study, SECOND, value=15.0), published=1)
    assert release.name == "2026Q3/r2"
    assert tree(study.reports / "2026Q3" / "r1") == old
    build_site(study)
    assert "15.0" in (study.reports / "site" / "en" / "2026Q3" / "index.html").read_text(encoding="utf-8")


def test_two_machines_build_the_same_bytes(tmp_path):
    trees = []
    for name in ("a", "b"):
        study = write_combined_study(tmp_path / name)
        for quarter in (FIRST, SECOND):
            build_release(study, quarter, small_results(study, quarter))
        build_site(study)
        trees.append(tree(study.reports / "site"))
    assert trees[0] == trees[1]
    assert len(trees[0]) == 48


def test_pages_of_a_site_know_their_neighbours_and_every_link_leads_somewhere(study):
    for quarter in (FIRST, SECOND):
        build_release(study, quarter, small_results(study, quarter))
    site = build_site(study)
    size = -(-(site / "data" / "2026Q2" / "2026Q2-en.xlsx").stat().st_size // 1000)
    older = (site / "en" / "2026Q2" / "P01" / "index.html").read_text(encoding="utf-8")
    assert f'<a href="../../../data/2026Q2/2026Q2-en.xlsx" download>All tables (Excel, {size} KB)</a>' in older
    newest = (site / "en" / "2026Q3" / "P01" / "index.html").read_text(encoding="utf-8")
    assert "This is an older report" in older
    assert 'href="../../2026Q3/P01/index.html"' in older
    assert "This is an older report" not in newest
    assert "Previous: 2026Q2" in newest
    for page in site.rglob("*.html"):
        html = page.read_text(encoding="utf-8")
        assert "<!--site" not in html
        for href in re.findall(r'href="([^"#][^"]*)"', html):
            assert href.startswith("data:") or (page.parent / href.partition("#")[0]).is_file(), f"{page.name}: {href}"
    titles = {
        page: re.findall("<title>(.*?)</title>", page.read_text(encoding="utf-8"))[0] for page in site.rglob("*.html")
    }
    assert len(set(titles.values())) == len(titles)


def test_every_page_leads_to_the_corrections_also_where_there_are_none(study):
    build_release(study, SECOND, small_results(study, SECOND))
    site = build_site(study)
    for language, words in (("zh", "目前没有。"), ("en", "None so far.")):
        target = site / language / "corrections" / "index.html"
        assert words in target.read_text(encoding="utf-8")
        for page in set((site / language).rglob("*.html")) - {target}:
            feet = re.findall(r"<footer>.*?</footer>", page.read_text(encoding="utf-8"), flags=re.DOTALL)
            (foot,) = feet
            (href,) = re.findall(r'href="([^"]*corrections/index.html)"', foot)
            assert (page.parent / href).resolve() == target.resolve()


def test_pages_of_a_release_that_nobody_can_repeat_say_so(study):
    facts = {"drift": {"numpy": "1.0 (lock: 2.0)"}}
    release = build_release(study, SECOND, small_results(study, SECOND), facts=facts)
    assert release.manifest["drift"] == facts["drift"]
    site = build_site(study)
    assert "nobody can repeat these figures" in (site / "en/2026Q3/P01/index.html").read_text(encoding="utf-8")
    assert "他人无法逐字节重现" in (site / "zh/2026Q3/index.html").read_text(encoding="utf-8")


def test_the_released_page_itself_is_left_alone(study):
    for quarter in (FIRST, SECOND):
        build_release(study, quarter, small_results(study, quarter))
    before = tree(study.reports / "2026Q2")
    build_site(study)
    assert tree(study.reports / "2026Q2") == before


def test_the_site_is_a_link_that_is_swapped(study):
    build_release(study, FIRST, small_results(study, FIRST))
    first = build_site(study).resolve()
    assert build_site(study).resolve() == first
    build_release(study, SECOND, small_results(study, SECOND))
    second = build_site(study).resolve()
    assert second != first
    assert first.is_dir(), "a reader may still have it open"
    build_release(study, SECOND, small_results(study, SECOND, value=12.0), published=1)
    build_site(study)
    assert not first.exists()
    manifest = json.loads((study.reports / "site" / "release.json").read_text(encoding="utf-8"))
    assert [release["name"] for release in manifest["releases"]] == ["2026Q2/r1", "2026Q3/r2"]


def test_a_release_changed_by_hand_is_not_shown(study):
    release = build_release(study, SECOND, small_results(study, SECOND))
    page = release.folder / "en" / "2026Q3" / "index.html"
    page.write_text(page.read_text(encoding="utf-8").replace("16.0", "6.0"), encoding="utf-8")
    with pytest.raises(PublicationBlocked, match="not what was released"):
        build_site(study)
    (release.folder / "stray.txt").touch()
    assert altered(release) == ["en/2026Q3/index.html is not what was released", "stray.txt was added"]


def test_nothing_to_show_is_said(study):
    with pytest.raises(PublicationBlocked, match="no release"):
        build_site(study)
    with pytest.raises(UsageError, match="no release"):
        release_of(study, "2026Q3/r1")


def test_a_region_code_that_is_no_address_is_refused(study):
    results = small_results(study, SECOND)
    results["10-region-brief/..%2f"] = results.pop("10-region-brief/P01")
    with pytest.raises(PublicationBlocked, match="address"):
        build_release(study, SECOND, results)


def test_full_results_make_a_release(study):
    """The literal results of every notebook, once through the whole."""
    results = {**national_results(study), "10-region-brief/P02": regional_results(study, "P02")}
    files = build_release(study, SECOND, results).manifest["files"]
    assert {"data/2026Q3/series.csv", "data/2026Q3/returns.csv", "data/2026Q3/P02-region_week.csv"} <= set(files)


def test_a_candidate_that_nobody_saw_gives_way_to_the_next(study):
    build_release(study, SECOND, small_results(study, SECOND))
    release = build_release(study, SECOND, small_results(study, SECOND, value=15.0), facts={"state": "provisional"})
    assert (release.name, release.is_new) == ("2026Q3/r1", True)
    assert release.manifest["state"] == "provisional"
    assert altered(release) == []
    assert [path.name for path in (study.reports / "2026Q3").iterdir()] == ["r1"]


def test_every_page_of_a_preview_says_so(study):
    build_release(study, SECOND, small_results(study, SECOND))
    site = build_site(study, is_preview=True)
    pages = {page.relative_to(site).as_posix(): page.read_text(encoding="utf-8") for page in site.rglob("*.html")}
    assert all("尚未发布" in text or "not published" in text for text in pages.values())
    assert "not published" in pages["en/2026Q3/P01/index.html"]


def test_a_replaced_release_stays_reachable_and_says_what_became_known(study):
    old = build_release(study, SECOND, small_results(study, SECOND))
    build_release(study, SECOND, small_results(study, SECOND, value=15.0), published=1)
    correction = {
        "release": "2026Q3/r1", "kind": "correction", "text_zh": "甲省有误", "text_en": "Province A was wrong",
        "date": "2026-11-24",
    }  # fmt: skip
    site = build_site(study, older=[old], corrections=[correction])
    page = site / "releases" / "2026Q3" / "r1" / "en" / "2026Q3" / "P01" / "index.html"
    text = page.read_text(encoding="utf-8")
    assert "16.0" in text
    assert "A newer release exists" in text
    assert "Correction, November 24, 2026: Province A was wrong" in text
    assert "Province A was wrong" not in (site / "en" / "2026Q3" / "index.html").read_text(encoding="utf-8")
    assert "甲省有误" in (site / "zh" / "corrections" / "index.html").read_text(encoding="utf-8")
    assert "releases/2026Q3/r1/en/2026Q3/index.html" in (site / "en/archive/index.html").read_text(encoding="utf-8")
    for each in site.rglob("*.html"):
        for href in re.findall(r'href="([^"#][^"]*)"', each.read_text(encoding="utf-8")):
            assert href.startswith("data:") or (each.parent / href.partition("#")[0]).is_file(), (
                f"{each.relative_to(site)}: {href}"
            )


def test_the_list_of_packages_is_part_of_a_release_and_not_of_the_site(study):
    release = build_release(study, SECOND, small_results(study, SECOND), sbom="{}\n")
    assert (release.folder / SBOM).read_text() == "{}\n"
    assert altered(release) == []
    assert SBOM not in tree(build_site(study).resolve())
    (release.folder / SBOM).write_text("{ }\n")
    assert altered(release) == [f"{SBOM} is not what was released"]


def test_other_packages_alone_make_no_new_release_but_a_new_candidate(study):
    results = small_results(study, SECOND)
    build_release(study, SECOND, results, sbom="old")
    assert not build_release(study, SECOND, results, sbom="old").is_new
    candidate = build_release(study, SECOND, results, sbom="new")
    assert (candidate.is_new, candidate.name, (candidate.folder / SBOM).read_text()) == (True, "2026Q3/r1", "new")
    published = build_release(study, SECOND, results, published=1, sbom="newer")
    assert (published.is_new, published.name, (published.folder / SBOM).read_text()) == (False, "2026Q3/r1", "new")
