"""Ask whether packages of the lock files have known vulnerabilities: ``make audit``.

Exit 0: every pinned package was asked about, and none has any. Exit 1: some have. Exit 7: no source of advisories answered
for every package, which is not to say that there are none.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
LOCK_FILES = ("requirements.lock", "requirements-test.lock")
SOURCES = ("pypi", "osv")  # as pip-audit calls them; the first that answers is believed
MINUTES = 15
FOUND, NOT_ASKED = 1, 7
_PIN = re.compile(r"^([a-z0-9.-]+)==([^ ;\\\n]+)[^\n]*?(\\\n(?:[ \t]+--hash[^\n]*\n?)+)", re.MULTILINE)


def main(program: str) -> int:
    """Ask with a program of pip-audit, say what came of it, and give the exit code."""
    pins = {
        match.group(1, 2): match[3] for file in LOCK_FILES for match in _PIN.finditer((REPOSITORY / file).read_text())
    }
    silent: list[str] = []
    for source in SOURCES:
        answer, why = ask(program, source, pins)
        if answer is not None:
            return say(answer, source)
        silent.append(f"{source}: {why}")
    print(f"Could not ask about {len(pins)} packages; this is not to say that none has a known vulnerability.")
    print("\n".join(silent))
    return NOT_ASKED


def ask(program: str, source: str, pins: dict[tuple[str, str], str]) -> tuple[list[dict[str, Any]] | None, str]:
    """What a source says of every package, or None and why it did not.

    Packages of other platforms are asked about too, so markers are left out; versions of one package that exclude each
    other stand in files of their own.
    """
    files: list[dict[str, str]] = []
    for (name, version), hashes in sorted(pins.items()):
        file = next((each for each in files if name not in each), None)
        if file is None:
            files.append(file := {})
        file[name] = f"{name}=={version} {hashes.rstrip()}\n"
    with tempfile.TemporaryDirectory() as folder:
        command = [program, "--strict", "--require-hashes", "--disable-pip", "--progress-spinner", "off"]
        command += ["--format", "json", "--vulnerability-service", source]
        for number, file in enumerate(files):
            path = Path(folder) / f"{number}.txt"
            path.write_text("".join(file.values()))
            command += ["--requirement", str(path)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=60 * MINUTES, check=False)
        except subprocess.TimeoutExpired:
            return None, f"no answer in {MINUTES} minutes"
    try:
        answer = json.loads(done.stdout)["dependencies"]
    except (json.JSONDecodeError, KeyError):
        return None, (done.stderr.strip().splitlines() or ["no answer"])[-1]
    asked = {(each["name"], each["version"]) for each in answer if "skip_reason" not in each}
    if passed_over := sorted(set(pins) - asked):
        return None, f"{len(passed_over)} passed over, such as {passed_over[0][0]}"
    return answer, ""


def say(answer: list[dict[str, Any]], source: str) -> int:
    """Print what was found."""
    found = [(each["name"], each["version"], each["vulns"]) for each in answer if each["vulns"]]
    for name, version, faults in found:
        for fault in faults:
            mended = ", ".join(fault["fix_versions"]) or "no version yet"
            print(f"{name} {version}: {fault['id']} {' '.join(fault.get('aliases', []))} (mended in: {mended})")
    print(f"{len(answer)} packages asked about at {source}, {len(found)} with known vulnerabilities.")
    return FOUND if found else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
