"""Names of a hundred characters and more: a chart shortens them and keeps room, the table beside it has them whole."""

from __future__ import annotations

import csv
import html
import json
import re
from itertools import cycle
from pathlib import Path

import pytest
from sample_results import national_results
from sample_study import write_combined_study

from analysis_lib.figures import style
from analysis_lib.publishing.releases import pages_of, render_page, reports_of
from analysis_lib.quarters import Quarter
from analysis_lib.study import Study

CHINESE = "特别长的名称以及它的各种补充说明（和限定条件）" * 6
ENGLISH = "an exceptionally long name with its qualifications and supplementary remarks " * 2
ONE_WORD = "unbrokenverylongname" * 6


@pytest.fixture(autouse=True)
def fonts() -> None:
    style.register_fonts()


@pytest.mark.parametrize("name", [CHINESE, ENGLISH, ONE_WORD, f"a {ONE_WORD}", f"{ONE_WORD} b"])
def test_a_label_takes_two_lines_at_most_and_the_second_ends_in_an_ellipsis(name: str) -> None:
    first, second = style.wrapped(name).split("\n")
    assert second.endswith("…")
    assert name.startswith(first)
    assert name[len(first) :].strip().startswith(second.removesuffix("…"))
    assert max(style.text_width(first), style.text_width(second)) <= style.LINE_LIMIT_PX
    assert not first.endswith("（") and not second.startswith(("）", " "))


def test_a_label_that_two_lines_hold_is_not_shortened() -> None:
    for name in ("Township leading post", "Organisation department and its offices", "组织部门及其各办公室与机关"):
        assert style.wrapped(name).replace("\n", "").replace(" ", "") == name.replace(" ", "")


def write_with_long_names(folder: Path) -> tuple[Study, list[str]]:
    """A study in which every name that a chart shows is long, and told apart by its number; the names."""
    study, names = write_combined_study(folder), []

    def long(language: str) -> str:
        kind = CHINESE if language == "zh" else (ENGLISH, ONE_WORD)[len(names) % 2]
        names.append(f"{len(names)}{kind}".strip())
        return names[-1]

    for file in ("measures.toml", "reforms.toml"):
        path = study.reference / file
        text = re.sub(
            r'^title_(zh|en)\s*=\s*"[^"]*"',
            lambda found: f"title_{found[1]} = {json.dumps(long(found[1]), ensure_ascii=False)}",
            path.read_text(encoding="utf-8"),
            flags=re.MULTILINE,
        )
        path.write_text(text, encoding="utf-8")
    for file in ("regions.csv", "activities.csv", "activity_groups.csv", "categories.csv"):
        path = study.reference / file
        rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
        named = [
            {key: long(key[-2:]) if key.startswith("name_") else value for key, value in row.items()} for row in rows
        ]
        with path.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, list(rows[0]))
            writer.writeheader()
            writer.writerows(named)
    return Study.open(study.root), names


def test_every_chart_of_the_pages_keeps_its_texts_within_its_edges(tmp_path: Path) -> None:
    study, names = write_with_long_names(tmp_path / "s")
    (report,) = reports_of(study, Quarter(2026, 3), national_results(study), 1)
    pages = [render_page(report, page, language) for page, language in zip(pages_of(report), cycle(("zh", "en")))]
    texts = [
        each for text in pages for drawn in re.findall(r"<svg.*?</svg>", text, re.DOTALL) for each in beyond(drawn)
    ]
    assert texts == []
    tables = "".join(
        html.unescape(table) for text in pages for table in re.findall(r"<table.*?</table>", text, re.DOTALL)
    )
    assert sum(name in tables for name in names) > 20, "the tables have them whole"


def beyond(drawn: str) -> list[str]:
    """Texts of a drawing that go beyond its left or right edge; those in Han characters alone are measured here."""
    box = re.search(r'viewBox="0 0 ([\d.]+) ', drawn)
    assert box is not None
    found = []
    for attributes, content in re.findall(r"<text([^>]*)>(.*?)</text>", drawn, re.DOTALL):
        text = html.unescape(re.sub(r"<[^>]+>", "", content))
        said = dict(re.findall(r'([\w-]+)="([^"]*)"', attributes))
        if "x" not in said:
            continue  # turned
        size = float(said.get("font-size", f"{style.TEXT_PX}px").removesuffix("px"))
        start, width = float(said["x"]), float(said.get("textLength", style.text_width(text, size)))
        anchor = said.get("text-anchor", "start")
        start -= {"start": 0, "middle": width / 2, "end": width}[anchor]
        if start < -1 or start + width > float(box[1]) + 1:
            found.append(f"{text[:20]} from {start:.0f} to {start + width:.0f} of {box[1]}")
    return found
