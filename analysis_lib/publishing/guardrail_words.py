"""The answers to the three distinctions in words: yes, no or cannot tell, and by which of their indicators."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from analysis_lib.disclosure.protect import ProtectedTable
from analysis_lib.monitoring.guardrails import BY_GUARDRAIL, BY_VERDICT
from analysis_lib.publishing.sentences import Writer
from analysis_lib.publishing.titles import measure_title
from analysis_lib.study import Study

TONES = {"yes": "better", "no": "worse"}
# Kinds of reasons and reservations, in the order in which a reader should meet them.
KINDS = ("wrong_way", "small", "broken", "found", "open", "missing", "worse", "not_asked")
NOTHING_REQUIRED = "nothing_required"


@dataclass(frozen=True)
class DistinctionWords:
    """The answer to one of the three distinctions.

    Attributes
    ----------
    key : str
        ``responsibilities``, ``power`` or ``lasting``.
    title, question : str
        What it is called, and what was asked.
    answer : str
        ``yes``, ``no``, ``cannot_tell``, or ``hidden`` where it may not be published.
    word, tone : str
        The answer as printed, and its style: ``better``, ``worse``, ``neutral``.
    sentence : str
        What the answer rests on.
    beside : str
        What a reader must know beside it, or nothing.
    """

    key: str
    title: str
    question: str
    answer: str
    word: str
    tone: str
    sentence: str
    beside: str


def distinction_words(guardrails: ProtectedTable, *, writer: Writer) -> list[DistinctionWords]:
    """The distinctions of the table ``guardrails``, in its order."""
    table = guardrails.table
    judged = {str(row["category"]): row for row in table[table["by"] == BY_GUARDRAIL].to_dict("records")}
    return [_words(row, judged, writer) for row in table[table["by"] == BY_VERDICT].to_dict("records")]


def guardrails_answer(guardrails: ProtectedTable, *, study: Study, language: str) -> str:
    """A paragraph for each distinction."""
    found = distinction_words(guardrails, writer=Writer(study, language))
    join = " " if language == "en" else ""
    return "\n\n".join(
        f"**{each.title}** – {each.question} **{each.word}.** {join.join([each.sentence, each.beside]).strip()}"
        for each in found
    )


def _words(verdict: dict, judged: dict[str, dict], writer: Writer) -> DistinctionWords:
    key, text = str(verdict["category"]), writer.text
    answer = str(verdict["outcome"]) or "hidden"
    named = {"key": key, "title": text(f"guard.{key}"), "question": text(f"guard.{key}_question"), "answer": answer,
             "word": text(f"guard.{answer}"), "tone": TONES.get(answer, "neutral")}  # fmt: skip
    if answer == "hidden":
        return DistinctionWords(**named, sentence=text("guard.hidden_says"), beside="")
    reasons, _, reservations = str(verdict["reasons"]).partition("|")
    reasons = reasons.split() or ([] if answer == "yes" else _from_rows(key, answer, judged))
    sentence = (
        text("guard.says_yes", item=_item(str(verdict["measure"]), verdict, writer))
        if answer == "yes"
        else _listed(reasons, key, judged, writer)
    )
    return DistinctionWords(**named, sentence=sentence, beside=_listed(reservations.split(), key, judged, writer))


def _from_rows(key: str, answer: str, judged: dict[str, dict]) -> list[str]:
    """Reasons where the change of the distinction itself may not be published: by how each indicator was judged."""
    decisive = {"no": "broken", "cannot_tell": "open"}[answer]
    return [
        f"{row['reasons'] or decisive}.{category.removeprefix(f'{key}.')}"
        for category, row in judged.items()
        if category.startswith(f"{key}.") and row["outcome"] == decisive
    ]


def _listed(reasons: list[str], key: str, judged: dict[str, dict], writer: Writer) -> str:
    """A sentence for each kind of reason with what it is about."""
    items: dict[str, list[str]] = {}
    for reason in reasons:
        kind, _, measure = reason.partition(".")
        if reason == NOTHING_REQUIRED:
            items[kind] = []
            continue
        row = judged.get(f"{key}.{measure}", {})
        # A finding of another test that speaks against it was found, and was not harmed.
        kind = "found" if kind == "broken" and row.get("wanted", "") == "" else kind
        items.setdefault(kind, []).append(_item(measure, row, writer))
    join = " " if writer.language == "en" else ""
    said = [
        writer.text(f"guard.reason_{kind}", items=writer.text("alt.separator").join(items[kind]))
        for kind in (NOTHING_REQUIRED, *KINDS)
        if kind in items
    ]
    return join.join(said)


def _item(measure: str, row: dict, writer: Writer) -> str:
    """What an indicator is called, with its change and interval where there are any."""
    title = measure_title(writer.labels, writer.text, measure)
    if not row or pd.isna([row["value"], row["ci_low"], row["ci_high"]]).any():
        return title
    amount = writer.amount(row["value"], row["unit"], signed=True)
    return writer.text("guard.item", title=title, amount=amount, interval=writer.interval(row), level=writer.level)
