"""How a notebook's protected results reach the pages: one JSON file per table in the unit's results folder.

Beside them lies one file that no reader gets: the exact numbers behind the cells that add up to others, from which
`linked` finds what all the tables of a release tell together.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from analysis_lib.disclosure.protect import ProtectedTable
from analysis_lib.errors import PublicationBlocked

EVIDENCE = "evidence.parquet"
PRIVATE = 0o600  # of the evidence: it is as confidential as the returns


def hand_over(results_dir: str, *tables: ProtectedTable) -> None:
    """Write protected tables into the results folder of a run; an empty ``results_dir`` keeps nothing.

    A notebook opened by hand has no results folder: the same cell then does nothing.
    """
    if not results_dir:
        return
    folder = Path(results_dir)
    folder.mkdir(parents=True, exist_ok=True)
    for table in tables:
        (folder / f"{table.name}.json").write_text(table.to_json(), encoding="utf-8", newline="\n")
    evidence = folder / EVIDENCE
    evidence.touch(mode=PRIVATE)
    pd.concat([table.evidence.assign(table=table.name) for table in tables]).to_parquet(evidence, index=False)


def read_results(folder: Path, name: str = "*") -> dict[str, ProtectedTable]:
    """Read every table of a results folder, or the one of a name if it is there, by name."""
    paths = sorted(folder.glob(f"{name}.json"))
    tables = [ProtectedTable.from_json(path.read_text(encoding="utf-8")) for path in paths]
    return {table.name: table for table in tables}


def read_evidence(folder: Path) -> pd.DataFrame:
    """What lies behind the tables of a results folder: their key, estimate, weight, n, rule and table.

    Raises
    ------
    PublicationBlocked
        When there is none: nobody can then say what the tables give away together.
    """
    path = folder / EVIDENCE
    if not path.is_file():
        raise PublicationBlocked(
            f"{EVIDENCE} is missing", where=f"results of {folder.parent.name}", fix="run the quarter again"
        )
    return pd.read_parquet(path)
