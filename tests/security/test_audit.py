"""``make audit`` tells findings from silence: what could not be asked about is not what has no vulnerabilities."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
# Answers as pip-audit does: a list of all that was asked about, or nothing and a line on standard error.
FAKE = """#!{python}
import json, re, sys
text = "".join(open(sys.argv[place + 1]).read() for place, each in enumerate(sys.argv) if each == "--requirement")
source = sys.argv[sys.argv.index("--vulnerability-service") + 1]
assert "--strict" in sys.argv and "--require-hashes" in sys.argv and "--hash=sha256:" in text and ";" not in text
pins = re.findall(r"^([a-z0-9.-]+)==(\\S+)", text, re.MULTILINE)
answer = [dict(name=name, version=version, vulns=[]) for name, version in pins]
{body}
"""
ANSWER = "print(json.dumps(dict(dependencies=answer, fixes=[])))"
FAULT = {"id": "PYSEC-1", "fix_versions": ["9.9"], "aliases": ["CVE-1"], "description": "x"}


def audit(folder: Path, body: str) -> tuple[int, str]:
    fake = folder / "pip-audit"
    fake.write_text(FAKE.format(python=sys.executable, body=body))
    fake.chmod(0o755)
    command = [sys.executable, str(REPOSITORY / "tests" / "certify" / "audit.py"), str(fake)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.returncode, done.stdout


def test_every_pin_is_asked_about_those_of_other_platforms_too(tmp_path: Path) -> None:
    code, told = audit(tmp_path, ANSWER)
    pins = {
        line.split(" ")[0]
        for file in ("requirements.lock", "requirements-test.lock")
        for line in (REPOSITORY / file).read_text().splitlines()
        if "==" in line and not line.startswith(" ")
    }
    assert (code, told) == (0, f"{len(pins)} packages asked about at pypi, 0 with known vulnerabilities.\n")


def test_findings_are_named_and_end_with_one(tmp_path: Path) -> None:
    code, told = audit(tmp_path, f"answer[0]['vulns'] = [{json.dumps(FAULT)}]\n{ANSWER}\nsys.exit(1)")
    assert code == 1
    assert "PYSEC-1 CVE-1 (mended in: 9.9)" in told
    assert "1 with known vulnerabilities" in told


@pytest.mark.parametrize(
    "body",
    ["sys.exit('ERROR: not found and could not be audited')", f"del answer[0]\n{ANSWER}", f"answer[0]['skip_reason'] = 'x'\n{ANSWER}"],
)  # fmt: skip
def test_silence_about_one_package_is_no_answer(tmp_path: Path, body: str) -> None:
    code, told = audit(tmp_path, body)
    assert code == 7
    assert told.startswith("Could not ask about ")
    assert "pypi: " in told and "osv: " in told


def test_a_second_source_is_asked_where_the_first_is_silent(tmp_path: Path) -> None:
    code, told = audit(tmp_path, f"if source == 'pypi': sys.exit('away')\n{ANSWER}")
    assert code == 0
    assert "asked about at osv" in told
