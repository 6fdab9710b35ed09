"""C09, C10, C11 and C18 from delivery to page: a published quarter, a few late returns, the same quarter built again."""

from __future__ import annotations

import base64
import json

import pytest
from small_office import QUARTER, Office

from analysis_lib.disclosure.members import TAG
from analysis_lib.monitoring.ledger import Ledger

FEW = ["E001", "E002", "E003"]  # of the twenty-five of P01
MANY = [f"E{i:03d}" for i in range(50, 65)]  # of those of P03


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Office:
    return Office(tmp_path_factory.mktemp("office"), [*FEW, *MANY])


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
    stays = {basis: {key[4] for key in keys} for basis, keys in memberships[f"{QUARTER}/r3"]["stays"].items()}
    assert "P01" in stays[f"{QUARTER}/r1"], "a number that stays again is of the release that estimated it"
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
