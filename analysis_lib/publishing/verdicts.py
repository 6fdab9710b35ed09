"""The three verdicts at the head of a release: did burden fall, did it move, did it come back?

Each follows one rule, from what the notebooks handed over::

    fell        the last year against the quarters before the first reform, as the interval allows; else the change reported
    moved       yes: an account of hours names a way in which they moved; no: every account rules each way out
    came back   yes: an alarm on the primary measure of a reform; no: the cut of every reform of which one is told held

Anything else cannot be told. A yes needs one account or one reform only, so it says which.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from analysis_lib.disclosure.protect import ProtectedTable
from analysis_lib.monitoring.guardrails import BY_GUARDRAIL, LATELY
from analysis_lib.monitoring.rebound import is_cut_told
from analysis_lib.publishing.lasting_words import FINDINGS, MOVED, Line, held_line, moved_lines, relapse_rows
from analysis_lib.publishing.sentences import Writer
from analysis_lib.reforms import read_reforms

TONES = {
    "lower": "better",
    "higher": "worse",
    "moved_yes": "worse",
    "moved_no": "better",
    "back_yes": "worse",
    "back_no": "better",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """One question of the three.

    Attributes
    ----------
    key : str
        ``fell``, ``moved`` or ``back``.
    question : str
        As a reader would ask it.
    word : str
        The answer in a word or two.
    tone : str
        Style of the word: better, worse or neutral.
    sentence : str
        What it rests on, with numbers.
    page : str
        Page of the quarter that tells more; empty where there is none.
    """

    key: str
    question: str
    word: str
    tone: str
    sentence: str
    page: str


def three_verdicts(
    tables: Mapping[str, ProtectedTable], change: pd.Series | None, *, writer: Writer, page: str
) -> list[Verdict]:
    """The verdicts that the tables of the nation allow; the two of reforms only where the study follows any.

    Parameters
    ----------
    tables : mapping of str to ProtectedTable
        ``reform_lasting``, ``accounts`` and ``guardrails`` where a study has reforms.
    change : pandas.Series or None
        Row of the headline measure's change.
    page : str
        Page on reforms, for the links.
    """
    since = _since_reforms(tables, writer)
    moved = change if since is None else since
    word = writer.word_for(moved)
    fell = "cannot_tell" if word == "unknown" else word
    base = "" if since is None else writer.text("verdict.before_reforms", period=writer.base(since))
    verdicts = [_verdict("fell", fell, writer.change(moved, base=base), page="", writer=writer)]
    if "accounts" in tables and not tables["accounts"].table.empty:
        verdicts.append(_verdict("moved", *_moved(tables["accounts"], writer), page=page, writer=writer))
    if "reform_lasting" in tables and not tables["reform_lasting"].table.empty:
        verdicts.append(_verdict("back", *_back(tables["reform_lasting"], writer), page=page, writer=writer))
    return verdicts


def _since_reforms(tables: Mapping[str, ProtectedTable], writer: Writer) -> pd.Series | None:
    """The headline of the last year against the quarters before the first reform; None where it is not told."""
    if "guardrails" not in tables:
        return None
    headline = writer.study.config.estimation.headline
    rows = tables["guardrails"].table
    rows = rows[(rows["by"] == BY_GUARDRAIL) & (rows["measure"] == headline + LATELY)]
    return None if rows.empty or pd.isna(rows.iloc[0]["value"]) else rows.iloc[0]


def _verdict(key: str, answer: str, sentence: str, *, page: str, writer: Writer) -> Verdict:
    tone = TONES.get(answer if key == "fell" else f"{key}_{answer}", "neutral")
    word = writer.text(f"verdict.{key}_{answer}")
    return Verdict(key, writer.text(f"verdict.{key}"), word, tone, sentence, page)


def _moved(accounts: ProtectedTable, writer: Writer) -> tuple[str, str]:
    """Answer and sentence over all accounts: the first way in which hours moved, else how far it is ruled out."""
    rows = accounts.table
    rows = rows[(rows["by"] == MOVED) & rows["category"].str.count(r"\.").eq(1) & rows["measure"].isin(FINDINGS)]
    named = rows[rows["outcome"] == "yes"]
    if not named.empty:
        label, finding = named.iloc[0]["category"].split(".")
        (line,) = (line for line in moved_lines(accounts, label, writer=writer) if line.key == finding)
        return "yes", _of(label, line, writer)
    answer = "no" if rows["outcome"].eq("no").all() else "cannot_tell"
    labels = rows["category"].str.split(".").str[0]
    open_ = labels[rows["outcome"] != "no"].nunique()
    return answer, writer.text(f"verdict.moved_{answer}_text", accounts=labels.nunique(), open=open_)


def _back(lasting: ProtectedTable, writer: Writer) -> tuple[str, str]:
    """Answer and sentence over the reforms that are followed, on the primary measure of each."""
    outcomes, followed = [], 0
    for reform in read_reforms(writer.study):
        measure = reform.primary_in(writer.study)
        line = held_line(lasting, reform.id, measure, writer=writer)
        if line is None:
            continue
        followed += 1
        rows = relapse_rows(lasting, reform.id, measure)
        if not is_cut_told(rows):
            continue
        outcomes.append(rows[rows["category"].str.endswith(".lost")].iloc[0]["outcome"])
        if outcomes[-1] == "relapsed":
            return "yes", _of(reform.id, line, writer)
    held = outcomes.count("holds")
    answer = "no" if outcomes and held == len(outcomes) else "cannot_tell"
    if answer == "cannot_tell" and not held:
        return answer, writer.text("verdict.back_cannot_tell_none_text", reforms=followed)
    counts = {"told": held} if answer == "no" else {"held": held}
    return answer, writer.text(f"verdict.back_{answer}_text", reforms=followed, **counts)


def _of(label: str, line: Line, writer: Writer) -> str:
    """A line with the reform it is about; of the nation, the line alone."""
    titles = {reform.id: reform.titles[writer.language] for reform in read_reforms(writer.study)}
    if label not in titles:
        return line.sentence
    return writer.text("verdict.of_reform", reform=titles[label], text=line.sentence)
