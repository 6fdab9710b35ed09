"""Notebooks read like a researcher's own work and hide no logic; the rules are kept by their syntax trees."""

from __future__ import annotations

import ast
import inspect
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from analysis_lib.parameters import RunParameters
from analysis_lib.running.suite import Suite, declared_parameters, read_cells

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))
FORBIDDEN = (
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.Lambda,
    ast.For,
    ast.While,
    ast.Try,
    ast.With,
    ast.Global,
)
FORBIDDEN_CALLS = {"open", "exec", "eval", "read_csv", "read_parquet", "read_excel", "Path", "filterwarnings", "mean"}
FORBIDDEN_MODULES = {"os", "sys", "pathlib", "warnings", "glob", "subprocess"}
LONGEST_CELL = 15

pytestmark = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code(path: Path) -> list[ast.Module]:
    return [ast.parse(cell["source"]) for cell in read_cells(path) if cell["cell_type"] == "code"]


def nodes(path: Path) -> Iterator[ast.AST]:
    for cell in code(path):
        yield from ast.walk(cell)


def test_a_notebook_is_listed_in_the_suite(path: Path) -> None:
    assert path.stem in Suite(path.parent).notebooks


def test_its_title_is_the_question_of_the_suite(path: Path) -> None:
    cells = read_cells(path)
    titles = [line for cell in cells if cell["cell_type"] == "markdown" for line in cell["source"].splitlines()]
    titles = [line.removeprefix("# ") for line in titles if line.startswith("# ")]
    assert cells[0]["source"].startswith("# ")
    assert len(titles) == 1
    assert titles[0].endswith("?")


def test_its_parameters_are_those_of_a_run(path: Path) -> None:
    accepted = inspect.signature(RunParameters.parse).parameters
    assert list(declared_parameters(path)) == list(accepted)
    [parse] = [
        node for node in nodes(path) if isinstance(node, ast.Call) and ast.unparse(node.func) == "RunParameters.parse"
    ]
    assert {keyword.arg: ast.unparse(keyword.value) for keyword in parse.keywords} == {name: name for name in accepted}


def test_each_parameter_is_explained(path: Path) -> None:
    [cell] = [cell["source"] for cell in read_cells(path) if "parameters" in cell["tags"]]
    assert all("  # " in line for line in cell.splitlines())


def test_it_holds_no_logic(path: Path) -> None:
    found = [type(node).__name__ for node in nodes(path) if isinstance(node, FORBIDDEN)]
    assert found == []


def test_it_opens_no_file_changes_no_path_and_estimates_nothing_by_hand(path: Path) -> None:
    called = {
        node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        for node in nodes(path)
        if isinstance(node, ast.Call)
    }
    imported = {
        alias.name.split(".")[0] for node in nodes(path) if isinstance(node, ast.Import) for alias in node.names
    }
    imported |= {(node.module or "").split(".")[0] for node in nodes(path) if isinstance(node, ast.ImportFrom)}
    assert called & FORBIDDEN_CALLS == set()
    assert imported & FORBIDDEN_MODULES == set()


def test_policy_is_not_written_in_it_as_a_number(path: Path) -> None:
    cells = [cell for cell in read_cells(path) if cell["cell_type"] == "code" and "parameters" not in cell["tags"]]
    numbers = [
        node.value
        for cell in cells
        for node in ast.walk(ast.parse(cell["source"]))
        if isinstance(node, ast.Constant) and type(node.value) in (int, float)
    ]
    assert set(numbers) <= {0, 1}  # positions in a list


def test_its_cells_are_short(path: Path) -> None:
    longest = max(len(cell["source"].splitlines()) for cell in read_cells(path) if cell["cell_type"] == "code")
    assert longest <= LONGEST_CELL


def test_it_says_what_it_does_not_show(path: Path) -> None:
    last = read_cells(path)[-1]
    assert last["cell_type"] == "markdown"
    assert last["source"].startswith("## What this does not show")


def test_it_hands_over_the_tables_that_the_suite_promises(path: Path) -> None:
    [call] = [
        node
        for node in nodes(path)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "hand_over"
    ]
    protected = {
        ast.literal_eval(node.args[1])
        for node in nodes(path)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "protect"
    }
    assert protected == set(Suite(path.parent).notebooks[path.stem].tables)
    assert len(call.args) == 1 + len(protected)


def test_it_carries_no_output(path: Path) -> None:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell for cell in cells if cell["outputs"] or cell["execution_count"] is not None] == []
    assert set(notebook["metadata"]) <= {"kernelspec", "language_info"}
