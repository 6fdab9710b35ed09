"""Controls X01–X20 of the threat model, by id: what a hostile answer, file, name or page is kept from doing.

X03 and X15 are tests of the gates (``tests/unit/publishing/test_gates.py``), X05 of workbooks
(``test_workbooks_of_releases.py``), X06 and X07 of what is read (``tests/unit/platforms/test_workbooks.py``).
"""

from __future__ import annotations

import ast
import csv
import html
import io
import json
import re
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sample_results import all_results, protected, row
from sample_study import write_combined_study

from analysis_lib.errors import InputRejected, JianfuError, UsageError
from analysis_lib.figures.svg import to_svg
from analysis_lib.parameters import RunParameters
from analysis_lib.publishing.downloads import csv_text
from analysis_lib.publishing.gates.markup import faults_of, read_page
from analysis_lib.publishing.releases import build_release
from analysis_lib.publishing.site import Contents, assemble
from analysis_lib.quarters import Quarter
from analysis_lib.study import Study
from analysis_lib.tables.store import Store

REPOSITORY = Path(__file__).resolve().parents[2]
LIBRARY = sorted((REPOSITORY / "analysis_lib").rglob("*.py"))
# A payload breaks out of text, of an attribute, of a title, of a style and of SVG; each says who it is by its number.
PAYLOAD = "\"'><script>alert({0})</script><img src=x onerror=alert({0})></title></style></svg><svg onload=alert({0})>"
NAME = "\"'><svg onload=alert({0})>"  # for names, which a chart must find room for
QUARTERS = ("2026Q2", "2026Q3")


# -- X01, X02, X20: a payload in every text that people write -------------------------------------------


class Planting:
    """Puts a payload of its own into each text that it is given, and remembers which."""

    def __init__(self) -> None:
        self.sinks: list[str] = []

    def __call__(self, where: str, payload: str = PAYLOAD) -> str:
        self.sinks.append(where)
        return payload.format(len(self.sinks))

    def toml(self, path: Path, names: str) -> None:
        """Replace every text of these names in a TOML file."""

        def planted(match: re.Match[str]) -> str:
            payload = NAME if match[1].startswith("title") else PAYLOAD
            return f"{match[1]} = {json.dumps(self(f'{path.name} {match[1]}', payload))}"

        text = path.read_text(encoding="utf-8")
        path.write_text(re.sub(rf'^({names})\s*=\s*"[^"]*"', planted, text, flags=re.MULTILINE), encoding="utf-8")

    def table(self, path: Path) -> None:
        """Replace every name in a CSV of names."""
        rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
        for place, each in enumerate(rows):
            for column in [name for name in each if name.startswith(("name_", "title_"))]:
                each[column] = self(f"{path.name} {column} {place}", NAME)
        with path.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """A site of a study in which every text that people write is a payload, and what was planted."""
    study = write_combined_study(tmp_path_factory.mktemp("study") / "s")
    plant = Planting()
    titles = r"(?:title|why|source|what|decides|means)_(?:zh|en)|contact"
    config = study.root / "study.toml"
    config.write_text(
        config.read_text(encoding="utf-8").replace("[calendar]", 'contact = "x"\n[calendar]', 1), encoding="utf-8"
    )
    plant.toml(config, titles)
    plant.toml(study.reference / "reforms.toml", titles)
    plant.toml(study.reference / "measures.toml", titles)
    for name in ("regions.csv", "activities.csv", "activity_groups.csv", "categories.csv"):
        plant.table(study.reference / name)
    study = Study.open(study.root)
    releases = [build_release(study, Quarter.parse(text), all_results(study, text)) for text in QUARTERS]
    told = {"text_zh": plant("correction zh"), "text_en": plant("correction en")}
    correction = {"release": "2026Q3/r1", "kind": "correction", "date": "2026-11-20", **told}
    return assemble(study, Contents(releases, corrections=[correction])), plant.sinks


def pages_of(site: Path) -> list[str]:
    return sorted(path.relative_to(site).as_posix() for path in site.rglob("*.html"))


def test_x01_no_payload_becomes_an_element_or_an_attribute(planted) -> None:
    site, sinks = planted
    assert len(sinks) >= 30
    wrong = [fault for path in pages_of(site) for fault in faults_of(read_page(site / path, path))]
    assert [fault for fault in wrong if re.search(r"element <|attribute|closes|closed", fault)] == []
    text = "".join(html.unescape((site / path).read_text(encoding="utf-8")) for path in pages_of(site))
    reached = {int(number) for number in re.findall(r"onload=alert\((\d+)\)>", text)}
    assert len(reached) >= 30, "payloads stand in pages as text, so that there was something to escape"


@pytest.mark.browser
@pytest.mark.parametrize("has_policy", [True, False], ids=["with the policy", "without it"])
def test_x02_no_payload_fires(planted, tmp_path: Path, has_policy: bool) -> None:
    from analysis_lib.publishing.gates import browser

    if missing := browser.missing():
        pytest.skip(f"not on this machine: {missing}")
    site, _ = planted
    dialogs: list[str] = []

    def watched(context: Any) -> Any:
        page = context.new_page()
        page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
        return page

    with browser.running_browser() as running:
        page, active = watched(running.new_context(offline=True, bypass_csp=not has_policy)), []
        for path in browser.one_of_each_kind(pages_of(site), {"P01": "", "P02": ""}):
            page.goto((site / path).as_uri())
            active += [path] if page.locator("script, [onerror], [onload]").count() else []
        assert (active, dialogs) == ([], [])
        other = watched(running.new_context(offline=True))
        other.set_content(PAYLOAD.format(0))
        other.wait_for_timeout(1000)
    assert "0" in dialogs, "the payload does fire where nothing stops it"


def test_x01_trusted_markup_is_made_in_few_places_only() -> None:
    templates = [path.read_text(encoding="utf-8") for path in (REPOSITORY / "analysis_lib").rglob("*.jinja")]
    assert not any(re.search(r"\|\s*safe\b|autoescape\s+false", text) for text in templates)
    places = {path.name for path in LIBRARY if re.search(r"\bMarkup\(", path.read_text(encoding="utf-8"))}
    assert places <= {"pages.py", "site.py", "svg.py", "data_page.py", "passages.py"}
    formatted = [
        (path.name, node.lineno)
        for path in LIBRARY
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", "") == "Markup"
        and isinstance(node.args[0], ast.JoinedStr)
    ]
    assert formatted == [], "an f-string in Markup() is not escaped; Markup(…).format(…) is"


def test_x01_a_payload_in_a_chart_is_text() -> None:
    from matplotlib.figure import Figure

    figure = Figure()
    figure.subplots().text(0, 0, "<b>x")
    drawn = to_svg(figure, id_prefix="a", title=PAYLOAD.format(1), description=PAYLOAD.format(2))
    assert (
        "<script" not in drawn and "<img" not in drawn and 'onload="' not in html.unescape(drawn).split("<desc")[0][:60]
    )


# -- X04, X05, X16: downloads ---------------------------------------------------------------------------


@pytest.mark.parametrize("start", ["=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1"])
def test_x04_no_cell_of_a_csv_starts_a_formula(tmp_path: Path, start: str) -> None:
    study = write_combined_study(tmp_path / "s")
    with (study.reference / "categories.csv").open("a", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerow(["tier", "odd", start, start])
    odd = row("gross_combined", "hours_week", "mean", 16.0, 0.3, by="tier", category="odd")
    text = csv_text(protected(study, "hours", [odd]), study=study)
    cells = [cell for line in csv.reader(io.StringIO(text[1:], newline="")) for cell in line]
    assert any(start.strip() in cell for cell in cells)
    assert not any(cell[:1] in set("=+@\t\r") or (cell[:1] == "-" and not _is_number(cell)) for cell in cells)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def test_x16_files_say_nothing_of_who_made_them_and_when(planted) -> None:
    site, _ = planted
    for book in site.rglob("*.xlsx"):
        with zipfile.ZipFile(book) as parts:
            assert {part.date_time for part in parts.infolist()} == {(1980, 1, 1, 0, 0, 0)}
            core = parts.read("docProps/core.xml").decode()
        assert re.search(r"<dc:creator>\s*</dc:creator>", core)
        assert set(re.findall(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", core)) <= {
            "2026-06-30T00:00:00",
            "2026-09-30T00:00:00",
        }
    for path in pages_of(site):
        text = (site / path).read_text(encoding="utf-8")
        assert not re.search(r"<metadata|matplotlib|generator|Created with", text)


# -- X08–X13: what is read and written ------------------------------------------------------------------

NAMES = [
    "../../x", "/etc/passwd", "a/b", "a\\b", "..", "", "CON", "nul", "-rf", "a\x00b", "a\nb", "a\u202eb", "ａ／ｂ", "a" * 120,
    "中文", "a b", ".hidden",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_x11_no_such_name_becomes_a_region_a_quarter_or_a_folder(tmp_path: Path, name: str) -> None:
    study = write_combined_study(tmp_path / "s")
    with pytest.raises(JianfuError):
        RunParameters.parse(study=str(study.root), quarter="2026Q3", region=name)
    with pytest.raises(JianfuError):
        RunParameters.parse(study=str(study.root), quarter=name or "x")
    file = tmp_path / "answers.csv"
    file.write_text("a\n1\n", encoding="utf-8")
    with pytest.raises((JianfuError, ValueError)):
        Store(study).receive(
            {"answers": file}, quarter=Quarter(2026, 3), instrument="v1", source="x", slug=name or "/",
            received=Quarter(2026, 3).last_day,
        )  # fmt: skip
    assert not list(study.raw.rglob("answers*")) if study.raw.is_dir() else True


@pytest.mark.parametrize("name", ["../x", "a/b", "-rf", "..", "x y"])
def test_x11_a_page_is_named_by_a_code_only(tmp_path: Path, name: str) -> None:
    study = write_combined_study(tmp_path / "s")
    table = next(iter(all_results(study, "2026Q3")["10-region-brief/P01"].values()))
    with pytest.raises(JianfuError):
        build_release(study, Quarter(2026, 3), {f"10-region-brief/{name}": {"hours": table}})
    assert not list(study.reports.rglob("*.html")) if study.reports.is_dir() else True


def test_x08_no_file_from_outside_is_parsed_in_the_process_that_asks() -> None:
    parsers = {"read_table", "read_delimited", "read_workbook", "CalamineWorkbook", "pacsv"}
    used = {
        path.name
        for path in LIBRARY
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom | ast.Import)
        for name in node.names
        if {name.name.rpartition(".")[2], name.asname} & parsers
    }
    inside, of_our_own = {"files.py", "delimited.py", "workbooks.py"}, {"formats.py"}
    assert used - inside - of_our_own == {"confined.py"}, "it reads by itself only where a platform has no limits"


def test_x12_what_a_link_leads_to_is_not_received(tmp_path: Path) -> None:
    study = write_combined_study(tmp_path / "s")
    secret, link = tmp_path / "secret.csv", tmp_path / "answers.csv"
    secret.write_text("a\n1\n", encoding="utf-8")
    link.symlink_to(secret)
    with pytest.raises(InputRejected, match="link"):
        Store(study).receive(
            {"answers": link}, quarter=Quarter(2026, 3), instrument="v1", source="x", slug="one",
            received=Quarter(2026, 3).last_day,
        )  # fmt: skip


def test_x12_a_link_among_the_files_of_a_release_is_an_alteration(tmp_path: Path) -> None:
    from analysis_lib.publishing.releases import altered

    study = write_combined_study(tmp_path / "s")
    table = protected(study, "hours", [row("gross_combined", "hours_week", "mean", 16.0, 0.3)])
    release = build_release(study, Quarter(2026, 3), {"03-hours-lost": {"hours": table}})
    (release.folder / "data" / "x.csv").symlink_to(REPOSITORY / "README.md")
    assert altered(release) == ["data/x.csv was added"]
    page = release.folder / "en/2026Q3/index.html"
    copy = tmp_path / "copy.html"
    copy.write_bytes(page.read_bytes())
    page.unlink()
    page.symlink_to(copy)
    assert "en/2026Q3/index.html is a link" in altered(release)


def test_x09_x10_nothing_is_read_that_can_run() -> None:
    """No pickle, joblib, shelve or marshal, no YAML, no eval or exec."""
    forbidden_modules = {"pickle", "cPickle", "joblib", "shelve", "marshal", "dill", "cloudpickle", "yaml"}
    forbidden_calls = {"eval", "exec", "read_pickle", "to_pickle", "query", "compile", "__import__"}
    found = []
    for path in LIBRARY:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = {each.name.split(".")[0] for each in node.names} & forbidden_modules
            elif isinstance(node, ast.ImportFrom):
                names = {(node.module or "").split(".")[0]} & forbidden_modules
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                names = {node.func.id} & forbidden_calls
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                names = {node.func.attr} & (forbidden_calls - {"compile", "exec"})
            else:
                continue
            found += [f"{path.name}:{node.lineno} {name}" for name in names]
    assert found == []


SECRETS = {
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
    "a token of a code host": r"\b(?:gh[pousr]_[A-Za-z0-9]{30,}|glpat-[\w-]{20,})",
    "a key of a cloud": r"\bAKIA[0-9A-Z]{16}\b",
    "a password in an address": r"[a-z]+://[^/\s:@]+:[^/\s:@{}$<>]+@",
    "a password that is set": r"(?i)\b(?:password|passwd|secret|api_key|token)\s*=\s*['\"][^'\"]{8,}['\"]",
}


def test_x13_the_repository_holds_no_secret_and_prints_no_environment() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a clone of the repository")
    found = []
    for name in listed.stdout.splitlines():
        path = REPOSITORY / name
        if path.suffix in (".otf", ".png", ".xlsx", ".lock") or path == Path(__file__) or not path.is_file():
            continue
        text = path.read_text(encoding="utf-8", errors="ignore")
        found += [f"{name}: {kind}" for kind, pattern in SECRETS.items() if re.search(pattern, text)]
    assert found == []
    printed = [
        path.name for path in LIBRARY if re.search(r"print\(.*environ|say\(.*environ|echo\(.*environ", path.read_text())
    ]
    assert printed == []


def test_x14_notebooks_are_kept_without_outputs() -> None:
    for path in (REPOSITORY / "notebooks").glob("*.ipynb"):
        cells = [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
        assert not any(cell["outputs"] or cell["execution_count"] for cell in cells), path.name


def test_x17_every_package_is_pinned_by_hash() -> None:
    for file in ("requirements.lock", "requirements-test.lock"):
        text = (REPOSITORY / file).read_text(encoding="utf-8")
        pins = re.findall(r"^[a-z0-9.-]+==.*\\\n(?:    --hash=sha256:[0-9a-f]{64}.*\n?)+", text, re.MULTILINE)
        assert len(pins) == len(re.findall(r"^[a-z0-9]", text, re.MULTILINE)) > 0
    assert "--require-hashes" in (REPOSITORY / "Makefile").read_text(encoding="utf-8")


def test_x17_a_release_is_built_with_its_list_of_packages_and_an_audit_asks_about_each() -> None:
    assert "sbom=bill_of_materials()" in (REPOSITORY / "analysis_lib" / "running" / "builds.py").read_text()
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    assert re.search(r"^audit:.*\n(\t.*\n)*\t.*tests/certify/audit\.py", makefile, re.MULTILINE)


def test_x18_the_documents_tell_how_to_run_jupyter_safely() -> None:
    text = (REPOSITORY / "docs" / "security.md").read_text(encoding="utf-8")
    for word in ("token", "127.0.0.1", "root", "ipc"):
        assert word in text


def test_x20_pages_read_no_sibling_file(planted) -> None:
    site, _ = planted
    for path in pages_of(site):
        text = (site / path).read_text(encoding="utf-8")
        assert "default-src 'none'" in text
        assert not re.search(r"<script[\s>]|@import|url\(", re.sub(r"<svg.*?</svg>", "", text, flags=re.DOTALL))


def test_x11_quarters_are_of_one_shape() -> None:
    for text in ("2026Q5", "2026-13", "Q32026", "２０２６Q3", "2026Q3/../x", "2026Q3\n"):
        with pytest.raises((UsageError, JianfuError)):
            Quarter.parse(text)


def test_x19_a_rejection_never_repeats_what_stands_in_a_cell(tmp_path: Path) -> None:
    from analysis_lib.ingest.instruments import FileSpec
    from analysis_lib.ingest.platforms.files import read_table

    spec = FileSpec.model_validate({"grain": "respondents", "columns": {"respondent_id": {"from": "id", "type": "id"}}})
    path = tmp_path / "answers.csv"
    path.write_text("name\nsomebody-with-a-secret\n", encoding="utf-8")
    with pytest.raises(InputRejected) as caught:
        read_table(path, spec)
    assert "somebody-with-a-secret" not in str(caught.value)


def test_x01_a_table_that_was_made_by_hand_is_not_drawn(tmp_path: Path) -> None:
    study = write_combined_study(tmp_path / "s")
    table = protected(study, "hours", [row("gross_combined", "hours_week", "mean", 16.0, 0.3)])
    with pytest.raises((JianfuError, TypeError, ValueError)):
        replace(table, name=PAYLOAD)
