"""X08: files from outside are read in a process of their own, within limits of memory and time.

Whatever a file does to its reader, the process that asked goes on: it sees a table, a refusal in words, or the end of
the other process. The table comes back as Arrow in a file without a name, so that nothing is left of it on a disk, and
nothing that comes back is ever run.
"""

from __future__ import annotations

import atexit
import json
import mmap
import os
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from analysis_lib.errors import EnvironmentProblem, InputRejected
from analysis_lib.fingerprints import PACKAGE
from analysis_lib.ingest.instruments import FileSpec
from analysis_lib.ingest.platforms.files import read_table
from analysis_lib.ingest.platforms.texts import TextTable

CAN_CONFINE = hasattr(os, "fork") and hasattr(socket, "send_fds")
LIMITS_MEMORY = sys.platform == "linux"  # elsewhere a process is not held to the memory that it takes
COMMAND = (sys.executable, "-m", "analysis_lib.ingest.platforms.reading")
READY, READ, REFUSED, NO_MEMORY = b"0", b"1", b"2", b"3"  # what the other process says, in a byte
_ENDED, _NOTHING_IN_TIME = b"", b"late"  # in the place of an answer
START_SECONDS = 120  # for the other process to import what it needs, on a machine however busy
GRACE_SECONDS = 5  # beyond the limit, for the other process to notice it itself
_ABOUT = b"about"  # key of what an Arrow schema says besides the columns
_WITHOUT_MEMORY = (signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS)  # how libraries without exceptions end


@dataclass(frozen=True, slots=True)
class Limits:
    """What the reading of one file may take; a study sets them under ``[running]``.

    Attributes
    ----------
    memory_mb : int
        Memory beyond what the reader takes before it opens the file, in MiB.
    seconds : int
        Seconds of processor time, and as many by the clock.
    """

    memory_mb: int
    seconds: int


def read_confined(path: Path, spec: FileSpec, limits: Limits) -> TextTable:
    """As `files.read_table`, in a process that the limits hold; in this one where a platform has no such limits.

    Raises
    ------
    InputRejected
        Saying what is wrong with the file, or that reading it takes more than it may.
    """
    if not CAN_CONFINE:
        return read_table(path, spec)
    global _reader
    if _reader is None or not _reader.is_usable:
        _reader = ReadingProcess()
    return _reader.read(path, spec, limits)


_reader: ReadingProcess | None = None  # one for all files of this process: it takes longer to start than most files


@atexit.register
def close() -> None:
    """End the process that files are read in, if there is one; the next file starts another."""
    if _reader is not None and _reader.is_usable:
        _reader.close()


class ReadingProcess:
    """A process that reads one file after another, until one is too much for it.

    Parameters
    ----------
    command : sequence of str
        What to start; its standard input becomes one end of a socket.
    """

    def __init__(self, command: tuple[str, ...] = COMMAND) -> None:
        self._owner = os.getpid()
        self._is_ready = False
        self._channel, theirs = socket.socketpair()
        quiet = subprocess.DEVNULL  # what a library prints of a file may hold an answer
        with theirs:
            self._process = subprocess.Popen(
                command, stdin=theirs.fileno(), stdout=quiet, stderr=quiet, cwd=PACKAGE.parent
            )

    @property
    def is_usable(self) -> bool:
        """Whether it belongs to this process, and was not closed."""
        return self._owner == os.getpid() and self._channel.fileno() >= 0

    def close(self) -> int:
        """End it, and give its exit code: negative is the signal that ended it."""
        self._channel.close()
        self._process.kill()  # it holds nothing that is worth a polite goodbye; no harm to one that ended itself
        return self._process.wait()

    def read(self, path: Path, spec: FileSpec, limits: Limits) -> TextTable:
        """Read a file; see `read_confined`."""
        is_done = False
        try:
            self._wait_until_ready()
            with tempfile.TemporaryFile() as exchange:
                answer = self._ask(exchange, path, spec, limits)
                if answer == READ:
                    table = _table(exchange)
                elif answer == REFUSED:
                    what, fix = _told(exchange)
                    is_done = True
                    raise InputRejected(what, where=path.name, fix=fix)
                else:
                    raise self._obituary(answer, path, exchange, limits)
            is_done = True
            return table
        finally:
            if not is_done and self.is_usable:  # what it would say next would be of this file
                self.close()

    def _wait_until_ready(self) -> None:
        if self._is_ready:
            return
        self._channel.settimeout(START_SECONDS)
        with suppress(TimeoutError, ConnectionError):
            self._is_ready = self._channel.recv(1) == READY
        if not self._is_ready:
            raise EnvironmentProblem(
                f"the process that reads files did not start (exit code {self.close()})",
                where="ingest",
                fix="jianfu doctor; make setup installs what is locked",
            )

    def _ask(self, exchange: BinaryIO, path: Path, spec: FileSpec, limits: Limits) -> bytes:
        """The byte that it answers, or why there is none."""
        request = {"path": str(path.absolute()), "spec": spec.model_dump(mode="json"), "limits": asdict(limits)}
        exchange.write(json.dumps(request).encode())
        exchange.flush()
        self._channel.settimeout(limits.seconds + GRACE_SECONDS)
        try:
            socket.send_fds(self._channel, [b"?"], [exchange.fileno()])
            return self._channel.recv(1)
        except TimeoutError:
            return _NOTHING_IN_TIME
        except ConnectionError:
            return _ENDED

    def _obituary(self, answer: bytes, path: Path, exchange: BinaryIO, limits: Limits) -> InputRejected:
        """Why there is no table."""
        raise_it = "ask the sender what it is; split a large export, or raise {} under [running] of study.toml"
        memory = f"takes more than {limits.memory_mb} MiB of memory"
        if answer == _ENDED:
            with suppress(subprocess.TimeoutExpired):  # the socket closes before the process is gone
                self._process.wait(GRACE_SECONDS)
        code = self.close()
        ended_by = signal.Signals(-code) if code < 0 else None
        if answer == NO_MEMORY:
            what, fix = f"X08: reading it {memory}", raise_it.format("input_memory_mb")
        elif answer == _NOTHING_IN_TIME or ended_by in (signal.SIGXCPU, signal.SIGALRM):
            what, fix = f"X08: reading it takes more than {limits.seconds} s", raise_it.format("input_seconds")
        elif ended_by and ended_by in _WITHOUT_MEMORY:
            what = f"X08: its reader was ended by {ended_by.name}, most often because reading it {memory}"
            fix = raise_it.format("input_memory_mb")
        elif ended_by:
            what = f"X08: its reader was ended by {ended_by.name}"
            fix = "see whether the machine ran out of memory, and try again; else ask the sender what it is"
        else:
            fault = _told(exchange)[:1] or ["no reason given"]
            what = f"X08: its reader failed ({fault[0]})"
            fix = "ask the sender for it again; where it is large, raise input_memory_mb under [running] of study.toml"
        return InputRejected(what, where=path.name, fix=fix)


# -- what goes from one process to the other -----------------------------------------------------------


def write_table(table: TextTable, exchange: BinaryIO) -> None:
    """Write a table as Arrow: the rows of the source, then the columns, the rest in the schema."""
    about = {"sheet": table.sheet, "notes": table.notes, "short_rows": [int(row) for row in table.short_rows]}
    batch = pa.record_batch([pa.array(table.rows), *table.columns.values()], names=["", *table.columns])
    schema = batch.schema.with_metadata({_ABOUT: json.dumps(about).encode()})
    with pa.ipc.new_file(exchange, schema) as writer:
        writer.write_batch(batch.replace_schema_metadata(schema.metadata))


def _table(exchange: BinaryIO) -> TextTable:
    """The table as it was written, its memory that of the file."""
    content = mmap.mmap(exchange.fileno(), 0, access=mmap.ACCESS_READ)
    batch = pa.ipc.open_file(pa.py_buffer(content)).get_batch(0)
    batch.validate(full=True)  # nothing that another process says is believed
    about = json.loads(batch.schema.metadata[_ABOUT])
    rows, *columns = batch.columns
    return TextTable(
        dict(zip(batch.schema.names[1:], columns, strict=True)),
        rows.to_numpy(),
        about["sheet"],
        [(rule, action, message) for rule, action, message in about["notes"]],
        about["short_rows"],
    )


def write_told(told: list[str], exchange: BinaryIO) -> None:
    """Write some texts in the place of a table."""
    exchange.seek(0)
    exchange.truncate()
    exchange.write(json.dumps(told).encode())


def _told(exchange: BinaryIO) -> list[str]:
    exchange.seek(0)
    return json.loads(exchange.read() or b"[]")
