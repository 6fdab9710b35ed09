"""What is printed for a timer is understood by that timer, or by what reads its kind of file."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tiny_suite import HAND_OVER, jianfu, write_suite, write_tiny_study

from analysis_lib.monitoring.ledger import Ledger
from analysis_lib.running.schedule import SIXTY_DAYS, Timer, timer_files, write_files
from analysis_lib.study import Study

AWKWARD = "a study 100% ours & 'more'"  # a folder may be called that


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return write_tiny_study(tmp_path / AWKWARD / "study")


def only(study: Study, timer: Timer) -> str:
    (text,) = timer_files(study, timer).values()
    return text


def cron_command(text: str) -> str:
    """What cron gives to the shell: the line after its five fields, each escaped percent sign made plain."""
    (line,) = [line for line in text.splitlines() if line and not line.startswith("#")]
    fields = line.split(maxsplit=5)
    assert fields[:5] == ["17", "6", "*", "*", "1"]
    assert "%" not in fields[5].replace(r"\%", "")  # cron ends the command at a plain one
    return fields[5].replace(r"\%", "%")


def test_the_cron_line_runs_as_cron_runs_it_and_a_second_call_changes_nothing(study: Study, tmp_path: Path) -> None:
    """From the home folder, with nothing in the environment but what cron gives."""
    suite = write_suite(tmp_path / "suite", {"01-quick": [HAND_OVER]})
    # The drop of a tiny study is not meant to be read: what would read it is recorded as done beforehand.
    assert jianfu(suite, study, "run", "--quarter", "2026Q3")[0] == 0
    entries = Ledger(study.ledger).verify_chain()
    command = cron_command(only(study, "cron")).replace(" --build", "")  # a tiny suite has no pages
    bare = {"HOME": "/", "PATH": "/usr/bin:/bin", "SHELL": "/bin/sh", "LOGNAME": "nobody"}
    for _ in range(2):
        # cron sets no variable for another suite of notebooks; a line of the crontab may.
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            env=bare | {"JIANFU_NOTEBOOKS": str(suite.folder)},
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.stdout, done.stderr) == ("", "")
        assert done.returncode == 0, (study.root / "timer.log").read_text()
    log = (study.root / "timer.log").read_text(encoding="utf-8")
    assert log.count("up to date (") == 2
    assert log.count("last quarter published: none") == 2
    assert Ledger(study.ledger).verify_chain() == entries


@pytest.mark.skipif(shutil.which("crontab") is None, reason="no cron on this machine")
def test_cron_itself_takes_the_file(study: Study, tmp_path: Path) -> None:
    path = write_files(timer_files(study, "cron"), tmp_path / "files")[0]
    assert subprocess.run(["crontab", "-T", str(path)], check=False).returncode == 0


def test_systemd_has_a_run_that_catches_up_and_a_watch_in_the_zone_of_the_study(study: Study) -> None:
    files = timer_files(study, "systemd")
    name = f"jianfu-{study.config.study.id}"
    assert sorted(files) == sorted(f"{name}{late}.{kind}" for late in ("", "-late") for kind in ("service", "timer"))
    for timer in (each for name, each in files.items() if name.endswith(".timer")):
        assert "Persistent=true" in timer.splitlines()
        assert "06:17:00 Asia/Shanghai" in timer
    assert "100%% ours" in files[f"{name}.service"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd on this machine")
def test_systemd_understands_its_units(study: Study, tmp_path: Path) -> None:
    paths = write_files(timer_files(study, "systemd"), tmp_path / "units")
    done = subprocess.run(["systemd-analyze", "verify", *map(str, paths)], capture_output=True, text=True, check=False)
    told = [line for line in done.stderr.splitlines() if str(tmp_path / "units") in line or "jianfu" in line]
    assert told == []
    calendar = subprocess.run(
        ["systemd-analyze", "calendar", "Mon *-*-* 06:17:00 Asia/Shanghai"], capture_output=True, text=True, check=False
    )
    assert calendar.returncode == 0, calendar.stderr


def test_the_github_workflow_is_yaml_and_warns_of_sixty_days(study: Study) -> None:
    text = only(study, "github")
    assert "60 days" in text
    assert "60 days" in SIXTY_DAYS
    workflow = yaml.safe_load(text)
    assert workflow[True]["schedule"] == [{"cron": "17 6 * * 1"}]  # YAML reads the word on as true
    steps = workflow["jobs"]["assess"]["steps"]
    assert workflow["jobs"]["assess"]["runs-on"] == "self-hosted"
    assert [step.get("if") for step in steps] == [None, "always()"]
    for step, asked in zip(steps, (["run", "--due", "--build"], ["status", "--fail-if-late", "14d"]), strict=True):
        shown = subprocess.run(
            ["/bin/sh", "-c", step["run"].replace(f"&& {sys.executable}", "&& printf '%s\\n'")],
            capture_output=True,
            text=True,
            check=True,
        )
        assert shown.stdout.splitlines() == ["-m", "analysis_lib", *asked, "--study", str(study.root)]


IMPORTS = {
    "airflow": {"pendulum", "airflow.providers.standard.operators.bash.BashOperator", "airflow.sdk.DAG"},
    "dagster": {"subprocess", "dagster"},
}
USED = {
    "airflow": {"DAG": {"dag_id", "schedule", "start_date", "catchup", "max_active_runs"},
                "BashOperator": {"task_id", "bash_command", "skip_on_exit_code", "trigger_rule"}},
    "dagster": {"ScheduleDefinition": {"job", "cron_schedule", "execution_timezone"}, "Definitions": {"jobs", "schedules"},
                "job": {"name"}, "Failure": set(), "run": {"cwd", "check"}},
}  # fmt: skip


@pytest.mark.parametrize("timer", ["airflow", "dagster"])
def test_files_in_python_compile_and_use_names_that_the_scheduler_has(study: Study, timer: Timer) -> None:
    """Names and arguments as in the documentation of Airflow 3 and Dagster 1, which are not installed here."""
    text = only(study, timer)
    tree = ast.parse(text)
    compile(tree, timer, "exec")
    found = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names} | {
        f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert found == IMPORTS[timer]
    calls: dict[str, set[str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.keywords:
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            calls.setdefault(name, set()).update(each.arg for each in node.keywords if each.arg)
    for name, arguments in calls.items():
        if name != "datetime":
            assert arguments <= USED[timer][name], name
    assert "Asia/Shanghai" in text


def test_the_dagster_file_runs_the_commands(study: Study, tmp_path: Path) -> None:
    """With a stand-in for Dagster that keeps what it is given, for the file is ordinary Python otherwise."""
    stand_in = tmp_path / "fake" / "dagster.py"
    stand_in.parent.mkdir()
    stand_in.write_text(
        "def op(function): return function\n"
        "def job(name): return lambda function: function\n"
        "class Failure(Exception): ...\n"
        "class ScheduleDefinition:\n    def __init__(self, **given): self.given = given\n"
        "class Definitions:\n    def __init__(self, jobs, schedules): self.jobs, self.schedules = jobs, schedules\n"
    )
    script = (
        "import json, subprocess, sys\n"
        "seen = []\n"
        "class Done: returncode = 6\n"
        "subprocess.run = lambda command, **how: seen.append(command[1:]) or Done()\n"
        f"exec(compile(open({str(tmp_path / 'd.py')!r}).read(), 'd', 'exec'))\n"
        "for each in defs.jobs: each()\n"
        "print(json.dumps(seen))\n"
    )
    (tmp_path / "d.py").write_text(only(study, "dagster"), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(stand_in.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    study_named = ["--study", str(study.root)]
    assert json.loads(done.stdout) == [
        ["-m", "analysis_lib", "run", "--due", "--build", *study_named],
        ["-m", "analysis_lib", "status", "--fail-if-late", "14d", *study_named],
    ]
