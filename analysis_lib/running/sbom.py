"""X17: the packages that a release is made with, as a CycloneDX bill of materials; the same packages give the same bytes."""

from __future__ import annotations

import json
import platform
import tomllib
import uuid
from functools import cache
from importlib.metadata import Distribution
from typing import Any

from packaging.requirements import Requirement

from analysis_lib.running.drift import installed_packages, locked_packages, normal_name
from analysis_lib.running.suite import REPOSITORY

SPECIFICATION = "1.6"
_LONGEST_LICENCE = 100  # characters; more is the text of a licence, not its name


@cache
def bill_of_materials() -> str:
    """Every installed package that the lock file names, with version, licence, hashes and what needs what.

    A package in another version than the locked one has no hashes. Empty where there is no lock file to tell what
    belongs to the suite.

    Returns
    -------
    str
        JSON of the published form (https://cyclonedx.org/docs/1.6/json); its serial number is made from its content.
    """
    pinned, installed = locked_packages(), installed_packages()
    project = REPOSITORY / "pyproject.toml"
    if not pinned or not project.is_file():
        return ""
    own = tomllib.loads(project.read_text(encoding="utf-8"))["project"]
    packages = {name: installed[name] for name in sorted(pinned) if name in installed}
    python = {"type": "platform", "bom-ref": "python", "name": "CPython", "version": platform.python_version()}
    root = {"type": "application", "bom-ref": own["name"], "name": own["name"], "version": own["version"]}
    needed = _needs(own["name"], [*own["dependencies"], *own["optional-dependencies"]["build"]], packages)
    needed[own["name"]].add("python")
    references = {name: _purl(each) for name, each in packages.items()}
    content = {
        "bomFormat": "CycloneDX",
        "specVersion": SPECIFICATION,
        "version": 1,
        "metadata": {"component": root, "lifecycles": [{"phase": "build"}]},
        "components": [
            python,
            *(_component(each, pinned[name].get(each.version, [])) for name, each in packages.items()),
        ],
        "dependencies": [
            {"ref": references.get(name, name), "dependsOn": sorted(references.get(other, other) for other in others)}
            for name, others in sorted(needed.items())
        ],
    }
    told = json.dumps(content, sort_keys=True)
    serial = uuid.uuid5(uuid.NAMESPACE_URL, told)
    return json.dumps(content | {"serialNumber": f"urn:uuid:{serial}"}, indent=1, sort_keys=True) + "\n"


def _component(package: Distribution, hashes: list[str]) -> dict[str, Any]:
    """One package; the hashes are of the files that its version was published as, of which one was installed."""
    purl = _purl(package)
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": purl,
        "name": normal_name(package.metadata["Name"]),
        "version": package.version,
        "purl": purl,
    }
    if licences := _licences(package):
        component["licenses"] = licences
    if hashes:
        listed = [{"alg": "SHA-256", "content": each} for each in sorted(hashes)]
        component["externalReferences"] = [{"type": "distribution", "url": purl, "hashes": listed}]
    return component


def _purl(package: Distribution) -> str:
    return f"pkg:pypi/{normal_name(package.metadata['Name'])}@{package.version}"


def _licences(package: Distribution) -> list[dict[str, Any]]:
    """What a package says of its licence: an expression, else what it is filed under, else a name."""
    about = package.metadata
    if "License-Expression" in about:
        return [{"expression": about["License-Expression"]}]
    filed = [each.rpartition(" :: ")[2] for each in about.get_all("Classifier") or [] if each.startswith("License ::")]
    name = about["License"].strip() if "License" in about else ""
    if not filed and name and "\n" not in name and len(name) <= _LONGEST_LICENCE:
        filed = [name]
    return [{"license": {"name": each}} for each in sorted(set(filed))]


def _needs(root: str, asked: list[str], packages: dict[str, Distribution]) -> dict[str, set[str]]:
    """Package → packages that it needs here, with the extras that others ask of it."""
    needed: dict[str, set[str]] = {name: set() for name in (root, *packages)}
    seen: set[tuple[str, str]] = set()
    waiting = [(root, Requirement(text), "") for text in asked]
    waiting += [(name, Requirement(text), "") for name, each in packages.items() for text in each.requires or []]
    while waiting:
        name, wanted, extra = waiting.pop()
        other = normal_name(wanted.name)
        if other not in packages or (wanted.marker and not wanted.marker.evaluate({"extra": extra})):
            continue
        needed[name].add(other)
        for more in wanted.extras:
            if (other, more) not in seen:
                seen.add((other, more))
                waiting += [(other, Requirement(text), more) for text in packages[other].requires or []]
    return needed
