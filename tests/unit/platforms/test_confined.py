"""X08: whatever a file does to its reader, the process that asked sees a table or a refusal in words."""

from __future__ import annotations

import gzip
import os
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import xlsxwriter
from ingest_study import ANSWERS, STUDY_TOML, ingest, make_store, receive

from analysis_lib.errors import InputRejected
from analysis_lib.ingest.instruments import FileSpec
from analysis_lib.ingest.platforms.confined import CAN_CONFINE, LIMITS_MEMORY, Limits, ReadingProcess, read_confined
from analysis_lib.ingest.platforms.files import read_table

pytestmark = pytest.mark.skipif(not CAN_CONFINE, reason="this platform has no such limits")
needs_limits_of_memory = pytest.mark.skipif(not LIMITS_MEMORY, reason="this platform limits no memory")

SPEC = FileSpec.model_validate(
    {
        "grain": "respondents",
        "columns": {"respondent_id": {"from": "编号", "type": "id"}, "work_hours": {"from": "小时", "type": "hours"}},
    }
)
AMPLE = Limits(memory_mb=2048, seconds=60)
FAR_AWAY = (1_048_575, 16_383)  # the last cell of a sheet: one of a grid of 17 thousand million
CSV = "编号,小时\nE1,40\nE2\n,\nE3,=1+1\n"


def workbook(path: Path, cells: dict[tuple[int, int], str]) -> Path:
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet("答卷")
        for (row, column), text in ({(0, 0): "编号", (0, 1): "小时"} | cells).items():
            sheet.write_string(row, column, text)
    return path


def make_files(folder: Path) -> list[Path]:
    """The same kind of table in every shape that is read, with rows that are left out and notes."""
    plain, packed, foreign = folder / "a.csv", folder / "b.csv.gz", folder / "c.csv"
    plain.write_text(CSV, encoding="utf-8")
    packed.write_bytes(gzip.compress(CSV.encode()))
    foreign.write_text("某单位\n" + CSV.replace(",", "\t"), encoding="gb18030")
    columnar = folder / "d.parquet"
    pl.DataFrame({"编号": ["E1", "E1"], "小时": ["40", None]}).write_parquet(columnar)
    return [plain, packed, foreign, columnar, workbook(folder / "e.xlsx", {(1, 0): "E1", (3, 0): "E2", (3, 1): "8"})]


def failing(body: str) -> ReadingProcess:
    """A process whose reader does something else."""
    lines = [
        "import os, signal, socket, time",
        "from analysis_lib.ingest.platforms import files, reading",
        "def read_table(path, spec):",
        f"    {body}",
        "files.read_table = read_table",
        "reading.serve(socket.socket(fileno=0))",
    ]
    return ReadingProcess((sys.executable, "-c", "\n".join(lines)))


def refusal_of(body: str, folder: Path, limits: Limits = AMPLE) -> str:
    path = folder / "answers.csv"
    path.write_text(CSV, encoding="utf-8")
    process = failing(body)
    with pytest.raises(InputRejected) as caught:
        process.read(path, SPEC, limits)
    assert not process.is_usable
    assert caught.value.where == "answers.csv"
    return str(caught.value)


def test_a_table_comes_back_as_it_was_read(tmp_path: Path) -> None:
    for path in make_files(tmp_path):
        here, there = read_table(path, SPEC), read_confined(path, SPEC, AMPLE)
        assert {name: values.to_pylist() for name, values in there.columns.items()} == {
            name: values.to_pylist() for name, values in here.columns.items()
        }
        assert list(there.columns) == list(here.columns)
        assert [values.type for values in there.columns.values()] == [values.type for values in here.columns.values()]
        np.testing.assert_array_equal(there.rows, here.rows)
        assert (there.sheet, there.notes, there.short_rows) == (here.sheet, here.notes, here.short_rows)


def test_a_refusal_comes_back_in_its_words_and_the_process_reads_on(tmp_path: Path) -> None:
    wrong, right = tmp_path / "wrong.csv", tmp_path / "right.csv"
    wrong.write_text("编号\nE1\n", encoding="utf-8")
    right.write_text(CSV, encoding="utf-8")
    with pytest.raises(InputRejected) as here:
        read_table(wrong, SPEC)
    process = ReadingProcess()
    with pytest.raises(InputRejected) as there:
        process.read(wrong, SPEC, AMPLE)
    assert str(there.value) == str(here.value)
    assert process.read(right, SPEC, AMPLE).columns["编号"].to_pylist() == ["E1", "E3"]
    process.close()


@needs_limits_of_memory
def test_a_small_workbook_with_a_cell_far_away_is_refused_and_the_next_file_is_read(tmp_path: Path) -> None:
    far = workbook(tmp_path / "far.xlsx", {(1, 0): "E1", FAR_AWAY: "x"})
    assert far.stat().st_size < 20_000, "nothing that is measured before unpacking tells it from an honest one"
    with pytest.raises(InputRejected, match=r"X08: .*reading it takes more than 512 MiB of memory") as caught:
        read_confined(far, SPEC, Limits(memory_mb=512, seconds=60))
    assert "input_memory_mb" in caught.value.fix
    assert len(read_confined(make_files(tmp_path)[0], SPEC, AMPLE).rows) == 2


@needs_limits_of_memory
@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".xlsx"])
def test_a_file_that_eats_memory_is_refused_within_a_limit_and_read_within_a_higher_one(
    tmp_path: Path, suffix: str
) -> None:
    path, rows = tmp_path / f"large{suffix}", 60_000
    texts = {(row, column): f"{row}-{column}" * 10 for row in range(1, rows + 1) for column in (0, 1)}
    if suffix == ".xlsx":
        workbook(path, texts)
    else:
        lines = ["编号,小时", *(f"{texts[row, 0]},{texts[row, 1]}" for row in range(1, rows + 1))]
        content = "\n".join(lines).encode()
        path.write_bytes(gzip.compress(content) if suffix == ".csv.gz" else content)
    with pytest.raises(InputRejected, match=r"X08: .*reading it takes more than 48 MiB of memory"):
        read_confined(path, SPEC, Limits(memory_mb=48, seconds=60))
    assert len(read_confined(path, SPEC, AMPLE).rows) == rows


@pytest.mark.parametrize(
    "body", ["while True: pass", "time.sleep(60)", "signal.signal(signal.SIGALRM, signal.SIG_IGN); time.sleep(60)"]
)
def test_a_reader_that_does_not_come_back_is_ended(tmp_path: Path, body: str) -> None:
    told = refusal_of(body, tmp_path, Limits(memory_mb=512, seconds=1))
    assert "X08: reading it takes more than 1 s" in told
    assert "input_seconds" in told


@needs_limits_of_memory
def test_memory_that_a_library_asks_for_in_vain_is_named(tmp_path: Path) -> None:
    assert "more than 512 MiB of memory" in refusal_of("bytearray(2**30)", tmp_path, Limits(512, 60))
    told = refusal_of("os.abort()", tmp_path)
    assert "X08: its reader was ended by SIGABRT, most often because reading it takes more than 2048 MiB" in told


def test_a_reader_that_is_killed_is_named_with_its_signal(tmp_path: Path) -> None:
    told = refusal_of("os.kill(os.getpid(), signal.SIGKILL)", tmp_path)
    assert "X08: its reader was ended by SIGKILL" in told


def test_of_a_fault_its_place_is_told_and_nothing_that_stood_in_a_cell(tmp_path: Path) -> None:
    told = refusal_of('raise RuntimeError("somebody-with-a-secret")', tmp_path)
    assert "X08: its reader failed (RuntimeError at reading.py:" in told
    assert "secret" not in told
    assert "X08: its reader failed (no reason given)" in refusal_of("os._exit(3)", tmp_path)


def test_the_process_ends_with_the_one_that_asks_in_the_middle_of_a_file_too(tmp_path: Path) -> None:
    process = failing("time.sleep(600)")
    with pytest.raises(KeyboardInterrupt):
        _interrupted(process, tmp_path)
    assert not process.is_usable
    idle = ReadingProcess()
    idle._channel.close()
    assert idle._process.wait(60) == 1


def _interrupted(process: ReadingProcess, folder: Path) -> None:
    """Ask for a file, and be stopped like by Ctrl-C while it is read."""
    import signal

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, stop)
    process._wait_until_ready()
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        process.read(make_files(folder)[0], SPEC, AMPLE)
    finally:
        signal.signal(signal.SIGALRM, before)


def test_a_process_of_another_process_is_not_used() -> None:
    process = ReadingProcess()
    process._owner = os.getpid() + 1
    assert not process.is_usable
    process._owner = os.getpid()
    assert process.close() == -9


@needs_limits_of_memory
def test_a_study_sets_the_limits_and_the_drop_is_named(tmp_path: Path) -> None:
    heads = {(0, place): name for place, name in enumerate(["id", "name", "submitted", "hours", "meetings"])}
    far = workbook(tmp_path / "questionnaire.xlsx", {**heads, (1, 0): "E1", FAR_AWAY: "x"})
    store = make_store(tmp_path / "study", ANSWERS, study_toml=STUDY_TOML + "[running]\ninput_memory_mb = 300\n")
    receive(store, "answers", {"questionnaire": far})
    with pytest.raises(InputRejected, match=r"first/questionnaire\.xlsx: X08: .* 300 MiB of memory") as caught:
        ingest(store)
    assert caught.value.exit_code == 3
    assert "--supersedes 2026Q1/2026-04-05/first" in caught.value.fix
