"""How a notebook's protected results reach the pages: one JSON file per table in the unit's results folder."""

from __future__ import annotations

from pathlib import Path

from analysis_lib.disclosure.protect import ProtectedTable


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


def read_results(folder: Path) -> dict[str, ProtectedTable]:
    """Read every table of a results folder, by name."""
    tables = [ProtectedTable.from_json(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
    return {table.name: table for table in tables}
