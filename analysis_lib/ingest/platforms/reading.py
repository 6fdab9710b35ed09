"""The process that files from outside are read in: it serves `confined`, and ends when the other one does."""

from __future__ import annotations

import json
import math
import os
import resource
import select
import signal
import socket
import sys
import threading
import traceback
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import pyarrow as pa

from analysis_lib.errors import InputRejected
from analysis_lib.ingest.instruments import FileSpec
from analysis_lib.ingest.platforms import confined, files

THREADS = 4  # each takes memory by itself, and a file is read no faster by more
_STATM = Path("/proc/self/statm")
_DATA = 5  # place of the size of data and stack in it, in pages
_MEBIBYTE = 2**20


def serve(channel: socket.socket) -> None:
    """Read the files that are asked for, one after another, until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that asks says when to stop
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # an image of this process on the disk would hold answers
    pa.set_cpu_count(min(THREADS, pa.cpu_count()))
    threading.Thread(target=_leave_with, args=(channel,), daemon=True).start()
    used_before = _data_bytes()
    channel.send(confined.READY)
    while True:
        message, descriptors, _, _ = socket.recv_fds(channel, 1, 1)
        if not message:
            return
        exchange = os.fdopen(descriptors[0], "r+b")  # stays open for `_note_fault`
        answer = _answer(exchange, used_before)
        exchange.close()
        channel.send(answer)
        if answer == confined.NO_MEMORY:
            return


def _leave_with(channel: socket.socket) -> None:
    """End when the other end is gone, in the middle of a file too."""
    hanging_up = select.poll()
    hanging_up.register(channel, 0)
    hanging_up.poll()
    os._exit(1)


def _answer(exchange: BinaryIO, used_before: int) -> bytes:
    exchange.seek(0)
    request = json.loads(exchange.read())
    exchange.seek(0)
    exchange.truncate()
    sys.excepthook = partial(_note_fault, exchange)
    _keep_within(confined.Limits(**request["limits"]), used_before)
    try:
        table = files.read_table(Path(request["path"]), FileSpec.model_validate(request["spec"]))
        confined.write_table(table, exchange)
    except InputRejected as refusal:
        confined.write_told([refusal.what, refusal.fix], exchange)
        return confined.REFUSED
    except MemoryError:
        return confined.NO_MEMORY
    finally:
        signal.alarm(0)
    return confined.READ


def _keep_within(limits: confined.Limits, used_before: int) -> None:
    """Let the system end this process when it takes more, whatever it is doing then."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    _limit(resource.RLIMIT_CPU, math.ceil(usage.ru_utime + usage.ru_stime) + limits.seconds)
    signal.alarm(limits.seconds)
    if confined.LIMITS_MEMORY:
        # Of data, not of addresses: a large file that is only looked at takes addresses and no memory.
        _limit(resource.RLIMIT_DATA, used_before + limits.memory_mb * _MEBIBYTE)


def _limit(what: int, most: int) -> None:
    hard = resource.getrlimit(what)[1]
    resource.setrlimit(what, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def _data_bytes() -> int:
    if not confined.LIMITS_MEMORY:
        return 0
    return int(_STATM.read_text().split()[_DATA]) * resource.getpagesize()


def _note_fault(exchange: BinaryIO, kind: type[BaseException], _error: Any, trace: TracebackType | None) -> None:
    """Say of a fault where it was, not in which words: they may hold what stands in a cell."""
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))  # room to say it
    places = traceback.extract_tb(trace)
    ours = [each for each in places if "analysis_lib" in each.filename] or places
    where = f" at {Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else ""
    confined.write_told([f"{kind.__name__}{where}"], exchange)
    exchange.flush()


if __name__ == "__main__":
    serve(socket.socket(fileno=sys.stdin.fileno()))
