"""Texts of pages and sentences: one catalogue per language, looked up by key."""

from __future__ import annotations

import functools
import string
from pathlib import Path

from analysis_lib.errors import PublicationBlocked
from analysis_lib.study import read_toml

LOCALES = Path(__file__).resolve().parent / "locales"


class Catalogue:
    """The texts of a language.

    Parameters
    ----------
    language : str
        Name of a file of ``locales/``.
    """

    def __init__(self, language: str) -> None:
        self.language = language
        self.texts: dict[str, str] = _read(language)

    def __call__(self, key: str, **values: object) -> str:
        """The text of a key, its places filled.

        Raises
        ------
        PublicationBlocked
            When the key, or a value that its text asks for, is missing: nothing half-said is published.
        """
        if key not in self.texts:
            raise PublicationBlocked(f"no text for {key!r}", where=f"locales/{self.language}.toml", fix="add the key")
        try:
            return self.texts[key].format(**values)
        except KeyError as error:
            raise PublicationBlocked(
                f"the text of {key!r} needs {error}", where=f"locales/{self.language}.toml", fix="pass it, or reword"
            ) from error


def places(text: str) -> set[str]:
    """Names of the places to be filled in a text.

    >>> sorted(places("{place}: {value}"))
    ['place', 'value']
    """
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@functools.cache
def _read(language: str) -> dict[str, str]:
    sections = read_toml(LOCALES / f"{language}.toml")
    return {f"{section}.{key}": text for section, texts in sections.items() for key, text in texts.items()}
