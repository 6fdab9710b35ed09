"""The suite file and the parameters cells of its notebooks."""

from __future__ import annotations

from pathlib import Path

import pytest
from nbformat import read, write
from nbformat.v4 import new_output
from tiny_suite import HAND_OVER, write_suite

from analysis_lib.errors import InputRejected, UsageError
from analysis_lib.running.suite import Suite, check_parameters, declared_parameters, read_cells


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    return write_suite(tmp_path / "suite", {"01-quick": [HAND_OVER], "10-brief": [HAND_OVER]})


def edit_parameters(path: Path, source: str) -> None:
    """Give a notebook's parameters cell another text."""
    notebook = read(path, 4)
    notebook.cells[1].source = source
    write(notebook, path)


def test_the_suite_lists_its_notebooks_in_file_order(suite: Suite) -> None:
    assert {stem: entry.for_each for stem, entry in suite.notebooks.items()} == {
        "01-quick": "nation",
        "10-brief": "region",
    }


def test_another_suite_is_found_through_the_environment(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JIANFU_NOTEBOOKS", str(suite.folder))
    assert Suite.find() == suite


def test_an_unknown_key_of_the_suite_is_refused_with_a_suggestion(suite: Suite) -> None:
    path = suite.folder / "suite.toml"
    path.write_text(path.read_text().replace("for_each", "foreach"))
    with pytest.raises(UsageError, match="for_each"):
        _ = suite.notebooks


def test_a_notebook_that_is_listed_and_absent_is_named(suite: Suite) -> None:
    suite.path("01-quick").unlink()
    with pytest.raises(InputRejected, match=r"01-quick\.ipynb"):
        _ = Suite(suite.folder).notebooks


def test_declared_parameters_have_names_and_types(suite: Suite) -> None:
    edit_parameters(
        suite.path("01-quick"), 'region: str = "all"\nseed: int = 1\nlevel: float = 0.95\nfull: bool = True'
    )
    assert declared_parameters(suite.path("01-quick")) == {"region": str, "seed": int, "level": float, "full": bool}


@pytest.mark.parametrize(
    "line", ['region = "all"', "seed: int = 1 + 1", "names: list = []", "seed: int", "import os", 'a: str | None = ""']
)
def test_a_parameters_cell_holds_plain_typed_constants_only(suite: Suite, line: str) -> None:
    edit_parameters(suite.path("01-quick"), line)
    with pytest.raises(InputRejected, match="line 1 of the parameters cell"):
        declared_parameters(suite.path("01-quick"))


def test_two_parameters_cells_are_refused(suite: Suite) -> None:
    path = suite.path("01-quick")
    notebook = read(path, 4)
    notebook.cells[2].metadata["tags"] = ["parameters"]
    write(notebook, path)
    with pytest.raises(InputRejected, match="2 cells are tagged"):
        declared_parameters(path)


def test_f24_an_unknown_parameter_is_refused_with_a_suggestion(suite: Suite) -> None:
    with pytest.raises(UsageError, match='did you mean "region"'):
        check_parameters(suite.path("01-quick"), {"regoin": "P01"})


def test_f24_a_parameter_of_another_type_is_refused(suite: Suite) -> None:
    edit_parameters(suite.path("01-quick"), "level: float = 0.95")
    with pytest.raises(UsageError, match="level is str, expected float"):
        check_parameters(suite.path("01-quick"), {"level": "0.95"})


def test_outputs_and_counts_of_a_notebook_are_no_part_of_what_it_computes(suite: Suite) -> None:
    path = suite.path("01-quick")
    before = read_cells(path)
    notebook = read(path, 4)
    notebook.cells[2].execution_count = 7
    notebook.cells[2].outputs = [new_output("stream", text="x")]
    write(notebook, path)
    assert read_cells(path) == before


def test_a_file_that_is_no_notebook_is_named(suite: Suite) -> None:
    suite.path("01-quick").write_text("{}")
    with pytest.raises(InputRejected, match="not a notebook"):
        read_cells(suite.path("01-quick"))
