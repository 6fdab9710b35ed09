"""X17: the bill of materials keeps to the published form, names all that is locked and installed, and never varies."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from email.message import Message
from pathlib import Path
from types import SimpleNamespace

import pytest
from cyclonedx.model.bom import Bom
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from analysis_lib.running import drift, sbom
from analysis_lib.running.drift import installed_packages, locked_packages


def test_it_keeps_to_the_published_form() -> None:
    text = sbom.bill_of_materials()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    read = Bom.from_json(json.loads(text))  # pyright: ignore[reportAttributeAccessIssue]
    assert read.validate()
    assert len(read.components) > 100


def test_every_package_that_is_locked_and_installed_stands_in_it_with_the_hashes_of_the_lock_file(
    repository: Path,
) -> None:
    lock = (repository / "requirements.lock").read_text(encoding="utf-8")
    content = json.loads(sbom.bill_of_materials())
    packages = {each["name"]: each for each in content["components"] if each["type"] == "library"}
    assert set(packages) == locked_packages().keys() & installed_packages().keys()
    for name in ("pandas", "numpy", "cffi"):
        version = packages[name]["version"]
        pin = re.search(rf"^{name}=={re.escape(version)} .*\n(?:    --hash.*\n)+", lock, re.MULTILINE)
        assert pin is not None
        (reference,) = packages[name]["externalReferences"]
        assert {each["content"] for each in reference["hashes"]} == set(re.findall(r"sha256:(\w{64})", pin[0]))
        assert packages[name]["purl"] == f"pkg:pypi/{name}@{version}"
    assert "pytest" not in packages, "what only tests need made no release"
    without_licence = [name for name, each in packages.items() if "licenses" not in each]
    assert without_licence == []


def test_everything_in_it_is_there_because_something_needs_it() -> None:
    content = json.loads(sbom.bill_of_materials())
    needs = {each["ref"]: each["dependsOn"] for each in content["dependencies"]}
    root = content["metadata"]["component"]["bom-ref"]
    reached, waiting = {root}, [root]
    while waiting:
        new = set(needs.get(waiting.pop(), [])) - reached
        reached |= new
        waiting += new
    assert {each["bom-ref"] for each in content["components"]} == reached - {root}
    names = {ref.partition("@")[0] for ref in needs[root]}
    assert {"pkg:pypi/pandas", "pkg:pypi/statsmodels", "python"} <= names
    assert "pkg:pypi/pytest" not in names


def test_another_process_writes_the_same_bytes() -> None:
    script = (
        "import sys; from analysis_lib.running.sbom import bill_of_materials; sys.stdout.write(bill_of_materials())"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"PYTHONHASHSEED": "7", "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        check=True,
    )
    assert done.stdout.decode() == sbom.bill_of_materials()


def test_without_a_lock_file_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sbom, "locked_packages", dict)
    assert sbom.bill_of_materials.__wrapped__() == ""


def test_a_package_in_another_version_than_the_locked_one_has_no_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sbom, "locked_packages", lambda: {"pandas": {"0.1": ["0" * 64]}})
    content = json.loads(sbom.bill_of_materials.__wrapped__())
    (pandas,) = (each for each in content["components"] if each["name"] == "pandas")
    assert pandas["version"] == installed_packages()["pandas"].version
    assert "externalReferences" not in pandas


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"License-Expression": "MIT", "Classifier": "License :: Other"}, [{"expression": "MIT"}]),
        ({"Classifier": "License :: OSI Approved :: BSD License"}, [{"license": {"name": "BSD License"}}]),
        ({"License": "Apache 2.0"}, [{"license": {"name": "Apache 2.0"}}]),
        ({"License": "Copyright\nAll of it"}, []),
        ({}, []),
    ],
)
def test_a_licence_is_told_as_the_package_says_it(said: dict[str, str], told: list[dict]) -> None:
    about = Message()
    for key, value in said.items():
        about[key] = value
    assert sbom._licences(SimpleNamespace(metadata=about)) == told  # pyright: ignore[reportArgumentType]


def test_a_lock_file_is_read_with_markers_and_several_versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two, three = ("1" * 64, "2" * 64, "3" * 64)
    (tmp_path / "requirements.lock").write_text(
        f"a-b==1.0 ; python_version < '3.12' \\\n    --hash=sha256:{one} \\\n    --hash=sha256:{two}\n"
        f"A.b==2.0 ; python_version >= '3.12' \\\n    --hash=sha256:{three}\nc==3\n"
    )
    monkeypatch.setattr(drift, "REPOSITORY", tmp_path)
    assert drift.locked_packages.__wrapped__() == {"a-b": {"1.0": [one, two], "2.0": [three]}, "c": {"3": []}}
