"""A small study of one question and those who run it by the command line, and all that the commands say."""

from __future__ import annotations

import contextlib
import datetime as dt
import io
import logging
import os
from pathlib import Path
from unittest import mock

import pandas as pd
from series_study import ANSWERS_HEAD, hours_of, make, receive_as
from tiny_suite import write_suite

from analysis_lib import cli
from analysis_lib.disclosure.handover import read_results
from analysis_lib.monitoring.ledger import Ledger
from analysis_lib.running.suite import SUITE_VARIABLE
from analysis_lib.study import Study
from analysis_lib.tables.store import Store

QUARTER = "2026Q1"
NOTEBOOK = [
    """from analysis_lib import pipeline
from analysis_lib.disclosure.handover import hand_over
from analysis_lib.disclosure.protect import protect
from analysis_lib.parameters import RunParameters
from analysis_lib.survey.estimation import estimate
run = RunParameters.parse(study=study, quarter=quarter, region=region, as_of=as_of, results_dir=results_dir)
regions = ["all", "P01", "P02", "P03"]
hours = estimate(pipeline.load_officials(run), ["work"], study=run.study, periods={quarter: [quarter]}, regions=regions)
hand_over(results_dir, protect(hours, "hours", study=run.study))"""
]


class Office:
    """A study of three provinces of twenty-five officials each, of whom some have not answered yet."""

    def __init__(self, folder: Path, late: list[str]) -> None:
        self.suite = write_suite(folder / "notebooks", {"03-hours-lost": NOTEBOOK})
        entries = self.suite.folder / "suite.toml"
        entries.write_text(entries.read_text(encoding="utf-8").replace('"answer"', '"hours"'), encoding="utf-8")
        regions = ["P01", "P02", "P03"]
        self.store = make(folder / "s", {QUARTER: regions}, regions=regions, late=" ".join(late))
        settings = self.store.study.root / "study.toml"
        settings.write_text(
            settings.read_text(encoding="utf-8") + "[publishing]\naccessibility = false\n", encoding="utf-8"
        )
        self.study = Study.open(self.store.study.root)
        self.log = ""

    def jianfu(self, *arguments: str) -> None:
        """Call the command line; what it prints and logs is kept."""
        out = io.StringIO()
        logs = logging.StreamHandler(out)
        with (
            mock.patch.dict(os.environ, {SUITE_VARIABLE: str(self.suite.folder)}),
            mock.patch.object(Study, "today", lambda _: dt.date(2026, 5, 30)),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(out),
            mock.patch.object(logging.root, "handlers", [logs]),
        ):
            cli.app([*arguments, "--study", str(self.study.root)], standalone_mode=False)
        self.log += out.getvalue()

    def publish(self) -> pd.DataFrame:
        """Run, build, sign and publish; the hours that readers get, by region."""
        self.jianfu("run", "--quarter", QUARTER, "--build")
        built = Ledger(self.study.ledger).last_release(QUARTER)
        assert built is not None
        self.name = str(built["release"])
        for who, role in (("A. Reader", "statistician"), ("B. Head", "head")):
            self.jianfu("sign", self.name, "--name", who, "--role", role)
        self.jianfu("publish", self.name)
        table = read_results(self.study.reports / self.name / "results" / "03-hours-lost")["hours"].table
        return table.set_index("region")

    def arrive(self, people: list[str], day: str) -> None:
        """Let answers come in."""
        text = ANSWERS_HEAD + "".join(hours_of(who, QUARTER) for who in people)
        received = dt.date.fromisoformat(day)
        receive_as(Store(self.study), QUARTER, "answers", "questionnaire", text, slug=f"late-{day}", received=received)
