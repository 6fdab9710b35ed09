"""From candidate to readers when things go wrong: nothing half published, nothing lost, every change seen (F02–F38)."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
from sample_results import national_results, protected, row
from sample_study import write_combined_study
from small_disks import small_disk

from analysis_lib.errors import EnvironmentProblem, NotReproducible, PublicationBlocked, UsageError
from analysis_lib.monitoring.ledger import Ending, Ledger
from analysis_lib.publishing.releases import Release, build_release, release_of, sync_tree
from analysis_lib.quarters import Quarter
from analysis_lib.running import builds, releases
from analysis_lib.running.drift import LOCK_FILE
from analysis_lib.running.units import EXECUTED, TABLES, Planned, Unit, file_sha256
from analysis_lib.running.units import MANIFEST as UNIT
from analysis_lib.study import Study
from analysis_lib.tables.store import Store, pinned_drops

BEFORE, QUARTER = Quarter(2026, 2), Quarter(2026, 3)


@pytest.fixture(autouse=True)
def up_to_date(monkeypatch: pytest.MonkeyPatch) -> None:
    """No notebooks stand behind these releases."""
    monkeypatch.setattr(releases, "plan_quarters", lambda *_: [])
    monkeypatch.setattr(builds, "made_from", lambda *_: "made")


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return write_combined_study(tmp_path / "s")


def candidate(study: Study, quarter: Quarter = QUARTER, value: float = 16.0) -> Release:
    """Build and record a release of few numbers."""
    hours = [row("gross_combined", "hours_week", "mean", value, 0.3, region="all", period=str(quarter))]
    ledger = Ledger(study.ledger)
    release = build_release(
        study,
        quarter,
        {"03-hours-lost": {"hours": protected(study, "hours", hours)}},
        published=releases.last_published(ledger, quarter),
    )
    ledger.record_release(str(quarter), release.name, made_from="made", manifest_sha256=release.manifest_sha256)
    return release


def sign(study: Study, release: Release, **more: str) -> None:
    """Sign by two people."""
    releases.sign(study, release.name, "A. Reader", "statistician", **more)  # pyright: ignore[reportArgumentType]
    releases.sign(study, release.name, "B. Head", "head")


def published(study: Study, quarter: Quarter = QUARTER, value: float = 16.0) -> Release:
    """Build, sign and publish."""
    release = candidate(study, quarter, value)
    sign(study, release)
    releases.publish(study, release.name)
    return release


def shown(study: Study) -> str:
    """The page of the quarter that readers see."""
    return (study.reports / "site" / "en" / str(QUARTER) / "index.html").read_text(encoding="utf-8")


# -- sign-off and review -------------------------------------------------------------------------------


def test_two_different_people_must_sign_exactly_this_content(study: Study) -> None:
    release = candidate(study)
    releases.sign(study, release.name, "A. Reader", "statistician")
    releases.sign(study, release.name, "a.  reader", "head")  # the same person, written otherwise
    with pytest.raises(PublicationBlocked, match="1 of 2 sign-offs"):
        releases.publish(study, release.name)
    releases.sign(study, release.name, "B. Head", "head")
    candidate(study, value=15.0)  # the candidate changes, so what was signed is void
    with pytest.raises(PublicationBlocked, match="0 of 2 sign-offs"):
        releases.publish(study, release.name)
    assert not (study.reports / "site").exists()
    sign(study, release)
    releases.publish(study, release.name)
    assert "15.0" in shown(study)
    assert releases.verify(study)["published"] == 1
    assert len(Ledger(study.ledger).cells(release.name)) == 1


def test_a_sign_off_without_a_name_is_usage(study: Study) -> None:
    with pytest.raises(UsageError, match="name"):
        releases.sign(study, candidate(study).name, " ", "head")


def test_f22_a_release_whose_notebooks_were_edited_since_is_not_published(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = candidate(study)
    sign(study, release)
    monkeypatch.setattr(builds, "made_from", lambda *_: "something else")
    with pytest.raises(PublicationBlocked, match="not what a build gives now"):
        releases.publish(study, release.name)


def test_f34_a_headline_that_jumps_waits_until_somebody_says_why(study: Study) -> None:
    published(study, BEFORE, 10.0)
    release = candidate(study)
    sign(study, release)
    with pytest.raises(PublicationBlocked, match="standard errors"):
        releases.publish(study, release.name)
    releases.sign(study, release.name, "A. Reader", "statistician", accept_jump="a new diary")
    releases.publish(study, release.name)
    assert any(each.get("accept_jump") == "a new diary" for each in Ledger(study.ledger).sign_offs(release.name))
    told = json.loads((study.reports / "site" / "release.json").read_text(encoding="utf-8"))["releases"]
    assert {each["name"]: each["exceptions"] for each in told}[release.name] == {"jump": "a new diary"}  # C17


def test_f33_a_release_in_which_too_many_regions_are_silent_waits_until_somebody_says_why(study: Study) -> None:
    silent = row("diary_coverage", "share", "ratio", 0.8, 0.0, region="all", period=str(QUARTER))
    tables = {"response": protected(study, "response", [silent])}
    release = build_release(study, QUARTER, {"01-response-and-quality": tables})
    ledger = Ledger(study.ledger)
    ledger.record_release(str(QUARTER), release.name, made_from="made", manifest_sha256=release.manifest_sha256)
    sign(study, release)
    with pytest.raises(PublicationBlocked, match="20% of the officials are silent: 80% are covered, 90% are needed"):
        releases.publish(study, release.name)
    releases.sign(study, release.name, "A. Reader", "statistician", accept_coverage="flooded, comes next quarter")
    releases.publish(study, release.name)


# -- back, and corrected -------------------------------------------------------------------------------


def test_f37_an_older_release_is_put_back_and_nothing_is_deleted(study: Study) -> None:
    first = published(study)
    second = published(study, value=15.0)
    assert second.name == "2026Q3/r2"
    entries = Ledger(study.ledger).verify_chain()
    releases.publish_again(study, first.name)
    assert "16.0" in shown(study)
    assert second.folder.is_dir()
    assert Ledger(study.ledger).verify_chain() == entries + 2
    assert candidate(study, value=14.0).name == "2026Q3/r3"
    with pytest.raises(PublicationBlocked, match="never published"):
        releases.publish_again(study, "2026Q3/r3")


def test_a_correction_stands_on_the_site_and_the_release_stays_as_it_was(study: Study) -> None:
    release = published(study)
    before = release.manifest_sha256
    releases.correct(study, release.name, "correction", "有误", "It was wrong", study.today())
    assert "It was wrong" in shown(study)
    assert (study.reports / "site" / "zh" / "corrections" / "index.html").is_file()
    assert release.manifest_sha256 == before
    assert releases.verify(study)["releases"] == 1
    with pytest.raises(UsageError, match="kind"):
        releases.correct(study, release.name, "mistake", "有误", "Wrong", study.today())


# -- what is not what was recorded ---------------------------------------------------------------------


@pytest.mark.parametrize("part", ["2026Q3/r1/en/2026Q3/index.html", "2026Q3/r1/release.json", "site/index.html"])
def test_f29_one_flipped_bit_is_found_and_the_file_is_named(study: Study, part: str) -> None:
    published(study)
    path = study.reports / part
    content = bytearray(path.read_bytes())
    content[40 if path.suffix == ".html" else content.index(b"demo")] ^= 1
    path.write_bytes(content)
    with pytest.raises(NotReproducible, match=r"reports/site" if part.startswith("site") else part):
        releases.verify(study)


def test_f23_a_result_edited_by_hand_stops_the_publication(study: Study) -> None:
    release = candidate(study)
    sign(study, release)
    result = release.folder / "results" / "03-hours-lost" / "hours.json"
    result.write_text(result.read_text(encoding="utf-8").replace("16", "6"), encoding="utf-8")
    with pytest.raises(PublicationBlocked, match=r"hours\.json is not what was released"):
        releases.publish(study, release.name)


def test_f23_an_executed_notebook_edited_by_hand_is_named_and_stops_the_publication(study: Study) -> None:
    release = candidate(study)
    sign(study, release)
    unit = Unit("03-hours-lost", QUARTER)
    folder = unit.folder(study) / "key"
    (folder / TABLES).mkdir(parents=True)
    (folder / TABLES / "hours.json").write_text("{}")
    (folder / EXECUTED).write_text("as it ran")
    listed = {
        "tables": {"hours": file_sha256(folder / TABLES / "hours.json")},
        "executed": file_sha256(folder / EXECUTED),
    }
    (folder / UNIT).write_text(json.dumps(listed))
    ending = Ending("run", unit.id, "ok", "key", manifest_sha256=file_sha256(folder / UNIT))
    Ledger(study.ledger).record_ending(ending)
    assert releases.verify(study)["releases"] == 1
    for path, text in [(EXECUTED, "as I like it"), (f"{TABLES}/hours.json", "{ }"), (UNIT, "{}")]:
        before = (folder / path).read_text()
        (folder / path).write_text(text)
        with pytest.raises(NotReproducible, match=f"results of 2026Q3/03-hours-lost: {path} is not what was recorded"):
            releases.verify(study)
        with pytest.raises(PublicationBlocked, match="is not what was recorded"):
            releases.publish(study, release.name)
        (folder / path).write_text(before)
    shutil.rmtree(folder)  # what is gone is made again by a run
    assert releases.verify(study)["releases"] == 1


def test_a_table_that_was_promised_and_is_not_in_the_release_is_named(study: Study) -> None:
    release = candidate(study)
    facts = {"made_from": "made", "manifest_sha256": release.manifest_sha256}
    promised = {"03-hours-lost": ["hours", "series"]}
    Ledger(study.ledger).record_release(str(QUARTER), release.name, tables=promised, **facts)
    with pytest.raises(NotReproducible, match=r"results/03-hours-lost/series\.json was promised and never handed over"):
        releases.verify(study)


def test_a_pinned_drop_that_was_cut_off_or_taken_away_is_named(study: Study) -> None:
    release = published(study)
    drop = study.raw / "2026Q3" / "2026-10-08" / "answers"
    drop.mkdir(parents=True)
    (drop / "answers.csv").write_text("id\n1\n")
    sha = file_sha256(drop / "answers.csv")
    (drop / "drop.toml").write_text(
        'source = "test"\nquarter = "2026Q3"\nreceived = "2026-10-08"\ninstrument = "none"\nsupersedes = []\n'
        f'[[file]]\nname = "answers.csv"\nrole = "answers"\nsha256 = "{sha}"\n'
    )
    pins = pinned_drops(Store(study), [QUARTER])
    facts = {"made_from": "made", "manifest_sha256": release.manifest_sha256}
    Ledger(study.ledger).record_release(str(QUARTER), release.name, drops=pins, **facts)
    assert releases.verify(study)["published"] == 1
    (drop / "answers.csv").write_text("id\n")
    with pytest.raises(NotReproducible, match=r"answers\.csv"):
        releases.verify(study)
    shutil.rmtree(drop)
    with pytest.raises(NotReproducible, match="drop 2026Q3/2026-10-08/answers is missing or another"):
        releases.verify(study)


def test_f30_a_line_taken_out_of_the_ledger_is_found(study: Study) -> None:
    published(study)
    with sqlite3.connect(study.ledger) as connection:
        connection.execute("DROP TRIGGER no_delete")
        connection.execute("DELETE FROM entries WHERE kind = 'sign_off'")
    with pytest.raises(NotReproducible, match="edited or taken out"):
        releases.verify(study)


def test_a_published_folder_that_is_gone_is_named(study: Study) -> None:
    shutil.rmtree(published(study).folder)
    with pytest.raises(NotReproducible, match="2026Q3/r1"):
        releases.verify(study)


# -- what a build refuses, and what it says of a release -----------------------------------------------


@pytest.fixture
def build(study: Study, monkeypatch: pytest.MonkeyPatch) -> Callable[..., builds.Build]:
    """Build the quarter from one notebook that ran with these packages beside the lock file's."""
    results = {"03-hours-lost": national_results(study)["03-hours-lost"]}

    def build(**drift: str) -> builds.Build:
        ran = Planned(Unit("03-hours-lost", QUARTER), {"lock": {LOCK_FILE: "hash", **drift}}, {})
        monkeypatch.setattr(builds, "plan_quarters", lambda *_: [ran])
        monkeypatch.setattr(builds, "results_together", lambda *_: results)
        monkeypatch.setattr(builds, "warm_workers", lambda _: nullcontext(map))
        return builds.build_quarters(study, [QUARTER])

    return build


def test_f27_a_release_of_packages_that_are_not_locked_says_so_wherever_it_is_seen(
    study: Study, build: Callable[..., builds.Build], monkeypatch: pytest.MonkeyPatch
) -> None:
    built = build(tqdm="0.0.1 (lock: 4.67)")
    release = release_of(study, built.releases[QUARTER])
    assert release.manifest["drift"] == {"tqdm": "0.0.1 (lock: 4.67)"}
    recorded = Ledger(study.ledger).last_release(str(QUARTER))
    assert recorded is not None
    assert recorded["drift"] == release.manifest["drift"]
    monkeypatch.setattr(builds, "made_from", lambda *_: "made with what is locked")
    again = release_of(study, build().releases[QUARTER])
    assert "drift" not in again.manifest
    monkeypatch.setattr(builds, "made_from", lambda *_: "made")
    release = release_of(study, build(tqdm="0.0.1 (lock: 4.67)").releases[QUARTER])
    sign(study, release)
    releases.publish(study, release.name)
    assert "nobody can repeat these figures" in shown(study)


def test_a_release_says_what_was_known_and_where_its_quarter_stood(
    study: Study, build: Callable[..., builds.Build]
) -> None:
    release = release_of(study, build().releases[QUARTER])
    recorded = Ledger(study.ledger).last_release(str(QUARTER))
    assert recorded is not None
    assert recorded["as_of"] == release.manifest["as_of"] == QUARTER.last_day.isoformat()  # no drop is there
    assert recorded["state"] == study.state_of(QUARTER, study.today())
    assert recorded["tables"]["03-hours-lost"][0] == "hours"


def test_releases_of_a_time_before_publications_were_recorded_are_never_numbered_over(
    study: Study, build: Callable[..., builds.Build]
) -> None:
    for number in (1, 2):
        (study.reports / str(QUARTER) / f"r{number}").mkdir(parents=True)
    with pytest.raises(PublicationBlocked, match="r2 stand there") as told:
        build()
    assert "keep a copy" in told.value.fix
    assert Ledger(study.ledger).last_release(str(QUARTER)) is None


def test_f07_reports_that_may_not_be_written_stop_a_build_before_it_draws(
    study: Study, build: Callable[..., builds.Build]
) -> None:
    with small_disk(study.reports, "ro"), pytest.raises(EnvironmentProblem, match="reports cannot be written") as told:
        build()
    assert told.value.exit_code == 7
    assert Ledger(study.ledger).last_release(str(QUARTER)) is None


# -- killed, full, and read meanwhile ------------------------------------------------------------------

# Kills itself before the n-th change of a file's place or entry of the ledger; says "done" when there were fewer.
KILLED = """
import os, pathlib, signal, sys
from analysis_lib.monitoring.chained_entries import ChainedEntries
from analysis_lib.running import builds, releases
from analysis_lib.study import Study
builds.made_from, releases.plan_quarters = (lambda *_: "made"), (lambda *_: [])
left = int(sys.argv[3])
def counted(step):
    def wrapped(*arguments, **more):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return step(*arguments, **more)
    return wrapped
ChainedEntries.append = counted(ChainedEntries.append)
for name in ("rename", "replace", "symlink_to", "write_bytes", "mkdir"):
    setattr(pathlib.Path, name, counted(getattr(pathlib.Path, name)))
os.fsync = counted(os.fsync)
releases.publish(Study.open(sys.argv[1]), sys.argv[2])
print("done", -left)
"""


def test_f02_f03_a_publication_killed_at_any_step_is_completed_or_rolled_back(study: Study) -> None:
    published(study)
    release = candidate(study, value=15.0)
    sign(study, release)
    before = shown(study)
    copy, endings = study.root.parent / "copy", set()
    total = None
    steps = [0]  # the first is not killed, and counts
    while steps:
        step = steps.pop()
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(study.root, copy, symlinks=True)
        killed = subprocess.run(
            [sys.executable, "-c", KILLED, str(copy), release.name, str(step)], capture_output=True, text=True
        )
        if total is None:
            total = int(killed.stdout.split()[1])
            # The last steps are the swap and the entries about it; of the many files before them a few.
            steps = sorted({*range(1, total, total // 4), *range(total - 5, total + 1)})
            continue
        assert killed.returncode == -9, killed.stderr
        opened = Study.open(copy)
        releases.settle(opened)
        in_force = Ledger(opened.ledger).last_publication(str(QUARTER))
        assert in_force is not None
        assert (shown(opened) != before) == (in_force["release"] == release.name)
        releases.verify(opened)
        assert not list(opened.reports.rglob(".building-*"))
        endings.add(in_force["release"])
        if in_force["release"] != release.name:
            releases.publish(opened, release.name)
            assert shown(opened) != before
    assert endings == {"2026Q3/r1", "2026Q3/r2"}


def test_f04_files_reach_the_disk_before_the_folders_that_name_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "page").write_text("text")
    order: list[str] = []
    fsync = os.fsync

    def noted(descriptor: int) -> None:
        order.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    sync_tree(tmp_path / "a")
    assert order == ["page", "b", "a", tmp_path.name]


def test_a_file_that_stays_as_it_was_reaches_the_disk_once(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    site = study.reports / "site"
    published(study, BEFORE.shift(-2))
    published(study, BEFORE.shift(-1))
    (kept,) = (site / "data" / str(BEFORE.shift(-2))).glob("hours*.csv")
    file = kept.relative_to(site).as_posix()
    before = kept.stat().st_ino
    synced: list[str] = []
    fsync = os.fsync

    def noted(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    published(study, BEFORE)
    assert (site / file).stat().st_ino == before
    names = [name for name in synced if "/.sites/" in name]
    assert any(name.endswith(f"en/{BEFORE}/index.html") for name in names)
    assert not any(name.endswith(file) for name in names)
    assert releases.verify(study)["published"] == 3


def test_f06_a_full_disk_leaves_the_site_of_readers_as_it_was(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    published(study)
    release = candidate(study, value=15.0)
    sign(study, release)
    small = study.reports / ".sites"
    kept = study.root / "kept"
    small.rename(kept)
    with small_disk(small, "size=4m"):
        shutil.copytree(kept, small, dirs_exist_ok=True)
        (small / "filler").write_bytes(b"x" * (shutil.disk_usage(small).free - 8192))
        with pytest.raises(EnvironmentProblem, match="readers see what they saw"):
            releases.publish(study, release.name)
        assert "16.0" in shown(study)
        in_force = Ledger(study.ledger).last_publication(str(QUARTER))
        assert in_force is not None
        assert in_force["release"] == "2026Q3/r1"


def test_f10_readers_during_200_publications_see_whole_pages_only(study: Study) -> None:
    published(study)
    published(study, value=15.0)
    whole = {shown(study)}
    releases.publish_again(study, "2026Q3/r1")
    whole.add(shown(study))
    stop, bad, reads = threading.Event(), [], [0]

    def reader() -> None:
        while not stop.is_set():
            try:
                text = shown(study)
            except FileNotFoundError:
                bad.append("missing")
                continue
            reads[0] += 1
            if text not in whole:
                bad.append("torn")

    threads = [threading.Thread(target=reader) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for count in range(200):
            releases.publish_again(study, f"2026Q3/r{count % 2 + 1}")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert bad == []
    assert reads[0] > 200


def test_f38_publishing_needs_no_network(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    def refused(*_: object, **__: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refused)
    published(study)
    assert releases.verify(study)["published"] == 1
