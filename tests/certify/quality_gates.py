"""Measure a built study against the acceptance table of publications and write ``docs/quality-gates.md``.

``python tests/certify/quality_gates.py STUDY`` looks at the preview of a study that was built; ``--quick`` leaves out the
rows that are test suites, and keeps what the document says of them.
"""

from __future__ import annotations

import argparse
import datetime as dt
import gzip
import os
import platform
import re
import subprocess
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
DOCUMENT = REPOSITORY / "docs" / "quality-gates.md"
sys.path.insert(0, str(REPOSITORY / "tests"))

from analysis_lib.publishing.gates import browser, new_files, problems_of_site  # noqa: E402
from analysis_lib.publishing.releases import Release, hashes, made_here, release_files, release_of, results_of  # noqa: E402
from analysis_lib.running.gates import respondents  # noqa: E402
from analysis_lib.study import Study  # noqa: E402

HEAD = """# Quality gates of publications

Measured by `make gates STUDY={study}` on {date}, on the preview of a simulated study ({release}, {pages} pages in two
languages). A row that says "not yet measured" is a gap, not a pass.

| what | goal | measured | passes | how |
|---|---|---|---|---|
"""
# Rows that are test suites: what, goal, tests, minutes allowed.
SUITES = {
    "payloads fired, {sinks} texts planted, with the policy and without it": ("0", "tests/security -k x01_or_x02"),
    "controls X01–X20": ("all pass", "tests/security"),
    "attacks that recover a protected number": ("0 of 26", "tests/attacks"),
    "torn or missing reads during 200 publications": ("0", "tests/functional/test_faults_of_publishing.py -k f10"),
    "gates that block a publication": ("each", "tests/unit/publishing/test_gates.py tests/functional/test_gates_block_publication.py"),
}  # fmt: skip
MINUTES = 12
LOOKED_AT = "## Looked at"
NOT_MEASURED = "not yet measured"


def main() -> None:
    """Measure, write the document, and fail when a row does."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path)
    parser.add_argument("--quick", action="store_true", help="without the rows that are test suites")
    asked = parser.parse_args()
    study = Study.open(asked.study)
    site = (study.reports / "preview").resolve()
    newest = max(path.parent.relative_to(study.reports).as_posix() for path in study.reports.glob("2*/r*/release.json"))
    release = release_of(study, newest)
    files = new_files(site, release)
    pages = [path for path in files if path.endswith(".html")]
    rows = [
        *weights(site, pages),
        *gates(study, site, release),
        *checked_by_w3c(site, pages),
        *in_browser(study, site, pages),
        *bytes_again(study, release),
    ]
    rows += suites() if not asked.quick else kept()
    text = HEAD.format(study="STUDY", date=dt.date.today().isoformat(), release=release.name, pages=len(pages))
    text += "".join(f"| {' | '.join(row)} |\n" for row in rows)
    text += f"\nMachine: {platform.machine()}, Python {platform.python_version()}, {os.cpu_count()} cores.\n"
    DOCUMENT.write_text(text + looked_at(), encoding="utf-8")
    sys.exit(any(row[3] == "no" for row in rows))


def looked_at() -> str:
    """What people wrote about pages that they read; no command says it anew."""
    text = DOCUMENT.read_text(encoding="utf-8") if DOCUMENT.is_file() else ""
    start = text.find(LOOKED_AT)
    return "" if start < 0 else f"\n{text[start:]}"


Row = tuple[str, str, str, str, str]


def row(what: str, goal: str, measured: str, passes: bool | None, how: str) -> Row:
    """A row of the table; ``passes`` is None where nothing was measured."""
    return what, goal, measured, "" if passes is None else "yes" if passes else "no", how


def weights(site: Path, pages: list[str]) -> list[Row]:
    """Bytes of pages, as they are and compressed."""
    raw = {path: (site / path).read_bytes() for path in pages}
    packed = {path: len(gzip.compress(content, mtime=0)) for path, content in raw.items()}
    heaviest = max(packed, key=lambda path: packed[path])
    largest = max(raw, key=lambda path: len(raw[path]))
    how = "gzip of every page"
    return [
        row("heaviest page, gzip", "≤ 30 KB", f"{packed[heaviest] / 1000:.1f} KB ({heaviest})", packed[heaviest] <= 30_000, how),
        row("largest page", "≤ 150 KB", f"{len(raw[largest]) / 1000:.1f} KB ({largest})", len(raw[largest]) <= 150_000, how),
    ]  # fmt: skip


def gates(study: Study, site: Path, release: Release) -> list[Row]:
    """What the gates of a publication find in the site as it stands."""
    start = time.monotonic()
    private = respondents(study, release)
    found = problems_of_site(study, site, release, private=private)
    seconds = time.monotonic() - start
    names = {
        "leak": f"leaks (paths, names, e-mails, phones, identity numbers, {len(private)} ids of respondents)",
        "link": "dead or foreign links",
        "markup": "faults of markup",
        "formats": "numbers that differ between results, CSV, XLSX, PDF and pages",
        "languages": "pages or numbers that differ between languages",
    }
    how = f"`jianfu verify {release.name}` ({seconds:.0f} s for all five)"
    counts = {name: sum(line.startswith(f"{name}: ") for line in found) for name in names}
    return [row(what, "0", str(counts[name]), counts[name] == 0, how) for name, what in names.items()]


def in_browser(study: Study, site: Path, pages: list[str]) -> list[Row]:
    """What axe-core, the console and the network say."""
    names = {str(code): f"{row['name_zh']}{row['name_en']}" for code, row in study.regions.iterrows()}
    kinds = browser.one_of_each_kind(pages, names)
    how = "axe-core in Chromium, `analysis_lib/publishing/gates/browser.py`"
    if lacking := browser.missing():
        return [row("barriers found by axe", "0", f"{NOT_MEASURED} ({lacking} missing)", None, how)]
    found = browser.barriers(site, kinds)
    asked = [line for line in found if ": asks " in line]
    seen = f"{len(kinds)} kinds of pages, 320 and 1280 px"
    barriers = len(found) - len(asked)
    return [
        row("barriers found by axe, complaints of the console, sideways scrolling", "0", f"{barriers} ({seen})", barriers == 0, how),
        row("requests to others", "0", f"{len(asked)} ({seen})", not asked, how),
    ]  # fmt: skip


def checked_by_w3c(site: Path, pages: list[str]) -> list[Row]:
    """Errors that the Nu HTML checker finds, where its jar is named by ``VNU_JAR``."""
    jar, how = os.environ.get("VNU_JAR", ""), "`VNU_JAR=vnu.jar make gates` (Nu HTML checker, needs Java)"
    if not jar:
        return [row("errors of HTML", "0", f"{NOT_MEASURED} (VNU_JAR is not set)", None, how)]
    command = ["java", "-jar", jar, "--errors-only", "--format", "gnu", *(str(site / path) for path in pages)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    errors = [line for line in done.stderr.splitlines() if " error: " in line]
    return [
        row("errors of HTML", "0", f"{len(errors)} on {len(pages)} pages", not errors and done.returncode == 0, how)
    ]


def bytes_again(study: Study, release: Release) -> list[Row]:
    """Files of the release that a second rendering gives byte for byte."""
    again = hashes(release_files(study, release.quarter, results_of(release), release.number, map))
    first = made_here(release.manifest["files"])
    same = sum(again.get(path) == digest for path, digest in first.items())
    how = "pages, CSV, XLSX and JSON written again from the same results (PDF left out)"
    return [
        row(
            "files that are the same, byte for byte, when written again",
            "100 %",
            f"{same} of {len(first)}",
            same == len(first),
            how,
        )
    ]


def suites() -> list[Row]:
    """Rows that are test suites; one that takes too long here is not measured."""
    rows = []
    for what, (goal, tests) in SUITES.items():
        arguments = [each.replace("_or_", " or ") for each in tests.split()]
        command = [sys.executable, "-m", "pytest", "-q", "-n", "2", *arguments]
        how = f"`python -m pytest {tests.replace('x01_or_x02', chr(34) + 'x01 or x02' + chr(34))}`"
        try:
            done = subprocess.run(
                command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60 * MINUTES, check=False
            )
        except subprocess.TimeoutExpired:
            rows.append(
                row(what.format(sinks="≥ 30"), goal, f"{NOT_MEASURED} (stopped after {MINUTES} minutes)", None, how)
            )
            continue
        counts = re.findall(r"^[.sFEx]+", done.stdout, re.MULTILINE)
        passed, failed = (sum(text.count(sign) for text in counts for sign in signs) for signs in (".", "FE"))
        skipped = sum(text.count("s") for text in counts)
        told = f"{passed} tests pass, {failed} fail" + (f", {skipped} skipped" if skipped else "")
        rows.append(row(what.format(sinks="≥ 30"), goal, told, failed == 0 and passed > 0, how))
    return rows


def kept() -> list[Row]:
    """Rows of test suites as the document has them."""
    text = DOCUMENT.read_text(encoding="utf-8") if DOCUMENT.is_file() else ""
    whats = [what.format(sinks="≥ 30") for what in SUITES]
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    found = {cells[0]: cells for cells in lines if cells[0] in whats and len(cells) == 5}
    return [tuple(found.get(what, (what, "", NOT_MEASURED, "", ""))) for what in whats]


if __name__ == "__main__":
    main()
