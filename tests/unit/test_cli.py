"""The command line: results on standard output, messages on standard error, exit codes that mean something."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from ingest_study import ANSWERS, STUDY_TOML
from tiny_suite import HAND_OVER, jianfu, write_suite, write_tiny_study

from analysis_lib import cli
from analysis_lib.monitoring.ledger import Ledger
from analysis_lib.running.scaffold import init_study
from analysis_lib.running.suite import Suite
from analysis_lib.study import Study


def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[int, str, str]:
    """Run the command line in this process: exit code, standard output, standard error."""
    monkeypatch.setattr(sys, "argv", ["jianfu", *arguments])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    out, err = capsys.readouterr()
    code = stopped.value.code
    return int(code or 0), out, err


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return write_tiny_study(tmp_path / "study")


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Suite:
    suite = write_suite(tmp_path / "suite", {"01-quick": [HAND_OVER], "10-brief": [HAND_OVER]})
    monkeypatch.setenv("JIANFU_NOTEBOOKS", str(suite.folder))
    return suite


def test_help_shows_examples_and_needs_no_slow_library(repository: Path) -> None:
    script = (
        "import sys; from analysis_lib import cli; print(sorted({'pandas', 'polars', 'pydantic'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    done = subprocess.run(
        [sys.executable, "-m", "analysis_lib", "--help"], capture_output=True, text=True, check=True, cwd=repository
    )
    assert "jianfu run --due" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["runn"], "'run'"),
        (["run", "--quater", "2026Q3"], "--quarter"),
        (["run", "--quarter", "2026-3"], "2025Q1"),
        (["run", "--quarter", "2031Q1"], "[calendar]"),
        (["run"], "--due"),
        (["run", "--due", "--all"], "--due"),
        (["run", "--all", "--build", "--as-of", "2026-10-08"], "--build"),
        (["plan", "--as-of", "yesterday"], "2026-10-31"),
        (["status", "--fail-if-late", "soon"], "14d"),
        (["simulate", "--scenario", "z"], "scenario"),
    ],
)
def test_what_the_command_line_does_not_know_is_usage_and_says_what_to_write(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    study: Study,
    suite: Suite,
    arguments: list[str],
    hint: str,
) -> None:
    monkeypatch.setenv("JIANFU_STUDY", str(study.root))
    code, out, err = call(capsys, monkeypatch, *arguments)
    assert code == 2
    assert hint in err
    assert out == ""
    assert "Traceback" not in err


def test_a_folder_that_is_no_study_is_usage(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, err = call(capsys, monkeypatch, "plan", "--study", "nowhere")
    assert code == 2
    assert "jianfu init DIR" in err


def test_the_study_is_looked_for_before_anything_else_is_asked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, err = call(capsys, monkeypatch, "run", "--study", "../nope")
    assert code == 2
    assert "nope/ holds no study.toml" in err
    assert "--quarter" not in err


def test_an_unknown_key_of_the_study_is_usage_with_a_suggestion(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, study: Study
) -> None:
    path = study.root / "study.toml"
    path.write_text(path.read_text(encoding="utf-8").replace("unit_seconds", "unit_second"), encoding="utf-8")
    code, _, err = call(capsys, monkeypatch, "config", "show", "--study", str(study.root))
    assert code == 2
    assert 'did you mean "unit_seconds"' in err


def test_a_traceback_is_shown_when_asked_for_and_wherever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["jianfu", "plan", "--study", "nowhere", "--traceback"])
    with pytest.raises(cli.UsageError):
        cli.main()


def test_a_quarter_without_a_drop_is_rejected_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, study: Study, suite: Suite
) -> None:
    code, _, err = call(capsys, monkeypatch, "run", "--quarter", "2026Q2", "--study", str(study.root))
    assert code == 3
    assert "jianfu receive" in err


def test_a_plan_lists_units_with_reasons(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, study: Study, suite: Suite
) -> None:
    code, out, err = call(capsys, monkeypatch, "plan", "--study", str(study.root))
    assert code == 0
    assert out.splitlines()[0] == "2026Q3/01-quick\tnever ran"
    assert "3 of 3 units would run" in err
    code, out, _ = call(capsys, monkeypatch, "run", "--all", "--dry-run", "--json", "--study", str(study.root))
    assert [row["unit"] for row in json.loads(out)] == [
        "2026Q3/01-quick",
        "2026Q3/10-brief/P01",
        "2026Q3/10-brief/P02",
    ]
    assert not study.results.exists()


def test_a_run_is_recorded_and_a_second_says_up_to_date_and_writes_nothing(study: Study, suite: Suite) -> None:
    code, out, err = jianfu(suite, study, "run", "--due", "--json")
    assert code == 0, err
    told = json.loads(out)
    assert {each["kind"] for each in told["endings"]} == {"ok"}
    assert told["run_id"] in err
    entries = Ledger(study.ledger).verify_chain()
    code, out, err = jianfu(suite, study, "run", "--due")
    assert (code, out) == (0, "up to date\n")
    assert Ledger(study.ledger).verify_chain() == entries


def test_a_failed_unit_is_told_with_the_path_of_its_notebook(tmp_path: Path, study: Study) -> None:
    suite = write_suite(tmp_path / "failing", {"01-wrong": ["raise ValueError"], "10-brief": [HAND_OVER]})
    code, _, err = jianfu(suite, study, "run", "--all")
    assert code == 1
    (path,) = [line.split()[1] for line in err.splitlines() if line.startswith("    see ")]
    assert path == "results/2026Q3/01-wrong/failed/executed.ipynb"
    assert (study.root / path).is_file()


def test_results_as_known_then_stand_beside_results_as_known_now(study: Study, suite: Suite) -> None:
    assert jianfu(suite, study, "run", "--all")[0] == 0
    assert jianfu(suite, study, "run", "--all", "--as-of", "2026-10-08")[0] == 0
    folders = {path.name for path in (study.results / "2026Q3").iterdir()}
    assert {"01-quick", "01-quick@2026-10-08"} <= folders
    assert jianfu(suite, study, "run", "--all", "--as-of", "2026-10-07")[0] == 3  # nothing had been received


@pytest.mark.parametrize(("number", "code"), [(errno.ENOSPC, 7), (errno.EROFS, 7), (errno.EACCES, 7)])
def test_a_disk_that_refuses_ends_any_command_in_two_lines(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, number: int, code: int
) -> None:
    def refused(_name: str) -> Study:
        raise OSError(number, "said by the system", "/somewhere/answers.csv")

    monkeypatch.setattr(cli, "_open", refused)
    ended, _, err = call(capsys, monkeypatch, "status")
    assert ended == code
    assert err.startswith("error: answers.csv: not possible on this machine: said by the system\n  fix: ")
    assert "somewhere" not in err


def test_building_half_an_assessment_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, study: Study, suite: Suite
) -> None:
    code, _, err = call(capsys, monkeypatch, "build", "--study", str(study.root))
    assert code == 1
    assert "never ran" in err
    assert not study.reports.exists()


def test_status_shows_quarters_and_the_dead_mans_switch_exits_8(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, study: Study, suite: Suite
) -> None:
    code, out, err = call(capsys, monkeypatch, "status", "--study", str(study.root))
    assert code == 0
    assert "last quarter published: none" in err
    assert [line.split("\t")[:4] for line in out.splitlines() if line.startswith("2026Q3")] == [
        ["2026Q3", "True", "3", "3"]
    ]
    path = study.root / "study.toml"
    late = path.read_text(encoding="utf-8").replace('last = "2026Q3"', 'last = "2026Q3"\ndue_days = 1')
    path.write_text(late.replace("2025Q1", "2020Q1").replace("2026Q3", "2020Q4"), encoding="utf-8")
    code, _, err = call(capsys, monkeypatch, "status", "--fail-if-late", "14d", "--study", str(study.root))
    assert code == 8
    assert "2020Q4 by" in err


def test_a_new_study_passes_the_check_and_receives_files_under_their_roles(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = str(tmp_path / "mine")
    assert call(capsys, monkeypatch, "init", folder)[:2] == (0, f"{folder}\n")
    assert call(capsys, monkeypatch, "check", "--study", folder)[0] == 0
    monkeypatch.setenv("JIANFU_STUDY", folder)
    quarter = str(Study.open(folder).config.calendar.quarters[0])
    (tmp_path / "answers.csv").write_text("KEY\n1\n")
    (tmp_path / "diary.csv").write_text("PARENT_KEY\n1\n")
    delivery = ["--quarter", quarter, "--instrument", "odk-v1", "--source", "team", "--received", "2026-10-08"]
    code, _, err = call(capsys, monkeypatch, "receive", str(tmp_path / "answers.csv"), *delivery)
    assert code == 2  # which of the instrument's files is it?
    assert "questionnaire" in err
    files = [f"questionnaire:{tmp_path / 'answers.csv'}", "--role", f"episodes={tmp_path / 'diary.csv'}"]
    code, out, err = call(capsys, monkeypatch, "receive", *files, *delivery)
    assert (code, out) == (0, f"{quarter}/2026-10-08/odk-v1\n"), err
    code, out, err = call(capsys, monkeypatch, "receive", *files, *delivery)
    assert (code, "already received" in err) == (0, True)


def checkable_study(folder: Path) -> Path:
    """A study of one questionnaire without a sample list, for the quarter of the tests of ingest."""
    init_study(folder)
    settings = '[design]\nstratum = ""\npsu = ""\nweight = ""\n[estimation]\ncategories = []\nnested = ["gross"]\n'
    (folder / "study.toml").write_text(STUDY_TOML + settings, encoding="utf-8")
    measures = '[gross]\ntitle_zh = "总"\ntitle_en = "gross"\ngroups = ["meeting"]\n'
    (folder / "reference" / "measures.toml").write_text(measures, encoding="utf-8")
    (folder / "reference" / "instruments" / "answers.toml").write_text(ANSWERS, encoding="utf-8")
    return folder


def test_a_check_in_json_lists_each_problem_with_its_row_and_no_value(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("JIANFU_STUDY", str(checkable_study(tmp_path / "mine")))
    delivery = ["--quarter", "2026Q1", "--instrument", "answers", "--source", "team", "--received", "2026-04-05"]
    file = tmp_path / "questionnaire.csv"
    file.write_text("id,name,submitted,hours,meetings\nE1,x,2026-02-01 10:00,40,3\nE2,x,2026-02-01 10:00,987,3\n")
    assert call(capsys, monkeypatch, "receive", str(file), *delivery)[0] == 0
    code, out, err = call(capsys, monkeypatch, "check", "--json")
    assert code == 0, err
    told = json.loads(out)
    assert [(row["file"], row["row"], row["column"], row["rule"], row["action"]) for row in told["problems"]] == [
        ("questionnaire.csv", 3, "hours", "range", "value_rejected")
    ]
    assert "987" not in out
    assert any("no region" in warning for warning in told["warnings"])
    assert "warning: 2026Q1: no drop has a diary file" in err


def test_a_bad_drop_is_refused_in_json_too_and_replaced_as_the_fix_says(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("JIANFU_STUDY", str(checkable_study(tmp_path / "mine")))
    delivery = ["--quarter", "2026Q1", "--instrument", "answers", "--source", "team", "--received", "2026-04-05"]
    header, bad, good = "id,name,submitted,hours,meetings\n", tmp_path / "bad.csv", tmp_path / "good.csv"
    bad.write_text(header + ",x,2026-02-01 10:00,40,3\n" * 30)
    good.write_text(header + "E1,x,2026-02-01 10:00,40,3\n")
    assert call(capsys, monkeypatch, "receive", f"questionnaire:{bad}", *delivery)[0] == 0
    code, out, _ = call(capsys, monkeypatch, "check", "--json")
    error = json.loads(out)["error"]
    assert (code, error["exit_code"], error["where"]) == (3, 3, "2026Q1/2026-04-05/answers")
    assert "30 × missing:not_answered" in error["what"]
    replace = error["fix"].partition("--supersedes ")[2]
    code, out, _ = call(capsys, monkeypatch, "receive", f"questionnaire:{good}", *delivery, "--supersedes", replace)
    assert (code, out) == (0, "2026Q1/2026-04-05/answers-2\n")
    assert call(capsys, monkeypatch, "check")[0] == 0


def test_an_instrument_that_is_not_there_is_named_with_those_that_are(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    init_study(tmp_path / "mine")
    code, _, err = call(
        capsys, monkeypatch, "receive", "a.csv", "--quarter", "2026Q3", "--instrument", "odk-v2", "--source", "x",
        "--study", str(tmp_path / "mine"),
    )  # fmt: skip
    assert code in (2, 3)
    assert "odk-v1" in err


def test_configuration_is_printed_with_defaults_and_as_json(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, study: Study
) -> None:
    code, out, _ = call(capsys, monkeypatch, "config", "show", "--study", str(study.root))
    assert code == 0
    assert "unit_seconds = 60  # wall-clock limit of a unit\n" in out
    assert "due_days = 45  # days after a quarter's end by which its assessment is due (default)\n" in out
    code, out, _ = call(capsys, monkeypatch, "config", "show", "--json", "--study", str(study.root))
    assert json.loads(out)["running"]["unit_seconds"] == 60


def test_the_doctor_finds_a_broken_ledger(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, study: Study
) -> None:
    study.ledger.write_text("this is no ledger; " * 100)
    code, out, _ = call(capsys, monkeypatch, "doctor", "--study", str(study.root))
    assert code == 7
    assert "BAD ledger" in out
    assert "ok  python" in out


def test_the_site_is_served_to_this_machine_only(study: Study, suite: Suite) -> None:
    site = study.reports / "site"
    site.mkdir(parents=True)
    (site / "index.html").write_text("<title>here</title>")
    server = subprocess.Popen(
        [sys.executable, "-u", "-m", "analysis_lib", "serve", "--port", "0", "--study", str(study.root)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[1])},
    )
    try:
        assert server.stdout is not None
        address = server.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(address, timeout=10) as answer:
            assert "here" in answer.read().decode()
    finally:
        server.terminate()
        server.communicate()


def test_nothing_to_serve_says_what_to_do_first(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, study: Study
) -> None:
    code, _, err = call(capsys, monkeypatch, "serve", "--study", str(study.root))
    assert code == 2
    assert "jianfu build" in err


def test_help_is_quick() -> None:
    started = time.monotonic()
    subprocess.run([sys.executable, "-m", "analysis_lib", "--help"], capture_output=True, check=True)
    assert time.monotonic() - started < 5  # a fraction of a second on a quiet machine
