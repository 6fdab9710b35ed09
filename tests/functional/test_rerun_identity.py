"""The same inputs give the same bytes: wherever, whenever and however often they are run, and again from a release's pins."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from analysis_lib.errors import NotReproducible, UsageError
from analysis_lib.monitoring.ledger import Ledger
from analysis_lib.quarters import Quarter
from analysis_lib.running.reproduce import Reproduction, check_same, sign_difference
from analysis_lib.running.scaffold import init_study
from analysis_lib.running.suite import REPOSITORY
from analysis_lib.study import Study
from analysis_lib.tables.snapshots import keep_snapshot, snapshot
from analysis_lib.tables.store import Store

QUARTER, RELEASE = "2026Q3", "2026Q3/r1"
NOTEBOOKS = ["02-working-week", "03-hours-lost", "10-region-brief"]  # a nation's, one that models, and a region's
HERE = {"TZ": "Asia/Shanghai", "LC_ALL": "C.UTF-8", "LANG": "zh_CN.UTF-8", "PYTHONHASHSEED": "1"}
ELSEWHERE = {"TZ": "America/New_York", "LC_ALL": "C", "LANG": "C", "PYTHONHASHSEED": "2"}


def write_suite(folder: Path) -> Path:
    """Some of the notebooks, with their entries."""
    folder.mkdir()
    entries = (REPOSITORY / "notebooks" / "suite.toml").read_text(encoding="utf-8").split("[[notebook]]")[1:]
    kept = [entry for entry in entries if any(f'"{stem}.ipynb"' in entry for stem in NOTEBOOKS)]
    (folder / "suite.toml").write_text("".join(f"[[notebook]]{entry}" for entry in kept), encoding="utf-8")
    for stem in NOTEBOOKS:
        shutil.copy(REPOSITORY / "notebooks" / f"{stem}.ipynb", folder)
    return folder


def jianfu(study: Study, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    suite = {"JIANFU_NOTEBOOKS": str(study.root.parent / "notebooks")}
    return subprocess.run(
        [sys.executable, "-m", "analysis_lib", *arguments, "--study", str(study.root)],
        env=os.environ | suite | variables, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


def assessed(folder: Path, workers: int, variables: dict[str, str]) -> Study:
    """A simulated study of two quarters, assessed from the raw drops to the pages."""
    folder.mkdir()
    write_suite(folder / "notebooks")
    root = init_study(folder / "data", simulated=True).root
    text = (root / "study.toml").read_text(encoding="utf-8").replace('first = "2023Q4"', 'first = "2026Q2"')
    (root / "study.toml").write_text(f"{text}\n[running]\nworkers = {workers}\n", encoding="utf-8")
    study = Study.open(root)
    done = jianfu(study, "assess", **variables)
    assert done.returncode == 0, done.stderr
    return study


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return assessed(tmp_path_factory.mktemp("one") / "a", 2, HERE)


def test_two_folders_zones_locales_hash_seeds_and_numbers_of_workers_give_the_same_bytes(
    study: Study, tmp_path: Path
) -> None:
    other = assessed(tmp_path / "somewhere else", 1, ELSEWHERE)
    released, again = files_in(study.reports / RELEASE), files_in(other.reports / RELEASE)
    assert sorted(released) == sorted(again)
    assert [path for path in released if released[path] != again[path]] == []
    kinds = {Path(path).suffix for path in released}
    assert kinds >= {".html", ".csv", ".json"}


def test_f28_a_rerun_with_other_code_differs_and_the_difference_is_signed(study: Study) -> None:
    notebook = study.root.parent / "notebooks" / "02-working-week.ipynb"
    before = notebook.read_text(encoding="utf-8")
    better = before.replace(
        "estimates = estimate(officials, groups,", "estimates = estimate(officials[: len(officials) * 9 // 10], groups,"
    )
    assert better != before
    notebook.write_text(better, encoding="utf-8")
    done = jianfu(study, "reproduce", RELEASE, "--sign", "A. Reader", "--reason", "some were counted twice", "--json")
    notebook.write_text(before, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["changed"] == ["notebook"]
    assert f"data/{QUARTER}/week.csv" in found["differing"]
    assert {number["table"] for number in found["numbers"]} == {"week"}
    (signed,) = Ledger(study.ledger).differences(RELEASE)
    assert (signed["name"], signed["reason"]) == ("A. Reader", "some were counted twice")
    assert signed["differing"] == found["differing"]
    assert signed["numbers"] == found["numbers"]


def test_a_difference_is_signed_with_a_name_and_a_reason_and_only_where_there_is_one(tmp_path: Path) -> None:
    study = init_study(tmp_path / "data", simulated=True)
    same, other = (Reproduction(RELEASE, 9, differing, [], []) for differing in ([], ["data/x.csv"]))
    for found, signer, reason in [(same, "A", "why"), (other, " ", "why"), (other, "A", "")]:
        with pytest.raises(UsageError):
            sign_difference(study, found, signer, reason)
    assert Ledger(study.ledger).differences(RELEASE) == []


def test_a_release_is_reproduced_from_its_pins_whatever_came_later_and_as_known_now_stands_beside(
    study: Study,
) -> None:
    # What came late turns out to be made up, a region's name is mended, and intervals are to be narrower.
    store = Store(study)
    for drop in store.drops(Quarter.parse(QUARTER)):
        if drop.id.endswith("-late"):
            store.withdraw(drop.id, since=drop.received, reason="made up")
    regions = study.reference / "regions.csv"
    before = regions.read_text(encoding="utf-8")
    regions.write_text(before.replace("Example", "Sample"), encoding="utf-8")
    settings = study.root / "study.toml"
    text = settings.read_text(encoding="utf-8")
    settings.write_text(text.replace("[estimation]", "[estimation]\nconfidence_level = 0.9"), encoding="utf-8")
    done = jianfu(study, "reproduce", RELEASE, "--now", "--json", **ELSEWHERE)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["differing"], found["changed"]) == ([], [])
    assert found["files"] == len(files_in(study.reports / RELEASE)) - 1  # the manifest lists all others
    values = {name: [row[name] for row in found["headline"]] for name in ("released", "rerun", "now_low")}
    assert values["released"] == values["rerun"]
    assert values["now_low"] != [row["rerun_low"] for row in found["headline"]]

    # A page edited by hand is not what the release was made as.
    page = study.reports / RELEASE / "en" / QUARTER / "index.html"
    page.write_text(page.read_text(encoding="utf-8") + " ", encoding="utf-8")
    done = jianfu(study, "reproduce", RELEASE)
    assert done.returncode == 5, done.stderr
    assert f"1 of {found['files']} files differ, although nothing it reads changed" in done.stderr
    assert f"  en/{QUARTER}/index.html\n" in done.stderr
    assert "Traceback" not in done.stderr

    assert jianfu(study, "reproduce", "2026Q3/r9").returncode == 2


def test_what_changed_since_is_named_with_the_files_that_differ() -> None:
    with pytest.raises(NotReproducible, match=r"1 of 9 files differ, since then: code, lock\n  data/x\.csv") as told:
        check_same(Reproduction(RELEASE, 9, ["data/x.csv"], ["code", "lock"], []))
    assert told.value.exit_code == 5
    check_same(Reproduction(RELEASE, 9, [], ["code"], []))


def test_a_copy_of_what_people_decided_is_kept_once_and_found_edited(tmp_path: Path) -> None:
    study = init_study(tmp_path / "data", simulated=True)
    digest = keep_snapshot(study)
    assert keep_snapshot(study) == digest
    kept = snapshot(study, digest)
    assert files_in(kept / "reference") == files_in(study.reference)
    (study.reference / "calendar.toml").write_text("", encoding="utf-8")
    assert keep_snapshot(study) != digest
    (kept / "study.toml").write_text("", encoding="utf-8")
    with pytest.raises(NotReproducible, match="gone or was edited"):
        snapshot(study, digest)
