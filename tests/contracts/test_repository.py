"""The repository keeps its own promises: layers, environments, the map of the README, no machine's paths."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

from analysis_lib.running.executors import ENVIRONMENT

MACHINE_PATHS = re.compile(r"/root/|/home/\w|/Users/\w|[A-Z]:\\\\Users|/work/main|/opt/pypi")


def project(repository: Path) -> dict:
    return tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))


def tracked(repository: Path) -> list[str]:
    """Files under version control; the test is skipped outside of a clone."""
    listed = subprocess.run(["git", "ls-files"], cwd=repository, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a clone of the repository")
    return listed.stdout.splitlines()


def test_stages_import_downwards_only(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repository)
    assert lint_imports(config_filename="pyproject.toml", no_cache=True) == 0


def test_every_module_at_the_top_has_its_layer(repository: Path) -> None:
    layers = project(repository)["tool"]["importlinter"]["contracts"][0]["layers"]
    named = {name.strip() for layer in layers for name in layer.split("|")}
    package = repository / "analysis_lib"
    there = {path.stem for path in package.glob("*.py")} | {path.parent.name for path in package.glob("*/__init__.py")}
    assert there - {"__init__", "__main__"} == named


def test_the_conda_environment_has_the_same_direct_dependencies(repository: Path) -> None:
    told = project(repository)["project"]
    # An extra such as pandera[pandas] is part of the whole package on conda-forge.
    wanted = {"python" + told["requires-python"]} | {re.sub(r"\[.*]", "", each) for each in told["dependencies"]}
    text = (repository / "environment.yml").read_text(encoding="utf-8")
    block = text.partition("dependencies:\n")[2]
    assert {line.strip().removeprefix("- ").replace(" ", "") for line in block.splitlines()} == wanted


def test_every_direct_dependency_is_locked_with_hashes(repository: Path) -> None:
    told = project(repository)["project"]
    names = {re.split(r"[\[>=]", each)[0] for each in told["dependencies"]}
    for file in ("requirements.lock", "requirements-test.lock"):
        text = (repository / file).read_text(encoding="utf-8")
        assert names <= set(re.findall(r"^([a-z0-9-]+)==", text, re.MULTILINE))
        pins = re.split(r"^(?=[a-z0-9-]+==)", text, flags=re.MULTILINE)[1:]
        assert all("--hash=sha256:" in pin for pin in pins)


def test_tests_run_with_the_versions_of_a_run(repository: Path) -> None:
    pins = [
        dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (repository / file).read_text(encoding="utf-8"), re.MULTILINE))
        for file in ("requirements.lock", "requirements-test.lock")
    ]
    assert pins[0].items() <= pins[1].items()


def test_the_map_of_the_readme_is_the_tree(repository: Path) -> None:
    text = (repository / "README.md").read_text(encoding="utf-8")
    block = text.partition("## Map")[2].split("```")[1]
    names = [re.split(r"\s{2,}", line.strip())[0] for line in block.splitlines() if line.strip()]
    top = {line.split("/")[0] for line in block.splitlines() if re.match(r"^\w+/", line)}
    packages = {name.rstrip("/") for name in names if name.endswith("/")} - top
    modules = set(next(name for name in names if name.startswith("cli ")).split())
    package = repository / "analysis_lib"
    assert packages == {path.parent.name for path in package.glob("*/__init__.py")}
    assert modules == {path.stem for path in package.glob("*.py")} - {"__init__", "__main__"}
    assert top == {path.split("/")[0] for path in tracked(repository) if "/" in path and not path.startswith(".")}


def test_no_file_knows_the_machine_it_was_written_on(repository: Path) -> None:
    found = []
    for name in tracked(repository):
        path = repository / name
        if name == "tests/contracts/test_repository.py" or not path.is_file():
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # a font or a picture
        found += [f"{name}: {match[0]}" for match in MACHINE_PATHS.finditer(text)]
    assert found == []


def test_lock_files_name_no_index(repository: Path) -> None:
    for file in ("requirements.lock", "requirements-test.lock"):
        assert "://" not in (repository / file).read_text(encoding="utf-8")


def test_what_units_are_forked_from_runs_no_thread_but_an_idle_one_of_polars() -> None:
    script = (
        "import analysis_lib.running.preload, sys, threading; print(threading.active_count(), 'seaborn' in sys.modules)"
    )
    threads = "print(*sorted(open(p).read().strip() for p in __import__('glob').glob('/proc/self/task/*/comm')))"
    done = subprocess.run(
        [sys.executable, "-c", f"{script}\n{threads}"],
        env=os.environ | ENVIRONMENT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == ["1 True", "polars-ooc-clea python"]
