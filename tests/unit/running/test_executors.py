"""Jobs run in processes of their own; here with notebooks of a cell or two."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest
from tiny_suite import HAND_OVER, executed, write_notebook

from analysis_lib.errors import Interrupted
from analysis_lib.running import executors
from analysis_lib.running.executors import LocalExecutor, stopping_on_signals, warm_workers
from analysis_lib.running.units import Job, Outcome

PLOT = "%matplotlib inline\nimport matplotlib.pyplot as plt\nplt.plot([1, 2]);"
POLARS = "import polars as pl; print(pl.LazyFrame({'a': range(1000)}).select(pl.col('a').sum()).collect().item())"


@pytest.fixture(autouse=True)
def light_preload(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "PRELOAD", ["analysis_lib.running.notebooks", "polars"])


def a_job(folder: Path, name: str, cells: list[str]) -> Job:
    write_notebook(folder / f"{name}.ipynb", cells)
    parameters = {"quarter": "2026Q3", "region": "P01", "results_dir": f"{name}/tables"}
    return Job(name, folder / f"{name}.ipynb", parameters, folder, folder / name, ("answer",), 30)


def run(jobs: list[Job]) -> dict[str, Outcome]:
    return {job.unit_id: outcome for job, outcome in LocalExecutor(2).run(jobs)}


def test_jobs_run_with_their_parameters_in_their_folder_and_draw_and_compute(tmp_path: Path) -> None:
    jobs = [
        a_job(tmp_path, "plot", [PLOT, HAND_OVER]),
        a_job(tmp_path, "polars", [POLARS, HAND_OVER]),
        a_job(
            tmp_path, "threads", ["import threading; assert threading.current_thread().name == 'MainThread'", HAND_OVER]
        ),
    ]
    outcomes = run(jobs)
    assert {name: outcome.kind for name, outcome in outcomes.items()} == {"plot": "ok", "polars": "ok", "threads": "ok"}
    assert all(0 < outcome.peak_mb < 5_000 for outcome in outcomes.values())
    assert (tmp_path / "plot" / "tables" / "answer.json").read_text() == '{"region": "P01", "quarter": "2026Q3"}'
    kinds = {
        kind for cell in executed(tmp_path / "plot")["cells"] for out in cell.get("outputs", []) for kind in out["data"]
    }
    assert "image/png" in kinds
    [printed] = [out["text"] for cell in executed(tmp_path / "polars")["cells"] for out in cell.get("outputs", [])]
    assert "".join(printed).strip() == "499500"


def test_a_unit_has_the_suite_of_its_run_whatever_the_server_was_started_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JIANFU_NOTEBOOKS", "first")
    ask = "import os; print(os.environ.get('JIANFU_NOTEBOOKS'))"
    run([a_job(tmp_path, "first", [ask, HAND_OVER])])
    monkeypatch.setenv("JIANFU_NOTEBOOKS", "second")
    with warm_workers(1) as spread:
        assert list(spread(os.getenv, ["JIANFU_NOTEBOOKS"])) == ["second"]
    run([a_job(tmp_path, "second", [ask, HAND_OVER])])
    cells = executed(tmp_path / "second")["cells"]
    assert [out["text"] for cell in cells for out in cell.get("outputs", [])] == [["second\n"]]


def test_the_same_job_gives_the_same_executed_notebook(tmp_path: Path) -> None:
    job = a_job(tmp_path, "twice", ["print({'b', 'a', 'c'})", "1 / 3", HAND_OVER])
    assert run([job])["twice"].kind == "ok"
    first = (tmp_path / "twice" / "executed.ipynb").read_bytes()
    run([job])
    assert (tmp_path / "twice" / "executed.ipynb").read_bytes() == first


def test_start_up_files_of_a_users_ipython_do_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    startup = tmp_path / "home" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "00.py").write_text("answer = 41")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "home"))
    job = a_job(tmp_path, "plain", ["assert 'answer' not in globals()", HAND_OVER])
    assert run([job])["plain"].kind == "ok"


def test_closing_the_iterator_ends_what_still_runs(tmp_path: Path) -> None:
    slow, quick = a_job(tmp_path, "slow", ["import time; time.sleep(60)"]), a_job(tmp_path, "quick", [HAND_OVER])
    executor = LocalExecutor(2)
    outcomes = executor.run([slow, quick])
    job, outcome = next(outcomes)
    outcomes.close()
    assert (job.unit_id, outcome.kind) == ("quick", "ok")
    assert [each.unit_id for each in executor.in_flight] == ["slow"]


@pytest.mark.parametrize("signals", [[signal.SIGTERM], [signal.SIGTERM, signal.SIGINT]])
def test_a_signal_that_a_thread_of_a_library_takes_stops_the_run_too(
    tmp_path: Path, signals: list[signal.Signals]
) -> None:
    executor = LocalExecutor(1)
    executors.start_fork_server()  # before signals are blocked, which its units would inherit
    over = threading.Event()
    library = threading.Thread(target=over.wait, daemon=True)
    library.start()

    def strike() -> None:
        while not (tmp_path / "here").exists():
            time.sleep(0.05)
        for each in signals:
            os.kill(os.getpid(), each)

    # The main thread is deaf, so that it is a thread of a library that takes them and wakes nobody.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    try:
        with pytest.raises(Interrupted), stopping_on_signals():
            threading.Thread(target=strike, daemon=True).start()
            cells = ["open('here', 'w'); import time; time.sleep(20)", "open('ended', 'w')"]
            list(executor.run([a_job(tmp_path, "slow", cells)]))
    finally:
        over.set()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    assert [each.unit_id for each in executor.in_flight] == ["slow"]
    assert not (tmp_path / "ended").exists()


def test_warm_workers_are_a_map_that_keeps_the_order() -> None:
    with warm_workers(2) as spread:
        assert list(spread(pow, [2, 3, 4], [3, 2, 1])) == [8, 9, 4]
