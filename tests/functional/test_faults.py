"""What happens when things go wrong in the middle of a run: each ending is known, isolated, and mended by a rerun."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_suite import HAND_OVER, answers, executed, jianfu, start_jianfu, write_suite, write_tiny_study

from analysis_lib.monitoring.ledger import Ledger
from analysis_lib.study import Study

RUN = ("run", "--quarter", "2026Q3")
ONCE = """import os, signal, time
from pathlib import Path
first_time = not Path("mark").exists()
Path("mark").touch()
if first_time:
    """
KILL_KERNEL = ONCE + "os.kill(os.getpid(), signal.SIGKILL)"
KILL_UNIT = ONCE + "os.kill(os.getppid(), signal.SIGKILL); time.sleep(30)"
SLEEP = "from pathlib import Path; import os, time; Path(f'asleep-{os.getpid()}').touch(); time.sleep(60)"
SLEEP_ONCE = ONCE + "Path(f'asleep-{os.getpid()}').touch(); time.sleep(60)"


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return write_tiny_study(tmp_path / "study")


def endings(study: Study) -> dict[str, str]:
    """Unit → how it last ended."""
    ledger = Ledger(study.ledger)
    run = ledger.last_run()
    assert run is not None
    return {each.unit_id.removeprefix("2026Q3/"): each.kind for each in ledger.endings(run.run_id)}


def wait_for(condition: Callable[[], object], seconds: float = 120) -> None:
    """Wait until something is true; fail when it does not become so."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.05)


def kernels_asleep(study: Study) -> list[int]:
    """Processes of kernels that are in their sleeping cell."""
    return [int(path.name.removeprefix("asleep-")) for path in study.root.parent.glob("asleep-*")]


def is_alive(pid: int) -> bool:
    """Whether a process is there and not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


FAULTS = {
    "01-killed": ("kernel_died", KILL_KERNEL),
    "02-orphaned": ("kernel_died", KILL_UNIT),
    "03-wrong": ("cell_error", ONCE + "raise ValueError('the age of 张三 is 47')"),
    "04-endless": ("timeout", ONCE + "time.sleep(60)"),
    "05-leaving": ("cell_error", ONCE + "raise SystemExit(0)"),
    "06-refused": ("cell_error", ONCE + "from analysis_lib.errors import DesignError; raise DesignError('one PSU')"),
}


def test_each_units_fault_is_listed_and_leaves_the_others_alone_and_a_rerun_mends_it(tmp_path: Path) -> None:
    study = write_tiny_study(tmp_path / "study", unit_seconds=3)
    faulty = {stem: [cell.replace("mark", stem), HAND_OVER] for stem, (_, cell) in FAULTS.items()}
    suite = write_suite(tmp_path / "suite", faulty | {"10-brief": [HAND_OVER]})
    code, _, err = jianfu(suite, study, *RUN)
    assert code == 1
    expected = {stem: kind for stem, (kind, _) in FAULTS.items()}
    assert endings(study) == expected | {"10-brief/P01": "ok", "10-brief/P02": "ok"}
    for stem, kind in expected.items():
        assert f"2026Q3/{stem}: {kind}" in err
    assert "one PSU" in err  # an error of ours says what it has to say
    assert "张三" not in err + study.ledger.read_bytes().decode(errors="ignore")  # any other might quote data
    assert "Traceback" not in err

    code, out, err = jianfu(suite, study, *RUN)
    assert code == 0, err
    assert set(out.splitlines()) == {f"2026Q3/{stem}\tok" for stem in FAULTS}
    assert "2 up to date" in err


def test_an_output_that_was_promised_and_not_handed_over_is_a_failure(study: Study, tmp_path: Path) -> None:
    suite = write_suite(tmp_path / "suite", {"01-forgetful": ["1 + 1"]})
    code, _, err = jianfu(suite, study, *RUN)
    assert code == 1
    assert endings(study) == {"01-forgetful": "output_missing"}
    assert "answer" in err


def test_the_executed_notebook_of_a_failure_is_kept_with_its_error(study: Study, tmp_path: Path) -> None:
    suite = write_suite(tmp_path / "suite", {"01-faulty": ["print('so far so good')", "1 / 0"]})
    jianfu(suite, study, *RUN)
    notebook = executed(study.results / "2026Q3" / "01-faulty" / "failed")
    kept = {output["output_type"] for cell in notebook["cells"] for output in cell.get("outputs", [])}
    assert kept == {"stream", "error"}
    assert notebook["metadata"]["jianfu"]["ending"] == "cell_error"
    assert "papermill" not in notebook["metadata"]


def test_f19_a_notebook_whose_kernel_was_killed_does_not_say_completed(study: Study, tmp_path: Path) -> None:
    suite = write_suite(tmp_path / "suite", {"01-faulty": ["print('so far so good')", KILL_KERNEL]})
    code, _, err = jianfu(suite, study, *RUN)
    assert code == 1
    assert "SIGKILL" in err
    assert "cell 4" in err
    text = json.dumps(executed(study.results / "2026Q3" / "01-faulty" / "failed"))
    assert "so far so good" in text
    assert "completed" not in text


def test_f01_after_kill_9_of_the_whole_run_no_kernel_is_left_and_a_rerun_ends_in_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = write_suite(
        tmp_path / "suite", {"01-quick": [HAND_OVER], "02-slow": [SLEEP_ONCE, HAND_OVER], "10-brief": [HAND_OVER]}
    )
    (tmp_path / "whole").mkdir()
    (tmp_path / "whole" / "mark").touch()  # this one does not sleep
    undisturbed = write_tiny_study(tmp_path / "whole" / "study")
    assert jianfu(suite, undisturbed, *RUN)[0] == 0

    temporary = tmp_path / "t"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    (tmp_path / "killed").mkdir()
    study = write_tiny_study(tmp_path / "killed" / "study")
    process = start_jianfu(suite, study, *RUN)
    wait_for(lambda: kernels_asleep(study))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    wait_for(lambda: not any(is_alive(pid) for pid in kernels_asleep(study)), seconds=5)
    assert not list(temporary.glob("jf-*"))
    last = Ledger(study.ledger).last_run()
    assert last is not None
    assert last.exit_code is None

    code, _, err = jianfu(suite, study, *RUN)
    assert code == 0, err
    assert answers(study) == answers(undisturbed)


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_f21_ctrl_c_and_sigterm_stop_tidily_within_five_seconds(
    study: Study, tmp_path: Path, signum: signal.Signals, code: int
) -> None:
    suite = write_suite(tmp_path / "suite", {"01-slow": [SLEEP_ONCE, HAND_OVER]})
    process = start_jianfu(suite, study, *RUN)
    wait_for(lambda: kernels_asleep(study))
    asked = time.monotonic()
    process.send_signal(signum)
    _, err = process.communicate(timeout=10)
    assert time.monotonic() - asked < 5
    assert process.returncode == code, err
    assert "Traceback" not in err
    assert endings(study) == {"01-slow": "interrupted"}
    assert not any(is_alive(pid) for pid in kernels_asleep(study))
    assert jianfu(suite, study, *RUN)[0] == 0  # the lock is free, and only what is left runs


def test_f08_the_second_of_two_runs_at_once_exits_6_and_names_the_holder_since_when(
    study: Study, tmp_path: Path
) -> None:
    suite = write_suite(tmp_path / "suite", {"01-slow": [SLEEP, HAND_OVER]})
    first = start_jianfu(suite, study, *RUN)
    wait_for(lambda: kernels_asleep(study))
    code, _, err = jianfu(suite, study, *RUN)
    first.send_signal(signal.SIGTERM)
    first.communicate()
    assert code == 6
    assert f"process {first.pid}" in err
    assert "started 20" in err


def test_f08_a_lock_whose_holder_was_killed_does_not_stand_in_the_way_and_its_run_is_named(
    study: Study, tmp_path: Path
) -> None:
    suite = write_suite(tmp_path / "suite", {"01-slow": [SLEEP_ONCE, HAND_OVER]})
    first = start_jianfu(suite, study, *RUN)
    wait_for(lambda: kernels_asleep(study))
    first.kill()
    first.communicate()
    killed = Ledger(study.ledger).last_run()
    assert killed is not None
    code, _, err = jianfu(suite, study, *RUN)
    assert code == 0, err
    assert f"run {killed.run_id} of {killed.started} never ended: it was killed" in err


def test_f07_a_file_where_results_belong_stops_the_run_before_it_computes(study: Study, tmp_path: Path) -> None:
    suite = write_suite(tmp_path / "suite", {"01-quick": [HAND_OVER]})
    study.results.write_text("in the way")
    code, _, err = jianfu(suite, study, *RUN)
    assert code == 7
    assert "results cannot be written" in err


def test_a_kernel_is_a_child_of_its_unit_and_leads_no_group_of_its_own(study: Study, tmp_path: Path) -> None:
    told = "import os; from pathlib import Path; Path('told').write_text(f'{os.getpgid(0)} {os.getppid()}')"
    suite = write_suite(tmp_path / "suite", {"01-quick": [told, HAND_OVER]})
    assert jianfu(suite, study, *RUN)[0] == 0
    group, parent = (tmp_path / "told").read_text().split()
    assert group == parent != str(os.getpgid(0))


def test_f02_workers_that_draw_pages_do_not_outlive_a_run_that_was_killed(tmp_path: Path) -> None:
    script = """
import os, sys
from analysis_lib.running import executors
executors.PRELOAD = []
with executors.warm_workers(1) as spread:
    print(*spread(os.getpgid, [0]), flush=True)  # the worker is at work
    print(*[process.pid for process in executors.multiprocessing.active_children()], flush=True)
    sys.stdin.read()
"""
    run = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    run.stdout.readline()
    workers = [int(pid) for pid in run.stdout.readline().split()]
    assert workers
    assert all(is_alive(pid) for pid in workers)
    run.kill()
    run.communicate()
    wait_for(lambda: not any(is_alive(pid) for pid in workers), seconds=5)
