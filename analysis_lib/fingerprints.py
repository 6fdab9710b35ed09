"""Fingerprints: what a rebuilt table or a unit of work was made from, as one short hash."""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
LENGTH = 16  # 64 bits: no accidental collision among the tables of one study


def fingerprint(*parts: str) -> str:
    """Short hash of texts, order kept.

    >>> fingerprint("a", "b") == fingerprint("b", "a")
    False
    """
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:LENGTH]


@cache  # a unit asks for the same code once per quarter and table
def code_fingerprint(*modules: str) -> str:
    """Hash of what modules or packages of ``analysis_lib`` do: of their code without comments, docstrings and layout.

    Parameters
    ----------
    modules : str
        Dotted names below ``analysis_lib``, such as ``"ingest"`` or ``"survey.weighting"``.
    """
    files: set[Path] = set()
    for module in modules:
        path = PACKAGE.joinpath(*module.split("."))
        files |= set(path.rglob("*.py")) if path.is_dir() else {path.with_suffix(".py")}
    named = {file.relative_to(PACKAGE).as_posix(): _read(file)[0] for file in sorted(files)}
    return fingerprint(json.dumps(named))


def reached_code(imported: Iterable[str]) -> dict[str, str]:
    """Every module of ``analysis_lib`` that an import of these names brings in, directly or not, with its hash.

    Imports within functions count, those for type checkers alone do not. Texts, templates and fonts are no code:
    they shape pages, not numbers.

    Parameters
    ----------
    imported : iterable of str
        Full dotted names of modules, or of what is imported from them; others than ours are left out.
    """
    reached: dict[str, str] = {}
    waiting = list(imported)
    while waiting:
        for module in _own_modules(waiting.pop()):
            if module not in reached:
                reached[module], further = _read(_file_of(module))
                waiting += further
    return dict(sorted(reached.items()))


def tree_fingerprint(tree: ast.Module) -> str:
    """Hash of parsed Python, which comments, docstrings and layout do not touch; docstrings are taken out of the tree.

    >>> tree_fingerprint(ast.parse("x = 1  # one")) == tree_fingerprint(ast.parse("x=1"))
    True
    """
    return fingerprint(ast.dump(_without_docstrings(tree)))


def imported_names(tree: ast.AST) -> set[str]:
    """Full names of what code imports: each module, and each name taken from it, which may be a module too."""
    nodes = list(_running_nodes(tree))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    taken = {
        f"{node.module}.{alias.name}"
        for node in nodes
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }
    return plain | taken


def _running_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node, but those under ``if TYPE_CHECKING``."""
    for node in ast.iter_child_nodes(tree):
        if not (isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"):
            yield node
            yield from _running_nodes(node)


@cache
def _own_modules(name: str) -> list[str]:
    """The modules of ours that importing a name runs: each package on the way, and the module itself."""
    steps = name.split(".")
    if steps[0] != PACKAGE.name:
        return []
    ways = [".".join(steps[:length]) for length in range(1, len(steps) + 1)]
    return [way for way in ways if _file_of(way).is_file()]


def _file_of(module: str) -> Path:
    path = PACKAGE.parent.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@cache
def _read(file: Path) -> tuple[str, set[str]]:
    """A module's hash and what it imports."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    imported = imported_names(tree)
    return tree_fingerprint(tree), imported


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        match node:
            case (
                ast.Module(body=[ast.Expr(value=ast.Constant(value=str())), *rest])
                | ast.ClassDef(body=[ast.Expr(value=ast.Constant(value=str())), *rest])
                | ast.FunctionDef(body=[ast.Expr(value=ast.Constant(value=str())), *rest])
                | ast.AsyncFunctionDef(body=[ast.Expr(value=ast.Constant(value=str())), *rest])
            ):
                node.body = rest
    return tree


def files_fingerprint(files: list[Path], *, base: Path) -> str:
    """Hash of files' names (relative to ``base``) and bytes; a file that is absent counts as absent."""
    parts: list[str] = []
    for file in files:
        parts.append(file.relative_to(base).as_posix())
        parts.append(hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else "absent")
    return fingerprint(*parts)
