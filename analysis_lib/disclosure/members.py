"""C18: who stands behind published cells, under keyed tags, so that any two releases can be held against each other.

A roster lists the people of a quarter: a tag for each, the place and the categories where they are counted, the measures
that describe them, and a hash over all that they said. From it follow the people behind every cell that was or could be
published, exactly. A tag is an HMAC of the respondent's id under a key that stays in the study's private folder, so a
roster tells nobody without the key who took part; nobody at all reads an answer off the hash of all of them together.

References
----------
RFC 2104 (HMAC).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis_lib.errors import EnvironmentProblem
from analysis_lib.study import Study
from analysis_lib.survey.estimation import described
from analysis_lib.time_use.activities import all_measures

KEY_BYTES = 32
HASH_KEY_LENGTH = 16  # that pandas takes
DECIMALS = 6  # of answers, in their hash: floats that another machine adds up otherwise say the same
PRIVATE_FILE, PRIVATE_FOLDER = 0o600, 0o700
NO_PLACE = ("respondent_id", "quarter", "region", "stratum", "psu", "first_quarter")
TAG, CONTENT, DESCRIBED = "tag", "content", "described"


def key_of(study: Study, *, known_as: str = "") -> bytes:
    """The study's key, made when it is first asked for.

    Parameters
    ----------
    known_as : str
        `name_of` the key that was used before, where one was.

    Raises
    ------
    EnvironmentProblem
        When that key is gone: under another one nobody would be found again.
    """
    path = study.private / "members.key"
    if path.is_file():
        key = path.read_bytes()
    elif known_as:
        raise _lost(path)
    else:
        path.parent.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
        key = secrets.token_bytes(KEY_BYTES)
        path.touch(mode=PRIVATE_FILE, exist_ok=False)
        path.write_bytes(key)
    if known_as and name_of(key) != known_as:
        raise _lost(path)
    return key


def name_of(key: bytes) -> str:
    """What tells a key from another without telling it."""
    return hmac.digest(key, b"name", hashlib.sha256).hex()[:HASH_KEY_LENGTH]


def _lost(path: Path) -> EnvironmentProblem:
    return EnvironmentProblem(
        "the key under which the people behind published cells were recorded is gone, or another one",
        where=f"{path.parent.name}/{path.name}",
        fix="restore it from a copy of the study folder",
    )


@dataclass(frozen=True, eq=False)
class Roster:
    """The people of a quarter under keyed tags.

    Attributes
    ----------
    rows : pandas.DataFrame
        A row per person: tag and content (uint64), described (frozenset of measures), and a text column per level of
        regions and kind of category.
    measures : frozenset of str
        Every measure of which it is known whom it describes.
    method : str
        How their answers were made into numbers; hashes of contents are comparable under the same one only.
    """

    rows: pd.DataFrame
    measures: frozenset[str]
    method: str

    @classmethod
    def of(cls, officials: pd.DataFrame, *, study: Study, key: bytes, method: str) -> Roster:
        """The roster of official-quarters of one quarter."""
        officials = officials.reset_index(drop=True)
        tags = [
            int.from_bytes(hmac.digest(key, str(each).encode(), hashlib.sha256)[:8])
            for each in officials["respondent_id"]
        ]
        texts = officials.select_dtypes(["str", "object"]).columns
        places = [name for name in texts if name not in NO_PLACE]
        # Weights move with the returns of others.
        said = officials[[name for name in officials.columns if "weight" not in name and name not in places]]
        numbers = said.select_dtypes("number")
        said = said.assign(**{str(name): numbers[name].round(DECIMALS) for name in numbers}).astype(str)
        contents = pd.util.hash_pandas_object(said, index=False, hash_key=name_of(key))
        measures = described(officials, list(all_measures(study)), study=study)
        patterns, of_row = np.unique(measures.to_numpy(bool), axis=0, return_inverse=True)
        sets = [frozenset(measures.columns[pattern]) for pattern in patterns]
        rows = officials[places].assign(
            **{TAG: np.array(tags, dtype=np.uint64), CONTENT: contents.to_numpy(), DESCRIBED: _objects(sets, of_row)}
        )
        return cls(rows, frozenset(measures.columns), method)

    # -- in the ledger ----------------------------------------------------------------------------

    def to_entry(self) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """What the ledger keeps: facts, and a row for all people who are counted in the same cells."""
        sets = sorted({*self.rows[DESCRIBED]}, key=sorted)
        places = [name for name in self.rows.columns if name not in (TAG, CONTENT, DESCRIBED)]
        numbered = self.rows.assign(pattern=self.rows[DESCRIBED].map({each: at for at, each in enumerate(sets)}))
        rows = [
            {
                "places": list(map(str, where)),
                "pattern": int(alike["pattern"].iloc[0]),
                **{name: _packed(alike[name]) for name in (TAG, CONTENT)},
            }
            for (*where, _), alike in numbered.sort_values(TAG).groupby([*places, "pattern"], sort=True)  # pyright: ignore[reportGeneralTypeIssues]
        ]
        facts = {"method": self.method, "columns": places, "measures": sorted(self.measures)}
        return facts | {"patterns": [sorted(each) for each in sets]}, rows

    @classmethod
    def from_entry(cls, facts: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> Roster:
        """Read what `to_entry` gave."""
        tags, contents = ([_unpacked(row[name]) for row in rows] for name in (TAG, CONTENT))
        lengths = [len(each) for each in tags]
        texts = {
            name: np.repeat(np.array([row["places"][at] for row in rows], dtype=object), lengths)
            for at, name in enumerate(facts["columns"])
        }
        sets = [frozenset(each) for each in facts["patterns"]]
        of_row = np.repeat([row["pattern"] for row in rows], lengths)
        numbers = {name: np.concatenate(each or [_unpacked("")]) for name, each in ((TAG, tags), (CONTENT, contents))}
        rows_of = pd.DataFrame(texts | numbers).assign(**{DESCRIBED: _objects(sets, of_row)})
        return cls(rows_of, frozenset(facts["measures"]), facts["method"])


def differing(then: Roster, now: Roster) -> pd.DataFrame:
    """People who came, went, are counted elsewhere, or say something else, as they were and as they are.

    Hashes of answers are compared where both were made by the same method.
    """
    common = then.measures & now.measures
    own = [name for name in now.rows.columns if name in then.rows.columns and name != CONTENT]
    own += [CONTENT] if then.method == now.method else []
    before, after = (
        each.rows[own].assign(**{DESCRIBED: each.rows[DESCRIBED].map(common.intersection)}).set_index(TAG)
        for each in (then, now)
    )
    both = before.index.intersection(after.index)
    same = both[(before.loc[both] == after.loc[both]).all(axis="columns")]
    return pd.concat([each.rows[~each.rows[TAG].isin(same)] for each in (then, now)], ignore_index=True)


def _objects(sets: list[frozenset[str]], of_row: np.ndarray) -> pd.Series:
    return pd.Series([sets[int(each)] for each in of_row], dtype=object)


def _packed(numbers: pd.Series) -> str:
    return base64.b64encode(numbers.to_numpy("<u8").tobytes()).decode()


def _unpacked(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), "<u8").astype(np.uint64)
