"""Two versions of an instrument side by side: what each calls a concept, and what a new version changed of it.

The suite's own columns and categories are the concepts; an instrument maps its questions and codes to them
(`instruments`). A new version of a questionnaire or of a code list is therefore compared concept by concept.
"""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from analysis_lib.ingest.instruments import Column, Instrument, read_instrument
from analysis_lib.study import Study

COLUMNS = ["from_version", "to_version", "concept", "before", "after", "change"]


def concept_changes(study: Study, before: frozenset[str], after: frozenset[str]) -> pd.DataFrame:
    """Compare the versions that went out of use with those that came into use.

    Parameters
    ----------
    before, after : frozenset of str
        Versions in use in two quarters; those in both are left out.

    Returns
    -------
    pandas.DataFrame
        from_version, to_version, concept (our column), before, after (question as each version words it; empty where it
        has none), change: added, dropped, reworded, or answers (other type, range or codes). Of each new version, against
        the one of the same platform that went, or any that went; no rows where nothing went or came.
    """
    rows = []
    for version in sorted(after - before):
        new = read_instrument(study, version)
        gone = [read_instrument(study, each) for each in sorted(before - after)]
        old = next((each for each in gone if each.platform == new.platform), gone[0] if gone else None)
        if old is not None:
            rows += [(old.version, new.version, *change) for change in _changes(old, new)]
    return pd.DataFrame(rows, columns=COLUMNS)


def _changes(old: Instrument, new: Instrument) -> Iterator[tuple[str, str, str, str]]:
    was, now = _concepts(old), _concepts(new)
    for name in dict.fromkeys([*was, *now]):
        before, after = (" / ".join(each[name].sources) if name in each else "" for each in (was, now))
        if name not in was or name not in now:
            yield name, before, after, "dropped" if name in was else "added"
            continue
        if was[name].sources != now[name].sources:
            yield name, before, after, "reworded"
        answers = [
            (each[name].type, each[name].min, each[name].max, of.values.get(name))
            for each, of in ((was, old), (now, new))
        ]
        if answers[0] != answers[1]:
            yield name, before, after, "answers"


def _concepts(instrument: Instrument) -> dict[str, Column]:
    return {
        name: column
        for spec in instrument.files.values()
        for name, column in (spec.columns | spec.block_columns).items()
    }
