"""Every fault of the register has the test that it names, and enough of the thirty-eight are tested."""

from __future__ import annotations

import re
from pathlib import Path

ALL = {f"F{number:02}" for number in range(1, 39)}
ENOUGH = 36
_ROW = re.compile(r"^\| (F\d\d) \| (.+?) \| (.+?) \|$", re.MULTILINE)
_IDS = re.compile(r"^test((?:_f\d\d)+)_")


def test_every_fault_is_tested_under_its_id_or_argued(repository: Path) -> None:
    text = (repository / "docs" / "decisions" / "faults.md").read_text(encoding="utf-8")
    tested, argued = (
        {fault: told for fault, _, told in _ROW.findall(part)} for part in text.split("## Argued, not tested")
    )
    sources = "".join(path.read_text(encoding="utf-8") for path in sorted((repository / "tests").rglob("test_*.py")))
    written = set(re.findall(r"^def (test_\w+)", sources, re.MULTILINE))
    for fault, name in tested.items():
        assert name.strip("`") in written, f"{fault}: no test {name}"
        ids = _IDS.match(name.strip("`"))
        assert ids is not None, name
        assert fault in ids[1].upper().split("_"), f"{fault}: {name}"
    assert set(tested) | set(argued) == ALL
    assert len(tested) >= ENOUGH
