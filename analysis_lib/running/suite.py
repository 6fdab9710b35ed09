"""The suite at a glance: which notebooks there are, what each asks, for whom it runs, what it hands over."""

from __future__ import annotations

import ast
import datetime as dt
import json
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from analysis_lib.errors import InputRejected, UsageError, did_you_mean
from analysis_lib.study import read_toml, validation_error

SUITE_VARIABLE = "JIANFU_NOTEBOOKS"  # another folder of notebooks than the repository's
REPOSITORY = Path(__file__).resolve().parents[2]
_TYPES = {"str": str, "int": int, "float": float, "bool": bool}


class ToldChange(BaseModel):
    """A raised version of a method in words for readers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: int = Field(ge=2, description="the version")
    date: dt.date = Field(description="day of the change")
    zh: str = Field(description="what changed, by how much and why, in Chinese")
    en: str = Field(description="the same in English")


class Notebook(BaseModel):
    """An entry of ``suite.toml``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str = Field(pattern=r"^[0-9a-z][0-9a-z-]*\.ipynb$")
    title_zh: str
    title_en: str
    question_zh: str
    question_en: str
    for_each: Literal["nation", "region"]
    tables: list[str] = Field(min_length=1, description="the tables it promises to hand over")
    method: int = Field(
        1, ge=1, description="version of its method; raise it, with an entry in CHANGELOG.md, to rerun it"
    )
    changed: list[ToldChange] = Field(
        default_factory=list, description="each raised version of the method, as the methods page tells readers of it"
    )
    reads_releases: bool = Field(False, description="whether it reads what was published of earlier quarters")

    @property
    def stem(self) -> str:
        """The file's name without its ending, which names its results too."""
        return self.file.removesuffix(".ipynb")


class _SuiteFile(BaseModel):
    model_config = ConfigDict(extra="forbid")

    notebook: list[Notebook] = Field(min_length=1)


@dataclass(frozen=True)
class Suite:
    """The notebooks of a folder in the order of its ``suite.toml``."""

    folder: Path

    @classmethod
    def find(cls) -> Suite:
        """The suite of the repository, or of the folder named by ``JIANFU_NOTEBOOKS``."""
        return cls(Path(os.environ.get(SUITE_VARIABLE) or REPOSITORY / "notebooks").resolve())

    @cached_property
    def notebooks(self) -> dict[str, Notebook]:
        """Stem → entry, in file order."""
        path = self.folder / "suite.toml"
        try:
            entries = _SuiteFile.model_validate(read_toml(path)).notebook
        except ValidationError as error:
            raise validation_error(error, _SuiteFile, where=path.name) from error
        for entry in entries:
            if not (self.folder / entry.file).is_file():
                raise InputRejected("the notebook is missing", where=entry.file, fix=f"add it, or edit {path.name}")
        return {entry.stem: entry for entry in entries}

    def path(self, stem: str) -> Path:
        """Where a notebook is."""
        return self.folder / self.notebooks[stem].file


def read_cells(path: Path) -> list[dict[str, Any]]:
    """Cells of a notebook as type, source and tags: all that decides what it computes."""
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    except (ValueError, KeyError) as error:
        raise InputRejected("not a notebook", where=path.name, fix="restore it from version control") from error
    return [
        {
            "cell_type": cell["cell_type"],
            "source": "".join(cell["source"]),
            "tags": cell["metadata"].get("tags", []),
        }
        for cell in cells
    ]


def imported_modules(path: Path) -> set[str]:
    """Modules that a notebook imports."""
    nodes = list(ast.walk(read_code(path)))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return plain | {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}


def read_code(path: Path) -> ast.Module:
    """The code of a notebook, its cells in order.

    Raises
    ------
    InputRejected
        When a cell is no Python.
    """
    body: list[ast.stmt] = []
    for position, cell in enumerate(read_cells(path)):
        if cell["cell_type"] == "code":
            try:
                body += ast.parse(cell["source"]).body
            except SyntaxError as error:
                raise InputRejected(
                    f"cell {position} is no Python: {error.msg}",
                    where=path.name,
                    fix="write plain Python in code cells",
                ) from error
    return ast.Module(body=body, type_ignores=[])


def declared_parameters(path: Path) -> dict[str, type]:
    """Names and types of a notebook's one ``parameters`` cell.

    Raises
    ------
    InputRejected
        When it has none or several such cells, or a line that is not ``name: type = constant``.
    """
    cells = [cell["source"] for cell in read_cells(path) if "parameters" in cell["tags"]]
    if len(cells) != 1:
        raise InputRejected(
            f"{len(cells)} cells are tagged parameters", where=path.name, fix="tag exactly one cell parameters"
        )
    declared: dict[str, type] = {}
    for line in ast.parse(cells[0]).body:
        match line:
            case ast.AnnAssign(target=ast.Name(id=name), annotation=ast.Name(id=kind), value=ast.Constant()) if (
                kind in _TYPES
            ):
                declared[name] = _TYPES[kind]
            case _:
                raise InputRejected(
                    f"line {line.lineno} of the parameters cell is no plain parameter",
                    where=path.name,
                    fix='write it like  quarter: str = "2025Q1"',
                )
    return declared


def check_parameters(path: Path, given: dict[str, Any]) -> None:
    """Compare parameters with those that a notebook declares; papermill itself would only log a difference.

    Raises
    ------
    UsageError
        For an unknown name, with a suggestion, or a value of another type.
    """
    declared = declared_parameters(path)
    for name, value in given.items():
        if name not in declared:
            raise UsageError(f"unknown parameter {name!r}", where=path.name, fix=did_you_mean(name, declared))
        if type(value) is not declared[name]:
            raise UsageError(
                f"{name} is {type(value).__name__}, expected {declared[name].__name__}",
                where=path.name,
                fix="give a plain value of the type in the parameters cell",
            )
