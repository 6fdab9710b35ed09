"""What a machine can do to a run: no space, no right, a wrong clock, no memory, other fonts and packages (by their ids)."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from shifted_clock import ShiftedClock
from small_disks import small_disk
from tiny_suite import HAND_OVER, answers, jianfu, start_jianfu, write_suite, write_tiny_drop, write_tiny_study

from analysis_lib.monitoring.ledger import Ledger
from analysis_lib.running.suite import REPOSITORY
from analysis_lib.study import Study

RUN = ("run", "--quarter", "2026Q3")
NO_ROOM_NEEDED = "from analysis_lib.running import runs; runs.ENOUGH_BYTES = 0"
# Root may write anywhere unless these are taken away.
WITHOUT_RIGHTS = ["setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner"]


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return write_tiny_study(tmp_path / "study")


def last_ending(study: Study, unit: str) -> tuple[str, str, float]:
    """How a unit of the quarter last ended: kind, message, peak memory in MB."""
    ending = Ledger(study.ledger).last_ending(f"2026Q3/{unit}")
    assert ending is not None
    return ending.kind, ending.message, ending.peak_mb


# -- space and rights ----------------------------------------------------------------------------------


def test_f05_a_disk_that_is_too_small_is_told_before_anything_computes(study: Study, tmp_path: Path) -> None:
    suite = write_suite(tmp_path / "suite", {"01-quick": [HAND_OVER]})
    with small_disk(study.results):
        code, _, err = jianfu(suite, study, *RUN)
    assert code == 7
    assert "study/results: 0 MB are free, 200 MB are needed" in err
    assert Ledger(study.ledger).last_run() is None


def test_f05_a_disk_that_fills_up_in_the_middle_of_a_run_leaves_nothing_half_done(tmp_path: Path) -> None:
    fill = "from pathlib import Path; Path('filler').exists() or Path('filler').write_bytes(b'x' * 10**7)"
    suite = write_suite(tmp_path / "suite", {"01-filling": [fill, HAND_OVER], "10-brief": [HAND_OVER]})
    with small_disk(tmp_path / "disk", "size=2m") as disk:
        study = write_tiny_study(disk / "study")
        code, _, err = jianfu(suite, study, *RUN, first=NO_ROOM_NEEDED)
        assert code == 7, err
        assert "Traceback" not in err
        assert not list((study.results / "2026Q3").glob("01-filling/*/unit.json"))
        (disk / "filler").write_bytes(b"")
        code, _, err = jianfu(suite, study, *RUN, first=NO_ROOM_NEEDED)
        assert code == 0, err
        assert Ledger(study.ledger).verify_chain() > 0
        assert len([path for path in answers(study) if path.endswith("answer.json")]) == 3


@pytest.mark.parametrize("how", ["read-only disk", "read-only folder", "folder of somebody else"])
def test_f07_results_that_nobody_may_write_stop_the_run_before_it_computes(
    study: Study, tmp_path: Path, how: str
) -> None:
    suite = write_suite(tmp_path / "suite", {"01-quick": [HAND_OVER]})
    study.results.mkdir()
    if how == "read-only disk":
        with small_disk(study.results, "ro"):
            code, _, err = jianfu(suite, study, *RUN)
    else:
        is_root = os.geteuid() == 0
        if is_root and not shutil.which("setpriv"):
            pytest.skip("root may write anywhere here")
        if how == "folder of somebody else":
            if not is_root:
                pytest.skip("only root can give a folder away")
            os.chown(study.results, 65534, 65534)
        study.results.chmod(0o755 if how == "folder of somebody else" else 0o555)
        code, _, err = jianfu(suite, study, *RUN, through=WITHOUT_RIGHTS if is_root else ())
    assert code == 7, err
    assert "study/results: results cannot be written: " in err
    assert "Traceback" not in err
    assert Ledger(study.ledger).last_run() is None


# -- side by side --------------------------------------------------------------------------------------

# Goes on only when all whose names are given have come so far: proof that they run at the same time.
MEET = """import time
from pathlib import Path
Path(f"here-{study}-{quarter}").touch()
until = time.monotonic() + 120
while not all(Path(f"here-{name}").exists() for name in %r):
    assert time.monotonic() < until
    time.sleep(0.02)"""


def test_f09_two_quarters_at_once_share_no_names(study: Study, tmp_path: Path) -> None:
    write_tiny_drop(study, "2026Q2")
    both = ["study-2026Q2", "study-2026Q3"]
    suite = write_suite(tmp_path / "suite", {"01-quick": [MEET % both, HAND_OVER]})
    code, _, err = jianfu(suite, study, "run", "--all")
    assert code == 0, err
    found = {path: text for path, text in answers(study).items() if path.endswith("answer.json")}
    assert sorted(found.values()) == [b'{"region": "all", "quarter": "2026Q%d"}' % number for number in (2, 3)]


def test_f09_two_studies_at_once_share_no_names(tmp_path: Path) -> None:
    studies = [write_tiny_study(tmp_path / name) for name in ("north", "south")]
    both = ["north-2026Q3", "south-2026Q3"]
    suite = write_suite(tmp_path / "suite", {"01-quick": [MEET % both, HAND_OVER]})
    processes = [start_jianfu(suite, study, *RUN) for study in studies]
    for process in processes:
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
    assert [len(answers(study)) for study in studies] == [3, 3]


# -- clocks --------------------------------------------------------------------------------------------


def test_f17_a_clock_that_is_wrong_by_years_changes_no_result(study: Study, tmp_path: Path) -> None:
    suite = write_suite(tmp_path / "suite", {"01-quick": [HAND_OVER], "10-brief": [HAND_OVER]})
    clock, other = ShiftedClock(tmp_path), write_tiny_study(tmp_path / "other" / "study")
    for one, days in ((study, 5 * 365), (other, -20 * 365)):
        clock.shift(days)
        code, _, err = jianfu(suite, one, *RUN, **clock.variables)
        assert code == 0, err
    started = [Ledger(one.ledger).last_run().started[:4] for one in (study, other)]  # pyright: ignore[reportOptionalMemberAccess]
    assert int(started[0]) - int(started[1]) in (24, 25, 26)  # the clocks were wrong
    assert answers(study) == answers(other)


def test_f18_a_clock_that_jumps_back_during_a_run_confuses_neither_time_nor_order(study: Study, tmp_path: Path) -> None:
    clock = ShiftedClock(tmp_path)
    jump = "from pathlib import Path; import time; Path('shift').write_text(str(-2 * 86_400)); time.sleep(0.2)"
    suite = write_suite(tmp_path / "suite", {"01-jumping": [jump, HAND_OVER], "02-quick": [HAND_OVER]})
    code, _, err = jianfu(suite, study, *RUN, **clock.variables)
    assert code == 0, err
    ledger = Ledger(study.ledger)
    first = ledger.last_run()
    assert first is not None
    assert first.ended < first.started  # the clock did jump
    assert all(0 < ending.seconds < 60 for ending in ledger.endings(first.run_id))

    suite = write_suite(tmp_path / "suite", {"01-jumping": ["1 + 1", HAND_OVER], "02-quick": [HAND_OVER]})
    code, out, err = jianfu(suite, study, *RUN, **clock.variables)
    assert (code, out) == (0, "2026Q3/01-jumping\tok\n"), err
    last = ledger.last_run()
    assert last is not None
    assert last.run_id != first.run_id  # what came last is last, whatever the clock said
    assert last.started < first.started
    assert ledger.verify_chain() > 0


# -- memory, hangs -------------------------------------------------------------------------------------


def test_f19_a_kernel_that_ran_out_of_memory_is_named_with_cell_peak_and_hint(study: Study, tmp_path: Path) -> None:
    # What the system does to a process that takes all its memory: it grows, and is killed by SIGKILL.
    grow = "taken = bytearray(300_000_000); taken[::4096] = b'x' * len(taken[::4096])\n"
    die = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    suite = write_suite(tmp_path / "suite", {"01-greedy": ["1 + 1", grow + die], "02-quick": [HAND_OVER]})
    code, _, err = jianfu(suite, study, *RUN)
    kind, message, peak = last_ending(study, "01-greedy")
    assert (code, kind) == (1, "kernel_died")
    assert peak > 300
    assert message.startswith(f"cell 4: the kernel was killed by SIGKILL at a peak of {peak:.0f} MB")
    assert "ran out of memory" in message
    assert message in err
    assert last_ending(study, "02-quick")[0] == "ok"


@pytest.mark.parametrize(
    "hang",
    ["import time; time.sleep(300)", "import ctypes; ctypes.PyDLL(None).pause()"],
    ids=["a cell that waits", "a cell that lets nobody in"],
)
def test_f20_a_cell_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path, hang: str) -> None:
    study = write_tiny_study(tmp_path / "study", unit_seconds=3)
    start = "import subprocess; child = subprocess.Popen(['sleep', '300'])\nopen('child', 'w').write(str(child.pid))"
    suite = write_suite(tmp_path / "suite", {"01-hanging": [start, hang, HAND_OVER], "02-quick": [HAND_OVER]})
    code, _, err = jianfu(suite, study, *RUN)
    kind, message, _ = last_ending(study, "01-hanging")
    assert (code, kind) == (1, "timeout"), err
    assert "limit of 3 s" in message
    assert last_ending(study, "02-quick")[0] == "ok"
    child = int((tmp_path / "child").read_text())
    state = Path(f"/proc/{child}/stat")
    assert not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z"


def test_f21_a_run_that_is_stopped_twice_still_stops_tidily(study: Study, tmp_path: Path) -> None:
    meet = MEET % ["study-2026Q3", "nobody"]
    suite = write_suite(tmp_path / "suite", {"01-slow": [meet, HAND_OVER]})
    process = start_jianfu(suite, study, *RUN)
    while not (tmp_path / "here-study-2026Q3").exists():
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    # Either may come first; the other may meet a process that has tidied up and is leaving.
    assert process.returncode in (143, 130, -signal.SIGINT, -signal.SIGTERM), err
    assert "the same command resumes what is left" in err
    assert "Traceback" not in err
    assert last_ending(study, "01-slow")[0] == "interrupted"


# -- fonts, packages, network --------------------------------------------------------------------------

DRAW = """
import sys
sys.path[:0] = [{here!r}, {tests!r}]
from pathlib import Path
from sample_results import all_results
from sample_study import write_combined_study
from analysis_lib.publishing.releases import build_release
from analysis_lib.quarters import Quarter
study = write_combined_study(Path({study!r}))
build_release(study, Quarter(2026, 3), all_results(study))
"""


@pytest.mark.parametrize(("fault", "told"), [("gone", "is missing"), ("flipped", "is another file")])
def test_f25_a_font_that_is_missing_or_another_stops_doctor_and_build(
    tmp_path: Path, study: Study, fault: str, told: str
) -> None:
    here = tmp_path / "installed"
    shutil.copytree(REPOSITORY / "analysis_lib", here / "analysis_lib", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "requirements.lock", here)
    font = here / "analysis_lib" / "figures" / "fonts" / "JianfuSansSC-Bold.otf"
    content = bytearray(font.read_bytes())
    content[len(content) // 2] ^= 1
    font.unlink()
    if fault == "flipped":
        font.write_bytes(content)
    environment = os.environ | {"PYTHONPATH": str(here), "PYTHONDONTWRITEBYTECODE": "1"}
    doctor = subprocess.run(
        [sys.executable, "-m", "analysis_lib", "doctor", "--study", str(study.root)],
        env=environment, cwd=here, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert doctor.returncode == 7, doctor.stderr
    assert f"BAD fonts: JianfuSansSC-Bold.otf {told}" in doctor.stdout
    script = DRAW.format(here=str(here), tests=str(REPOSITORY / "tests"), study=str(tmp_path / "shown"))
    built = subprocess.run(
        [sys.executable, "-c", script], env=environment, cwd=here, capture_output=True, text=True, check=False
    )
    assert built.returncode != 0
    assert f"EnvironmentProblem: fonts: JianfuSansSC-Bold.otf {told}" in built.stderr
    assert not list((tmp_path / "shown").rglob("release.json"))


def test_f27_packages_other_than_the_lock_file_stop_a_run_unless_allowed(study: Study, tmp_path: Path) -> None:
    suite = write_suite(tmp_path / "suite", {"01-quick": [HAND_OVER]})
    other = tmp_path / "other"
    (other / "tqdm-0.0.1.dist-info").mkdir(parents=True)
    (other / "tqdm-0.0.1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: tqdm\nVersion: 0.0.1\n")
    drifted = {"PYTHONPATH": os.pathsep.join([str(other), os.environ.get("PYTHONPATH", str(REPOSITORY))])}
    code, _, err = jianfu(suite, study, *RUN, **drifted)
    assert code == 7
    assert "packages differ from requirements.lock: tqdm 0.0.1 (lock: " in err
    assert Ledger(study.ledger).last_run() is None

    code, _, err = jianfu(suite, study, *RUN, "--allow-drift", **drifted)
    assert code == 0, err
    ending = Ledger(study.ledger).last_ending("2026Q3/01-quick")
    assert ending is not None
    assert "tqdm" in (Ledger(study.ledger).parts(ending.components["lock"]) or {})
    # What came of it is out of date where packages are as locked, so no release takes it for one that can be repeated.
    code, out, err = jianfu(suite, study, "plan", "--quarter", "2026Q3")
    assert (code, out) == (0, "2026Q3/01-quick\tlock file changed (tqdm)\n"), err


def test_f38_a_run_needs_no_network(study: Study, tmp_path: Path) -> None:
    alone = ["unshare", "--net"]
    if not shutil.which("unshare") or subprocess.run([*alone, "true"], capture_output=True).returncode:
        pytest.skip("the network cannot be taken away here")
    look = "import socket\nassert [name for _, name in socket.if_nameindex()] == ['lo']"
    suite = write_suite(tmp_path / "suite", {"01-quick": [look, HAND_OVER]})
    for command in (RUN, ("plan", "--quarter", "2026Q3"), ("status",), ("verify",), ("doctor",)):
        code, _, err = jianfu(suite, study, *command, through=alone)
        assert code == 0, err
