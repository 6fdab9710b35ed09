"""Files for a timer that calls the suite each week: cron, systemd, Airflow, Dagster, GitHub.

A timer need not know about quarters: the command runs what is due, so a missed call is made good by the next one, and
a call too many does nothing. Each file calls the same two commands; the second fails when an assessment is late.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Literal

from analysis_lib.running.suite import REPOSITORY
from analysis_lib.study import Study

Timer = Literal["cron", "systemd", "airflow", "dagster", "github"]
MINUTE, HOUR, WEEKDAY = 17, 6, 1  # Mondays before work, off the full hour at which everybody's timers go off
CRON_TIME = f"{MINUTE} {HOUR} * * {WEEKDAY}"
RUN = ("run", "--due", "--build")
WATCH = ("status", "--fail-if-late", "14d")
LOCK_HELD = 6  # exit code: another run works on the study, which is no failure of this call
SIXTY_DAYS = (
    "GitHub switches a schedule off after 60 days without a commit, and a quarter has 91: commit once a month, or call\n"
    "the workflow from elsewhere. A schedule that was switched off cannot say so: watch lateness from another machine."
)


def timer_files(study: Study, timer: Timer) -> dict[str, str]:
    """File name → text of what a timer needs to run this study on this machine.

    Times are those of the study's zone wherever the timer can be told a zone.
    """
    makers = {"cron": _cron, "systemd": _systemd, "airflow": _airflow, "dagster": _dagster, "github": _github}
    return makers[timer](study)


def command(study: Study, arguments: tuple[str, ...]) -> list[str]:
    """A command with nothing left to a timer's environment: full paths of Python and of the study.

    It must be started in the repository.
    """
    return [sys.executable, "-m", "analysis_lib", *arguments, "--study", str(study.root)]


def _name(study: Study) -> str:
    return f"jianfu-{study.config.study.id}"


def _in_shell(study: Study, arguments: tuple[str, ...]) -> str:
    return f"cd {shlex.quote(str(REPOSITORY))} && {shlex.join(command(study, arguments))}"


def _cron(study: Study) -> dict[str, str]:
    log = shlex.quote(str(study.root / "timer.log"))
    # The watch follows whatever became of the run; a percent sign would end the command of a cron line.
    line = f"({_in_shell(study, RUN)}; {_in_shell(study, WATCH)}) >> {log} 2>&1".replace("%", r"\%")
    text = f"""\
# {_name(study)}: add this line with crontab -e. cron reads it in the zone of the machine, and makes no missed call good;
# the next call does, for it runs all that is due.
{CRON_TIME} {line}
"""
    return {f"{_name(study)}.crontab": text}


def _systemd(study: Study) -> dict[str, str]:
    zone = study.config.study.timezone
    days = {RUN: "Mon *-*-*", WATCH: "*-*-*"}
    what = {RUN: "Assess what is due", WATCH: "Fail when an assessment is late"}
    names = {RUN: _name(study), WATCH: f"{_name(study)}-late"}
    files: dict[str, str] = {}
    for arguments, name in names.items():
        files[f"{name}.service"] = f"""\
# Put the files into /etc/systemd/system (or ~/.config/systemd/user), then for each timer: systemctl enable --now NAME.timer
[Unit]
Description={what[arguments]} ({study.config.study.id})

[Service]
Type=oneshot
WorkingDirectory={_for_systemd(str(REPOSITORY), is_quoted=False)}
ExecStart={" ".join(_for_systemd(each) for each in command(study, arguments))}
SuccessExitStatus={LOCK_HELD}
"""
        files[f"{name}.timer"] = f"""\
# Persistent: a call that was missed while the machine was off is made at the next start.
[Unit]
Description={what[arguments]} ({study.config.study.id})

[Timer]
OnCalendar={days[arguments]} {HOUR:02}:{MINUTE:02}:00 {zone}
Persistent=true
RandomizedDelaySec=10min

[Install]
WantedBy=timers.target
"""
    return files


def _for_systemd(word: str, *, is_quoted: bool = True) -> str:
    """A word of a unit file: systemd has its own quotes, and its own meaning for percent and dollar signs."""
    word = word.replace("%", "%%")
    if not is_quoted:
        return word
    word = word.replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
    return f'"{word}"'


def _airflow(study: Study) -> dict[str, str]:
    name = _name(study)
    text = f'''\
"""{name}: assess what is due each week. For Airflow 3 with its standard provider.

No catch-up is asked of Airflow: the command itself runs every quarter that was missed.
"""

import pendulum
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

with DAG(
    dag_id={name!r},
    schedule={CRON_TIME!r},
    start_date=pendulum.datetime(2026, 1, 1, tz={study.config.study.timezone!r}),
    catchup=False,
    max_active_runs=1,
) as dag:
    run = BashOperator(
        task_id="run_what_is_due",
        bash_command={_for_jinja(_in_shell(study, RUN))!r},
        skip_on_exit_code={LOCK_HELD},  # another run works on the study
    )
    watch = BashOperator(
        task_id="fail_if_late",
        bash_command={_for_jinja(_in_shell(study, WATCH))!r},
        trigger_rule="all_done",
    )
    run >> watch
'''
    return {f"{name}_airflow.py": text}


def _for_jinja(line: str) -> str:
    """Airflow reads a command as a template; this one has no place to fill."""
    return f"{{% raw %}}{line}{{% endraw %}}"


def _dagster(study: Study) -> dict[str, str]:
    name = _name(study)
    text = f'''\
"""{name}: assess what is due each week. For Dagster; start it with dagster dev -f THIS FILE, or add it to a code location."""

import subprocess

import dagster as dg


@dg.op
def run_what_is_due() -> None:
    """Exit code {LOCK_HELD} means that another run works on the study."""
    done = subprocess.run({command(study, RUN)!r}, cwd={str(REPOSITORY)!r}, check=False)
    if done.returncode not in (0, {LOCK_HELD}):
        raise dg.Failure(f"exit code {{done.returncode}}")


@dg.op
def fail_if_late() -> None:
    subprocess.run({command(study, WATCH)!r}, cwd={str(REPOSITORY)!r}, check=True)


@dg.job(name={f"{name}".replace("-", "_")!r})
def assess() -> None:
    run_what_is_due()


@dg.job(name={f"{name}_late".replace("-", "_")!r})
def watch() -> None:
    fail_if_late()


defs = dg.Definitions(
    jobs=[assess, watch],
    schedules=[
        dg.ScheduleDefinition(job=assess, cron_schedule={CRON_TIME!r}, execution_timezone={study.config.study.timezone!r}),
        dg.ScheduleDefinition(
            job=watch, cron_schedule="{MINUTE} {HOUR + 1} * * *", execution_timezone={study.config.study.timezone!r}
        ),
    ],
)
'''
    return {f"{name}_dagster.py": text}


def _github(study: Study) -> dict[str, str]:
    warning = "\n".join(f"# {line}" for line in SIXTY_DAYS.splitlines())
    text = f"""\
# {_name(study)}: put this file into .github/workflows.
# Warning: {warning.removeprefix("# ")}
# It runs on a machine of your own, which holds the study: raw answers never leave it.
name: {_name(study)}
on:
  schedule:
    - cron: "{CRON_TIME}" # UTC
  workflow_dispatch:
permissions: {{}}
concurrency: {_name(study)}
jobs:
  assess:
    runs-on: self-hosted
    timeout-minutes: 360
    steps:
      - name: Run what is due
        run: {_for_yaml(_in_shell(study, RUN))}
      - name: Fail when an assessment is late
        if: always()
        run: {_for_yaml(_in_shell(study, WATCH))}
"""
    return {f"{_name(study)}.yml": text}


def _for_yaml(text: str) -> str:
    """A single-quoted scalar; GitHub would fill in what stands between double braces."""
    quoted = text.replace("'", "''").replace("${{", "$ {{")
    return f"'{quoted}'"


def write_files(files: dict[str, str], folder: Path) -> list[Path]:
    """Write files into a folder, and return where they stand."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in files]
