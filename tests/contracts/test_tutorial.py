"""The tutorial keeps its promises: its studies are valid, its commands and its files exist."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import typer

from analysis_lib import cli
from analysis_lib.ingest.instruments import MEANT_AS, NEEDED, read_instrument
from analysis_lib.measures import parse_measures
from analysis_lib.study import Study
from analysis_lib.time_use.activities import all_measures

STUDIES = {"atus": "atus-2009", "atus2014": "atus-2014-episodes"}


@pytest.fixture(scope="module")
def tutorial(repository: Path) -> str:
    return (repository / "docs/tutorial/README.md").read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


@pytest.mark.parametrize(("folder", "instrument"), STUDIES.items())
def test_the_studies_of_the_tutorial_are_valid(repository: Path, folder: str, instrument: str) -> None:
    study = Study.open(repository / "docs/tutorial" / folder / "study")
    settings = study.config.estimation
    assert read_instrument(study, instrument).version == instrument
    assert {settings.headline, *settings.nested} <= set(all_measures(study))
    assert set(settings.levels) <= set(study.regions["level"])
    assert not (study.root / "raw").exists()  # the data of others are never part of the repository


def test_every_command_of_the_tutorial_exists_with_its_options(tutorial: str) -> None:
    commands = typer.main.get_command(cli.app).commands  # pyright: ignore[reportAttributeAccessIssue]
    lines = [line for block in blocks(tutorial, "sh") for line in block.splitlines() if line.startswith("jianfu ")]
    assert len(lines) > 5
    for line in lines:
        name, *rest = line.split()[1:]
        known = {option for parameter in commands[name].params for option in parameter.opts}
        assert {word for word in rest if word.startswith("--")} <= known, line


def test_every_example_of_a_file_is_valid_toml(tutorial: str) -> None:
    examples = [tomllib.loads(block) for block in blocks(tutorial, "toml")]
    assert any("files" in example for example in examples)


def test_measures_of_the_tutorial_are_those_of_its_study(repository: Path, tutorial: str) -> None:
    study = Study.open(repository / "docs/tutorial/atus/study")
    shown = next(block for block in blocks(tutorial, "toml") if "household_activities" in block)
    for key, table in tomllib.loads(shown).items():
        stored = study.measures[key].model_dump(exclude={"why_zh", "why_en"})
        needed = {"working_employed": study.measures["working_employed"].model_dump(exclude={"key"})}
        read = parse_measures({**needed, key: table}, where="tutorial")[key]
        assert read.model_dump(exclude={"why_zh", "why_en"}) == stored


def test_the_tutorial_names_every_column_that_the_suite_reads_with_its_type(tutorial: str) -> None:
    told: dict[str, set[tuple[str, str]]] = {}
    grain = ""
    for line in tutorial.partition("| grain | column |")[2].splitlines()[2:]:
        if not line.startswith("|"):
            break
        first, columns, types = ([text.strip(" `") for text in cell.split(",")] for cell in line.split("|")[1:4])
        grain = first[0] or grain
        told.setdefault(grain, set()).update(zip(columns, types * len(columns), strict=False))
    assert set(told) == set(NEEDED)
    for name, columns in NEEDED.items():
        assert set(columns.items()) <= told[name]
    assert set(MEANT_AS.items()) <= set().union(*told.values())


def test_every_file_of_reference_has_a_row_in_the_tutorial(repository: Path, tutorial: str) -> None:
    files = {path.name for path in (repository / "data/reference").iterdir() if path.is_file()}
    simulated_only = {"population.csv"}
    assert {name for name in files - simulated_only if f"| `{name}` |" not in tutorial} == set()


def test_every_file_that_the_tutorial_names_is_there(repository: Path, tutorial: str) -> None:
    named = re.findall(r"`((?:docs|tests|analysis_lib)/[\w/.-]+)`", tutorial)
    assert named
    assert [name for name in named if not (repository / name).exists()] == []
