"""What must never stand in anything that is published: paths and names of a machine, and what identifies a person."""

from __future__ import annotations

import datetime as dt
import getpass
import io
import re
import socket
import zipfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from analysis_lib.study import Study

ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
ID_CHECKS = "10X98765432"  # by remainder of eleven
SHORTEST_PRIVATE = 6  # a shorter id, such as "12", stands in every page as a number
# Names that tell nothing of a machine or a person, and stand in pages for other reasons (":root" in a style).
COMMON_NAMES = {"root", "user", "admin", "runner", "ubuntu", "debian", "localhost", "nobody", "stats", "data", "main"}

_PATTERNS = {
    "a path of a machine": re.compile(
        r"(?<![\w.:/-])/(?:home|root|Users|tmp|var|opt|mnt|srv|usr|private|etc)/\w|\b[A-Za-z]:\\\w|file://"
    ),
    "a traceback": re.compile(r"Traceback \(most recent call last\)"),
    "a terminal code": re.compile(r"\x1b\["),
    "a mobile number": re.compile(r"(?<![\w.+/=-])(?:\+?86[- ]?)?1[3-9]\d(?:[- ]?\d{4}){2}(?![\w.+/=-])"),
}
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_ID_NUMBER = re.compile(r"(?<!\w)\d{17}[\dXx](?!\w)")
_WORD = re.compile(r"[\w-]+")


@dataclass(frozen=True)
class Searched:
    """What is looked for besides patterns.

    Attributes
    ----------
    names : frozenset of str
        Of the user and the machine, in lower case.
    paths : tuple of str
        Folders of this machine.
    private : frozenset of str
        Ids of respondents and the like.
    allowed : str
        Text in which an e-mail address may stand: the contact that the study gives to readers.
    """

    names: frozenset[str]
    paths: tuple[str, ...]
    private: frozenset[str]
    allowed: str

    @classmethod
    def of(cls, study: Study, private: Collection[str] = ()) -> Searched:
        """What to look for in the pages of a study on this machine."""
        host = socket.gethostname().lower()
        names = {_user(), host, host.partition(".")[0]}
        return cls(
            frozenset(name for name in names if len(name) > 3 and name not in COMMON_NAMES),
            tuple(str(path) for path in {study.root.resolve(), Path.home(), Path.cwd()} if len(path.parts) > 1),
            frozenset(text for text in private if len(text) >= SHORTEST_PRIVATE),
            study.config.study.contact,
        )


def leaks_in(file: Path, path: str, searched: Searched) -> list[str]:
    """Leaks of a file, told by kind and place but not by what was found; ``path`` is its address in messages."""
    if searched.private & set(_WORD.findall(path)):
        return ["a file is named by the id of a respondent"]
    return [
        f"{path}{part}: {kind} (line {line})" for part, text in texts_of(file) for kind, line in _found(text, searched)
    ]


def leaks_in_text(text: str, searched: Searched) -> list[str]:
    """Leaks of a text that is to be published, by kind and line."""
    return [f"leak: {kind} (line {line})" for kind, line in _found(text, searched)]


def texts_of(file: Path) -> Iterator[tuple[str, str]]:
    """Name of a part → its text: one of a text file, one for each part of a workbook, text and facts of a PDF."""
    if file.suffix == ".xlsx":
        with zipfile.ZipFile(file) as parts:
            for name in parts.namelist():
                yield f"!{name}", parts.read(name).decode(errors="replace")
    elif file.suffix == ".pdf":
        from pypdf import PdfReader

        reader = PdfReader(io.BytesIO(file.read_bytes()))
        for number, page in enumerate(reader.pages, 1):
            yield f"!page {number}", page.extract_text()
        yield "!properties", " ".join(str(value) for value in (reader.metadata or {}).values())
    else:
        yield "", file.read_bytes().decode(errors="replace")


def is_id_number(text: str) -> bool:
    """Whether eighteen characters are a resident identity number: a day of birth and a right check character.

    GB 11643-1999, checked as ISO 7064 MOD 11-2.
    """
    try:
        dt.date(int(text[6:10]), int(text[10:12]), int(text[12:14]))
    except ValueError:
        return False
    total = sum(weight * int(digit) for weight, digit in zip(ID_WEIGHTS, text[:17], strict=True))
    return ID_CHECKS[total % 11] == text[17].upper()


def _found(text: str, searched: Searched) -> Iterator[tuple[str, int]]:
    for kind, pattern in _PATTERNS.items():
        yield from ((kind, _line(text, match.start())) for match in pattern.finditer(text))
    for match in _EMAIL.finditer(text):
        if match[0].rstrip(".") not in searched.allowed:
            yield "an e-mail address", _line(text, match.start())
    for match in _ID_NUMBER.finditer(text):
        if is_id_number(match[0]):
            yield "an identity number", _line(text, match.start())
    for folder in searched.paths:
        if (at := text.find(folder)) >= 0:
            yield "a folder of this machine", _line(text, at)
    words = set(_WORD.findall(text))
    for kind, hits in (
        ("the id of a respondent", words & searched.private),
        ("the name of the user or the machine", searched.names & {word.lower() for word in words}),
    ):
        yield from ((kind, _line(text, text.lower().find(hit.lower()))) for hit in sorted(hits))


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


def _user() -> str:
    try:
        return getpass.getuser().lower()
    except (KeyError, OSError):  # a container may run under a number that has no name
        return ""
