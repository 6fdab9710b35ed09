"""Tell people of a run by webhook and e-mail: that it started, ended well, failed, or that an assessment is late.

A message holds names of units and how they ended, never data and never the text of an error. One that cannot be sent is
a warning in the ledger and on the screen; no run fails for it.
"""

from __future__ import annotations

import json
import os
import smtplib
import socket
import urllib.error
import urllib.request
from collections.abc import Callable
from email.message import EmailMessage
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

from analysis_lib.monitoring.ledger import Ledger
from analysis_lib.study import Event, Notify, Study

WEBHOOK_TOKEN, SMTP_PASSWORD = "JIANFU_WEBHOOK_TOKEN", "JIANFU_SMTP_PASSWORD"
_SAID: dict[str, str] = {
    "start": "a run started",
    "success": "a run ended well",
    "failure": "a run failed",
    "lateness": "an assessment is late",
}


def notify(study: Study, event: Event, say: Callable[[str], object], **facts: Any) -> None:
    """Send a message about an event, if the study's ``[running.notify]`` asks for it.

    Parameters
    ----------
    event : str
        start, success, failure or lateness.
    say : callable
        Gets a line for each message that could not be sent.
    facts
        What happened, as values that JSON can hold: names and numbers about the run, nothing from the data.
    """
    asked = study.config.running.notify
    if event not in asked.events:
        return
    told = {"event": event, "study": study.config.study.id, **facts}
    ways = {"webhook": _post if asked.webhook else None, "e-mail": _mail if asked.mail_to else None}
    for way, send in ways.items():
        try:
            if send:
                send(asked, told)
        except (OSError, HTTPException, smtplib.SMTPException, ValueError) as error:
            # The kind alone: the words of an error may repeat the address, which can hold a secret.
            told_badly = f"{way} about {event} could not be sent: {_kind(error)}"
            Ledger(study.ledger).record_warning("notify", told_badly)
            say(f"warning: {told_badly}")


def _post(asked: Notify, told: dict[str, Any]) -> None:
    address = os.environ.get(asked.webhook[1:], "") if asked.webhook.startswith("$") else asked.webhook
    if urlsplit(address).scheme not in ("http", "https"):
        raise ValueError
    text = as_text(told)
    body = {
        "facts": told | {"text": text},
        "text": {"text": text},
        "msgtype": {"msgtype": "text", "text": {"content": text}},
    }
    token = os.environ.get(WEBHOOK_TOKEN)
    request = urllib.request.Request(
        address,
        data=json.dumps(body[asked.webhook_body], ensure_ascii=False).encode(),
        headers={"Content-Type": "application/json; charset=utf-8"}
        | ({"Authorization": f"Bearer {token}"} if token else {}),
        method="POST",
    )
    with urllib.request.urlopen(request, timeout=asked.seconds):
        pass


def _mail(asked: Notify, told: dict[str, Any]) -> None:
    message = EmailMessage()
    message["Subject"] = f"[jianfu {told['study']}] {_SAID[told['event']]}"
    message["From"] = asked.mail_from or asked.smtp_user
    message["To"] = ", ".join(asked.mail_to)
    message.set_content(as_text(told) + "\n")
    connect = smtplib.SMTP_SSL if asked.smtp_security == "tls" else smtplib.SMTP
    with connect(asked.smtp_host, asked.smtp_port, timeout=asked.seconds) as server:
        if asked.smtp_security == "starttls":
            server.starttls()
        if asked.smtp_user:
            server.login(asked.smtp_user, os.environ.get(SMTP_PASSWORD, ""))
        server.send_message(message)


def as_text(told: dict[str, Any]) -> str:
    """A message as lines that a person reads.

    >>> print(as_text({"event": "failure", "study": "demo", "failed": ["2026Q3/02-working-week"]}))
    demo: a run failed
    failed: 2026Q3/02-working-week
    """
    lines = [f"{told['study']}: {_SAID[told['event']]}"]
    for name, value in told.items():
        if name not in ("event", "study") and value not in ("", [], None):
            listed = ", ".join(map(str, value)) if isinstance(value, list) else value
            lines.append(f"{name.replace('_', ' ')}: {listed}")
    return "\n".join(lines)


def _kind(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answered {error.code}"
    reason = getattr(error, "reason", error)
    if isinstance(reason, TimeoutError | socket.timeout):
        return "no answer in time"
    if isinstance(error, ValueError):
        return "no address, or one that is not http"
    return type(reason).__name__
