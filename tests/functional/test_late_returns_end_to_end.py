"""C09, C10, C11 and C18 from delivery to page: a published quarter, a few late returns, the same quarter built again."""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import io
import json
import os
from pathlib import Path
from unittest import mock

import pandas as pd
import pytest
from series_study import ANSWERS_HEAD, hours_of, make, receive_as
from tiny_suite import write_suite

from analysis_lib import cli
from analysis_lib.disclosure.handover import read_results
from analysis_lib.disclosure.members import TAG
from analysis_lib.monitoring.ledger import Ledger
from analysis_lib.running.suite import SUITE_VARIABLE
from analysis_lib.study import Study
from analysis_lib.tables.store import Store

QUARTER = "2026Q1"
FEW = ["E001", "E002", "E003"]  # of the twenty-five of P01
MANY = [f"E{i:03d}" for i in range(50, 65)]  # of those of P03
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
    """A study and those who run it by the command line."""

    def __init__(self, folder: Path) -> None:
        self.suite = write_suite(folder / "notebooks", {"03-hours-lost": NOTEBOOK})
        entries = self.suite.folder / "suite.toml"
        entries.write_text(entries.read_text(encoding="utf-8").replace('"answer"', '"hours"'), encoding="utf-8")
        regions = ["P01", "P02", "P03"]
        self.store = make(folder / "s", {QUARTER: regions}, regions=regions, late=" ".join([*FEW, *MANY]))
        settings = self.store.study.root / "study.toml"
        settings.write_text(
            settings.read_text(encoding="utf-8") + "[publishing]\naccessibility = false\n", encoding="utf-8"
        )
        self.study = Study.open(self.store.study.root)
        self.log = ""

    def jianfu(self, *arguments: str) -> None:
        out = io.StringIO()
        with (
            mock.patch.dict(os.environ, {SUITE_VARIABLE: str(self.suite.folder)}),
            mock.patch.object(Study, "today", lambda _: dt.date(2026, 5, 30)),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(out),
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
        text = ANSWERS_HEAD + "".join(hours_of(who, QUARTER) for who in people)
        received = dt.date.fromisoformat(day)
        receive_as(Store(self.study), QUARTER, "answers", "questionnaire", text, slug=f"late-{day}", received=received)


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Office:
    return Office(tmp_path_factory.mktemp("office"))


def test_few_late_returns_move_no_number_and_many_elsewhere_do_not_give_them_away(office: Office) -> None:
    first = office.publish()
    assert set(first["mark"]) == {""}
    office.arrive(FEW, "2026-05-01")
    second = office.publish()
    assert second["mark"].to_dict() == {"all": "p", "P01": "p", "P02": "", "P03": ""}
    assert second["value"].equals(first["value"])
    assert second["n"].equals(first["n"])
    page = (office.study.reports / "site" / "en" / QUARTER / "index.html").read_text(encoding="utf-8")
    assert f"{first.at['all', 'value']:.1f}" in page

    office.arrive(MANY, "2026-05-20")
    third = office.publish()
    assert third.at["P01", "mark"] == "p"
    assert third.at["P01", "value"] == first.at["P01", "value"]
    # The nation as it is now less P02, where nobody changed, and P03 as it is now would be P01 as it is now.
    assert "p" in (third.at["all", "mark"], third.at["P03", "mark"])


def test_the_ledger_holds_keyed_tags_and_neither_it_nor_a_release_a_name_or_the_key(office: Office) -> None:
    ledger = Ledger(office.study.ledger)
    memberships = ledger.memberships()
    assert [*memberships] == [f"{QUARTER}/r1", f"{QUARTER}/r2", f"{QUARTER}/r3"]
    states = [each["states"][QUARTER] for each in memberships.values()]
    rosters = [ledger.roster(QUARTER, state) for state in states]
    sizes = [sum(len(base64.b64decode(row[TAG])) // 8 for row in found[1]) for found in rosters if found]
    assert sizes == [57, 60, 75]
    key = (office.study.private / "members.key").read_bytes()
    tags = [row[TAG] for found in rosters if found for row in found[1]]
    entries = office.study.ledger.read_bytes()
    assert b'"E001"' not in entries
    for path in office.study.reports.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert key not in content and key.hex().encode() not in content
            assert not [tag for tag in tags if tag.encode() in content], path.name
    manifest = json.loads((office.study.reports / office.name / "release.json").read_text(encoding="utf-8"))
    assert not {"key", "states", "membership"} & set(manifest)
    assert ledger.verify_chain() > 0
