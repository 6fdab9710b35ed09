"""A suite of notebooks that take a blink, for a study of two regions without a word of data in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from sample_study import write_study

from analysis_lib.running.suite import Suite
from analysis_lib.study import Study

QUARTER = "2026Q3"
PARAMETERS = """study: str = "data"  # folder of the study
quarter: str = "2026Q3"  # quarter under report
region: str = "all"  # region code
as_of: str = ""  # day
results_dir: str = ""  # folder for the results"""
HAND_OVER = """from pathlib import Path
(Path(results_dir) / "answer.json").write_text('{"region": "' + region + '", "quarter": "' + quarter + '"}');"""


def write_suite(folder: Path, notebooks: dict[str, list[str]], flags: dict[str, str] | None = None) -> Suite:
    """Write notebooks of these code cells, each promising a table ``answer``; a stem ending in -brief is regional."""
    folder.mkdir(exist_ok=True)
    flags = flags or {}
    entries = []
    for stem, cells in notebooks.items():
        write_notebook(folder / f"{stem}.ipynb", cells)
        entries.append(
            f'[[notebook]]\nfile = "{stem}.ipynb"\ntitle_zh = "题"\ntitle_en = "Title"\nquestion_zh = "问？"\n'
            f'question_en = "What?"\nfor_each = "{"region" if stem.endswith("-brief") else "nation"}"\n'
            'tables = ["answer"]\n' + flags.get(stem, "")
        )
    (folder / "suite.toml").write_text("\n".join(entries), encoding="utf-8")
    return Suite(folder)


def write_notebook(path: Path, cells: list[str]) -> None:
    """Write a notebook of a title, a parameters cell and these cells."""
    parameters = new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]})
    notebook = new_notebook(cells=[new_markdown_cell("# What?"), parameters, *map(new_code_cell, cells)])
    for position, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{position}"
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, path)


def write_tiny_study(folder: Path, *, unit_seconds: int = 60) -> Study:
    """A study with one drop that nobody reads, so that its quarter counts as one with data."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    study = write_study(folder)
    with (folder / "study.toml").open("a", encoding="utf-8") as stream:
        stream.write(f"[running]\nunit_seconds = {unit_seconds}\nworkers = 2\n")
    write_tiny_drop(study, QUARTER)
    return Study.open(folder)


def write_tiny_drop(study: Study, quarter: str) -> None:
    """Let a quarter have data."""
    drop = study.raw / quarter / "2026-10-08" / "first"
    drop.mkdir(parents=True)
    (drop / "answers.csv").write_text("id\n1\n", encoding="utf-8")
    (drop / "drop.toml").write_text(
        f'source = "test"\nquarter = "{quarter}"\nreceived = "2026-10-08"\ninstrument = "none"\nsupersedes = []\n'
        '[[file]]\nname = "answers.csv"\nrole = "answers"\nsha256 = "0"\n',
        encoding="utf-8",
    )


_COMMAND = """
import sys
from analysis_lib import pipeline
from analysis_lib.running import executors
pipeline.prepare = lambda *arguments, **options: None  # the drop of a tiny study is not meant to be read
executors.PRELOAD = ["analysis_lib.running.notebooks"]  # tiny notebooks need no statistics
from analysis_lib.cli import main
main()
"""


def start_jianfu(
    suite: Suite, study: Study, *arguments: str, through: Sequence[str] = (), first: str = "", **variables: str
) -> subprocess.Popen[str]:
    """Start the command line in a process of its own on a tiny study and suite.

    Parameters
    ----------
    through : sequence of str
        A command that runs it, such as one that takes rights away.
    first : str
        Python to run before it.
    """
    return subprocess.Popen(
        [*through, sys.executable, "-c", f"{first}\n{_COMMAND}", *arguments, "--study", str(study.root)],
        env={**os.environ, "JIANFU_NOTEBOOKS": str(suite.folder), **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=study.root,
    )


def jianfu(
    suite: Suite, study: Study, *arguments: str, through: Sequence[str] = (), first: str = "", **variables: str
) -> tuple[int, str, str]:
    """Run the command line to its end: exit code, standard output, standard error."""
    process = start_jianfu(suite, study, *arguments, through=through, first=first, **variables)
    out, err = process.communicate(timeout=240)
    return process.returncode, out, err


def answers(study: Study) -> dict[str, bytes]:
    """Every file under results, by path."""
    return {
        path.relative_to(study.results).as_posix(): path.read_bytes()
        for path in sorted(study.results.rglob("*"))
        if path.is_file()
    }


def executed(folder: Path) -> dict:
    """An executed notebook of a folder."""
    return json.loads((folder / "executed.ipynb").read_text(encoding="utf-8"))
