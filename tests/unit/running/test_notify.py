"""Messages about runs, sent to a real web server and a real mail server on this machine."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_string
from email.policy import default
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from tiny_suite import write_tiny_study

from analysis_lib.monitoring.ledger import Ledger
from analysis_lib.running.notify import notify
from analysis_lib.study import Study

FACTS = {"run_id": "r1", "failed": ["2026Q3/01-quick: timeout"], "exit_code": 1}


@contextmanager
def serving(server: socketserver.BaseServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def web_server(status: int = 200) -> tuple[HTTPServer, list[tuple[str, Any, str | None]]]:
    got: list[tuple[str, Any, str | None]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            got.append((self.path, body, self.headers.get("Authorization")))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *arguments: object) -> None: ...

    return HTTPServer(("127.0.0.1", 0), Handler), got


def mail_server() -> tuple[socketserver.TCPServer, list[str]]:
    """Just enough of RFC 5321 for a client that trusts it."""
    got: list[str] = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 here\r\n")
            for line in iter(self.rfile.readline, b""):
                verb = line.split()[0].upper()
                if verb == b"DATA":
                    self.wfile.write(b"354 go on\r\n")
                    got.append(b"".join(iter(self.rfile.readline, b".\r\n")).decode())
                self.wfile.write(b"221 bye\r\n" if verb == b"QUIT" else b"250 ok\r\n")
                if verb == b"QUIT":
                    return

    return socketserver.TCPServer(("127.0.0.1", 0), Handler), got


def study_that_tells(folder: Path, settings: str) -> Study:
    study = write_tiny_study(folder)
    with (study.root / "study.toml").open("a", encoding="utf-8") as stream:
        stream.write(f"[running.notify]\n{settings}\n")
    return Study.open(study.root)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ("facts", {"event": "failure", "study": "test", **FACTS}),
        ("text", {}),
        ("msgtype", {"msgtype": "text"}),
    ],
)
def test_a_webhook_gets_what_happened_in_the_shape_it_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: str, expected: dict[str, Any]
) -> None:
    server, got = web_server()
    with serving(server) as port:
        monkeypatch.setenv("HOOK", f"http://127.0.0.1:{port}/secret-path")
        monkeypatch.setenv("JIANFU_WEBHOOK_TOKEN", "a-token")
        study = study_that_tells(tmp_path / "s", f'webhook = "$HOOK"\nwebhook_body = "{shape}"')
        told: list[str] = []
        notify(study, "failure", told.append, **FACTS)
    assert told == []
    [(path, body, authorization)] = got
    assert path == "/secret-path"
    assert authorization == "Bearer a-token"
    text = body.pop("text")
    assert "2026Q3/01-quick: timeout" in (text["content"] if shape == "msgtype" else text)
    assert body == expected | {"study": study.config.study.id} if shape == "facts" else body == expected


def test_an_e_mail_says_what_happened(tmp_path: Path) -> None:
    server, got = mail_server()
    with serving(server) as port:
        settings = (
            'mail_to = ["team@example.org", "head@example.org"]\nmail_from = "jianfu@example.org"\n'
            f'smtp_host = "127.0.0.1"\nsmtp_port = {port}\nsmtp_security = "none"\nevents = ["lateness"]'
        )
        study = study_that_tells(tmp_path / "s", settings)
        notify(study, "lateness", print, late=["2026Q3 by 10 days"])
        notify(study, "failure", print, **FACTS)  # not asked for
    [text] = got
    message = message_from_string(text, policy=default)
    assert message["Subject"] == f"[jianfu {study.config.study.id}] an assessment is late"
    assert message["To"] == "team@example.org, head@example.org"
    assert "late: 2026Q3 by 10 days" in message.get_content()


@pytest.mark.parametrize("status", [404, 500])
def test_a_hook_that_fails_is_a_warning_in_ledger_and_words_and_names_no_secret(tmp_path: Path, status: int) -> None:
    server, _ = web_server(status)
    with serving(server) as port:
        study = study_that_tells(tmp_path / "s", f'webhook = "http://127.0.0.1:{port}/secret-path"')
        told: list[str] = []
        notify(study, "failure", told.append, **FACTS)
    assert told == [f"warning: webhook about failure could not be sent: the server answered {status}"]
    assert [each["text"] for each in Ledger(study.ledger).warnings("notify")] == [told[0].removeprefix("warning: ")]
    assert "secret" not in study.ledger.read_bytes().decode(errors="ignore")


def test_a_server_that_is_not_there_or_no_address_at_all_is_a_warning_too(tmp_path: Path) -> None:
    server, _ = web_server()
    port = server.server_address[1]
    server.server_close()
    told: list[str] = []
    notify(study_that_tells(tmp_path / "a", f'webhook = "http://127.0.0.1:{port}/"'), "failure", told.append)
    notify(study_that_tells(tmp_path / "b", 'webhook = "$NOT_SET"'), "failure", told.append)
    notify(study_that_tells(tmp_path / "c", 'webhook = "file:///etc/passwd"'), "failure", told.append)
    mail = f'mail_to = ["a@example.org"]\nsmtp_host = "127.0.0.1"\nsmtp_port = {port}'
    notify(study_that_tells(tmp_path / "d", mail), "failure", told.append)
    assert [each.rpartition(": ")[2] for each in told] == [
        "ConnectionRefusedError",
        "no address, or one that is not http",
        "no address, or one that is not http",
        "ConnectionRefusedError",
    ]


def test_a_server_that_does_not_answer_is_not_waited_for(tmp_path: Path) -> None:
    class Silent(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(1)
            release.wait()

    release = threading.Event()
    server = socketserver.TCPServer(("127.0.0.1", 0), Silent)
    with serving(server) as port:
        study = study_that_tells(tmp_path / "s", f'webhook = "http://127.0.0.1:{port}/"\nseconds = 0.2')
        told: list[str] = []
        notify(study, "failure", told.append)
        release.set()
    assert told == ["warning: webhook about failure could not be sent: no answer in time"]
