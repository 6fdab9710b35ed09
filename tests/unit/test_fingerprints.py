"""What code a unit depends on: the modules it reaches, without comments and layout."""

from __future__ import annotations

import ast
from pathlib import Path

import grimp
import pytest

from analysis_lib import fingerprints
from analysis_lib.fingerprints import imported_names, reached_code, tree_fingerprint
from analysis_lib.running.suite import Suite, read_code


def of(source: str) -> str:
    return tree_fingerprint(ast.parse(source))


def test_comments_docstrings_and_layout_do_not_count_and_anything_else_does() -> None:
    plain = "def hours(x):\n    return x * 2\n\n\nclass A:\n    unit = 'h'\n"
    dressed = (
        '"""A module."""\n# why\ndef hours( x ):\n    """Twice."""\n    return (x*2)  # twice\n'
        "class A:\n    'of something'\n    unit = \"h\"\n"
    )
    assert of(plain) == of(dressed)
    assert of(plain) != of(plain.replace("2", "3"))
    assert of("x = 'text'") != of("x = 'other text'")  # a text that is used is no docstring


def test_imports_are_found_in_functions_and_not_where_types_alone_are_checked() -> None:
    source = """
from typing import TYPE_CHECKING
import analysis_lib.cli
if TYPE_CHECKING:
    from analysis_lib.study import Study
def late():
    from analysis_lib import pipeline
"""
    found = {name for name in imported_names(ast.parse(source)) if name.startswith("analysis_lib")}
    assert found == {"analysis_lib.cli", "analysis_lib.pipeline"}


def test_what_a_notebook_reaches_is_what_the_import_graph_says(repository: Path) -> None:
    """Against grimp, which import-linter stands on."""
    graph = grimp.build_graph("analysis_lib", exclude_type_checking_imports=True)
    suite = Suite(repository / "notebooks")
    for stem in suite.notebooks:
        names = imported_names(read_code(suite.path(stem)))
        found = set(reached_code(names))
        direct = {name for name in names if name in graph.modules} | {
            name.rpartition(".")[0] for name in names if name.rpartition(".")[0] in graph.modules
        }
        expected = direct.union(*(graph.find_upstream_modules(module) for module in direct))
        assert expected - found == set(), stem
        # What is more are packages on the way to a module, which Python runs first.
        assert all(any(other.startswith(f"{each}.") for other in expected) for each in found - expected), stem


def test_an_edit_reaches_those_that_import_it_and_nobody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "lib"
    (package / "words").mkdir(parents=True)
    for name, text in {
        "__init__": "",
        "numbers": "def mean(x): return x",
        "uses": "def f():\n    from lib.numbers import mean",
        "words/__init__": "",
        "words/pages": "import lib.uses",
    }.items():
        (package / f"{name}.py").write_text(text)
    monkeypatch.setattr(fingerprints, "PACKAGE", package)
    before = {name: reached_code([name]) for name in ("lib.uses", "lib.words.pages")}
    assert set(before["lib.uses"]) == {"lib", "lib.uses", "lib.numbers"}
    (package / "words" / "pages.py").write_text("import lib.uses\nTITLE = 1")
    (package / "numbers.py").write_text("def mean(x):\n    return x  # the same")
    fingerprints._read.cache_clear()
    assert reached_code(["lib.uses"]) == before["lib.uses"]
    after = reached_code(["lib.words.pages"])
    assert {name for name in after if after[name] != before["lib.words.pages"][name]} == {"lib.words.pages"}
