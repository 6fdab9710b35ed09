"""C18: rosters under keyed tags, their key, and their way through the ledger."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from crafted_release import NOW, crafted_study, officials

from analysis_lib.disclosure.members import CONTENT, DESCRIBED, TAG, Roster, differing, key_of, name_of
from analysis_lib.errors import EnvironmentProblem
from analysis_lib.monitoring.ledger import Ledger
from analysis_lib.study import Study
from analysis_lib.survey.estimation import described, estimate

KEY = b"k" * 32


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return crafted_study(tmp_path_factory.mktemp("study") / "s")


@pytest.fixture(scope="module")
def people() -> pd.DataFrame:
    rows = officials(quarters=[NOW]).assign(diary_weight=1.0)
    rows["recall_gross"] = rows["recall_gross"].mask(rows.index % 7 == 0)  # who left the question out
    return rows


def test_the_key_is_made_once_and_is_its_owner_s_alone(study: Study) -> None:
    key = key_of(study)
    path = study.private / "members.key"
    assert key_of(study) == key and len(key) == 32
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert key_of(study, known_as=name_of(key)) == key


def test_without_the_key_that_was_used_before_nothing_is_compared(tmp_path: Path) -> None:
    study = crafted_study(tmp_path / "s")
    with pytest.raises(EnvironmentProblem, match="gone, or another one"):
        key_of(study, known_as="0" * 16)
    key_of(study)
    with pytest.raises(EnvironmentProblem, match="gone, or another one"):
        key_of(study, known_as="0" * 16)


def test_a_tag_is_an_hmac_of_the_id_and_no_id_stands_in_the_ledger(
    study: Study, people: pd.DataFrame, tmp_path: Path
) -> None:
    made = Roster.of(people, study=study, key=KEY, method="m")
    first = str(people["respondent_id"].iloc[0])
    assert made.rows[TAG].iloc[0] == int.from_bytes(hmac.digest(KEY, first.encode(), hashlib.sha256)[:8])
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.record_roster(NOW, "state", *made.to_entry())
    ledger.record_roster(NOW, "state", *made.to_entry())  # once is enough
    found = ledger.roster(NOW, "state")
    assert found is not None and ledger.roster(NOW, "another") is None
    read = Roster.from_entry(*found)
    ours, theirs = (each.rows.sort_values(TAG).reset_index(drop=True) for each in (made, read))
    pd.testing.assert_frame_equal(ours, theirs[ours.columns], check_dtype=False)
    assert differing(made, read).empty
    content = b"".join(path.read_bytes() for path in tmp_path.glob("ledger.sqlite*"))
    assert not [each for each in people["respondent_id"] if each.encode() in content]
    assert b"71.3" not in content
    assert ledger.verify_chain() == 1


def test_the_people_of_a_roster_are_those_that_a_cell_counts(study: Study, people: pd.DataFrame) -> None:
    made = Roster.of(people, study=study, key=KEY, method="m").rows
    asked = {"study": study, "periods": {NOW: [NOW]}, "by": ["", "tier"]}
    cells = estimate(people, ["recall_gross"], regions=["all", "P01", "C0102"], **asked)
    is_known = made[DESCRIBED].map(lambda measures: "recall_gross" in measures)
    for row in cells.itertuples():
        inside = is_known & (
            True if row.region == "all" else made[study.region_changes.level(row.region)] == row.region
        )
        inside &= (made["tier"] == row.category) if row.by else True
        assert inside.sum() == row.n
    assert described(people, ["recall_gross"], study=study)["recall_gross"].sum() == is_known.sum() < len(people)


def test_another_key_gives_other_tags_and_other_hashes_of_the_same_answers(study: Study, people: pd.DataFrame) -> None:
    one, other = (Roster.of(people, study=study, key=key, method="m").rows for key in (KEY, b"l" * 32))
    assert set(one[TAG]).isdisjoint(other[TAG])
    assert set(one[CONTENT]).isdisjoint(other[CONTENT])
    again = Roster.of(people.assign(recall_gross=people["recall_gross"] + 1e-9), study=study, key=KEY, method="m").rows
    assert np.array_equal(one[CONTENT], again[CONTENT]), "another machine adds floats up otherwise"
