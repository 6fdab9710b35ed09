"""Faults F11 to F17 of deliveries, by their ids: nothing is taken in twice, half, silently changed, or by the clock."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from ingest_study import ANSWERS, DIARY, QUARTER, make_store
from ingest_study import receive as take_in

from analysis_lib.errors import EnvironmentProblem, InputRejected
from analysis_lib.ingest.tidy import ingest_quarter
from analysis_lib.monitoring.ledger import Ledger
from analysis_lib.study import Study
from analysis_lib.tables import store as store_module
from analysis_lib.tables.drops import file_sha256
from analysis_lib.tables.store import Store

HEADER = "id,name,submitted,hours,meetings\n"
DELIVERY = ["--quarter", "2026Q1", "--instrument", "answers", "--source", "team"]


def answers(**hours: int) -> str:
    """A questionnaire file of respondents and their hours."""
    return HEADER + "".join(f"{name},x,2026-02-01 10:00,{each},3\n" for name, each in hours.items())


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return make_store(tmp_path / "study", ANSWERS, DIARY).study


def run(study: Study, *arguments: str, **variables: str) -> tuple[int, str, str]:
    """Run the command line on a study in a process of its own: exit code, standard output, standard error."""
    done = subprocess.run(
        [sys.executable, "-m", "analysis_lib", *arguments, "--study", str(study.root)],
        env=os.environ | variables, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def deliver(study: Study, text: str, *arguments: str, received: str = "2026-04-05") -> tuple[int, str, str]:
    """Receive a questionnaire file on the command line."""
    file = study.root / "questionnaire.csv"
    file.write_text(text, encoding="utf-8")
    return run(study, "receive", str(file), *DELIVERY, "--received", received, *arguments)


def raw_bytes(study: Study) -> dict[str, bytes]:
    """Every file of the raw folder."""
    return {str(path.relative_to(study.raw)): path.read_bytes() for path in study.raw.rglob("*") if path.is_file()}


def test_f11_a_file_cut_off_after_receipt_is_refused_with_its_size_seen_and_expected(study: Study) -> None:
    drop = take_in(Store(study), "answers", {"questionnaire": answers(E1=40, E2=50)})
    path, size = drop.files[0].path, drop.files[0].path.stat().st_size
    path.chmod(0o640)
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(InputRejected, match=rf"now {size - 7} bytes, {size} expected"):
        ingest_quarter(Store(study), QUARTER)


def test_f12_the_copy_is_what_is_hashed_and_read_when_the_original_is_replaced_meanwhile(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = study.root / "questionnaire.csv"
    file.write_text(answers(E1=40), encoding="utf-8")
    copyfile = shutil.copyfile

    def copy_and_replace(source: Path, target: Path) -> None:
        copyfile(source, target)
        file.write_text(answers(E1=99, E2=99), encoding="utf-8")

    monkeypatch.setattr(store_module.shutil, "copyfile", copy_and_replace)
    drop = take_in(Store(study), "answers", {"questionnaire": file})
    assert drop.files[0].path.read_text(encoding="utf-8") == answers(E1=40)
    assert drop.files[0].sha256 == file_sha256(drop.files[0].path)
    assert ingest_quarter(Store(study), QUARTER)["respondents"]["work_hours"].tolist() == [40]


def test_f13_the_same_delivery_again_is_a_no_op_with_exit_0(study: Study) -> None:
    assert deliver(study, answers(E1=40))[0] == 0
    before = raw_bytes(study)
    code, out, err = deliver(study, answers(E1=40), received="2026-05-01")
    assert (code, out) == (0, "2026Q1/2026-04-05/answers\n")
    assert "already received" in err
    assert raw_bytes(study) == before


def test_f14_respondents_sent_again_with_changes_are_counted_and_need_a_word(study: Study) -> None:
    assert deliver(study, answers(E1=40, E2=50))[0] == 0
    before = raw_bytes(study)
    code, _, err = deliver(study, answers(E2=55, E3=30), received="2026-04-20")
    assert code == 3
    assert "respondents: 1 added, 1 changed, 0 removed" in err
    assert "--accept-revision" in err
    assert raw_bytes(study) == before
    code, out, err = deliver(study, answers(E2=55, E3=30), "--accept-revision", "--json", received="2026-04-20")
    assert code == 0, err
    counted = json.loads(out)["revision"]["respondents"]
    assert counted == {"of": "respondents", "added": 1, "changed": 1, "removed": 0, "unchanged": 1}
    hours = ingest_quarter(Store(study), QUARTER)["respondents"].set_index("respondent_id")["work_hours"]
    assert hours.to_dict() == {"E1": 40, "E2": 55, "E3": 30}
    earlier = ingest_quarter(Store(study, dt.date(2026, 4, 19)), QUARTER)["respondents"]
    assert earlier["work_hours"].tolist() == [40, 50]


def test_f14_a_replacement_that_removes_respondents_needs_a_word_and_one_that_only_adds_does_not(study: Study) -> None:
    first = deliver(study, answers(E1=40, E2=50))[1].strip()
    code, _, err = deliver(study, answers(E1=40), "--supersedes", first, received="2026-04-20")
    assert (code, "0 added, 0 changed, 1 removed" in err) == (3, True)
    whole = answers(E1=40, E2=50, E3=60)
    code, _, err = deliver(study, whole, "--supersedes", first, received="2026-04-20")
    assert (code, "1 added, 0 changed, 0 removed" in err) == (0, True)


def test_f14_diary_days_of_known_respondents_are_additions(study: Study) -> None:
    assert deliver(study, answers(E1=40))[0] == 0
    diary = study.root / "episodes.csv"
    diary.write_text("id,date,start,end,activity,value\nE1,2026-02-02,08:00,09:00,M1,2\n", encoding="utf-8")
    arguments = ["--quarter", "2026Q1", "--instrument", "diary", "--source", "team", "--received", "2026-04-20"]
    code, _, err = run(study, "receive", str(diary), *arguments)
    assert code == 0, err
    assert "diary_days: 1 added, 0 changed, 0 removed" in err


def test_f14_a_file_that_would_break_a_quarter_that_can_be_read_stays_out(study: Study) -> None:
    assert deliver(study, answers(E1=40))[0] == 0
    before = raw_bytes(study)
    assert deliver(study, "id,other\nE2,1\n", received="2026-04-20")[0] == 3
    assert raw_bytes(study) == before


def test_f15_a_late_drop_waits_for_the_next_release_and_leaves_the_one_that_is_out_alone(
    study: Study, tmp_path: Path
) -> None:
    first = deliver(study, answers(E1=40))[1].strip()
    Ledger(study.ledger).record_release("2026Q1", "2026Q1/r1", made_from="x", drops={first: "0"})
    late = deliver(study, answers(E2=50), received="2026-06-01")[1].strip()
    code, out, err = run(study, "drops", "--quarter", "2026Q1", "--json")
    assert code == 0
    assert {row["drop"]: row["release"] for row in json.loads(out)} == {first: "2026Q1/r1", late: "waiting"}
    assert "1 drops wait" in err
    _, out, _ = run(study, "drops", "--quarter", "2026Q1", "--json", "--as-of", "2026-05-31")
    assert [row["drop"] for row in json.loads(out)] == [first]


def test_f15_after_a_quarter_is_final_late_data_need_a_name(study: Study) -> None:
    first = deliver(study, answers(E1=40))[1].strip()
    final = study.final_day(QUARTER).isoformat()
    code, _, err = deliver(study, answers(E2=50), received=final)
    assert (code, f"final since {final}" in err) == (3, True)
    code, late, err = deliver(study, answers(E2=50), "--after-final", "A. Lead: ordered by audit", received=final)
    assert code == 0, err
    assert "A. Lead" in (study.raw / late.strip() / "drop.toml").read_text(encoding="utf-8")
    assert run(study, "withdraw", first, "--reason", "found to be made up", "--since", final)[0] == 3


def test_a_withdrawn_drop_is_listed_with_its_reason_and_read_no_more(study: Study) -> None:
    first = deliver(study, answers(E1=40))[1].strip()
    code, out, err = run(study, "withdraw", first, "--reason", "the wrong quarter", "--since", "2026-05-01")
    assert (code, out) == (0, f"{first}\n"), err
    _, out, _ = run(study, "drops", "--json")
    (row,) = json.loads(out)
    assert (row["state"], row["since"], row["why"]) == ("withdrawn", "2026-05-01", "the wrong quarter")
    assert Store(study).drops(QUARTER) == []


@pytest.mark.parametrize("day", ["2025-12-31", "2026-01-01", "2026-03-31", "2026-04-01"])
def test_f16_a_diary_day_counts_in_the_quarter_of_its_date(study: Study, day: str) -> None:
    take_in(Store(study), "answers", {"questionnaire": answers(E1=40)}, slug="answers")
    text = f"id,date,start,end,activity,value\nE1,{day},23:00,01:00,M1,2\n"
    take_in(Store(study), "diary", {"episodes": text}, slug="diary")
    days = set(ingest_quarter(Store(study), QUARTER)["episodes"]["diary_date"])
    assert days == ({day} if dt.date.fromisoformat(day) in QUARTER else set())


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_f17_the_day_is_that_of_the_study_and_the_quarter_that_of_the_parameter(study: Study, zone: str) -> None:
    before = study.today()
    file = study.root / "questionnaire.csv"
    file.write_text(answers(E1=40), encoding="utf-8")
    code, out, err = run(study, "receive", str(file), *DELIVERY, TZ=zone)
    assert code == 0, err
    quarter, received, _ = out.strip().split("/")
    assert quarter == "2026Q1"
    assert dt.date.fromisoformat(received) in (before, study.today())


def test_f01_a_receipt_that_was_killed_leaves_no_drop_and_is_cleared_away(study: Study) -> None:
    script = """
import os, signal
from analysis_lib.tables import store
store.sidecar_text = lambda drop: os.kill(os.getpid(), signal.SIGKILL)
from analysis_lib.cli import main
main()
"""
    file = study.root / "questionnaire.csv"
    file.write_text(answers(E1=40), encoding="utf-8")
    arguments = ["receive", str(file), *DELIVERY, "--received", "2026-04-05", "--study", str(study.root)]
    killed = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert list(study.raw.glob(".receiving-*"))
    assert Store(study).drops(QUARTER) == []
    assert deliver(study, answers(E1=40))[0] == 0
    assert not list(study.raw.glob(".receiving-*"))
    assert len(Store(study).drops(QUARTER)) == 1


def test_f05_a_disk_that_fills_up_while_a_drop_is_copied_leaves_nothing(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store_module, "sync", full)
    with pytest.raises(EnvironmentProblem, match="bytes cannot be kept: No space left") as stopped:
        take_in(Store(study), "answers", {"questionnaire": answers(E1=40)})
    assert stopped.value.exit_code == 7
    assert not list(study.raw.iterdir())
