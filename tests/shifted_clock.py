"""A clock that is wrong, for whole processes: a library loaded before all others shifts what the system says."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

DAY = 86_400
_LIBRARY = """
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long shift(void) {
    char text[32] = {0};
    const char *path = getenv("SHIFTED_BY");
    int file = path ? open(path, O_RDONLY) : -1;
    if (file < 0) return 0;
    ssize_t length = read(file, text, sizeof text - 1);
    close(file);
    return length > 0 ? atol(text) : 0;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = syscall(SYS_clock_gettime, clock, now);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += shift();
    return failed;
}

time_t time(time_t *out) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out) *out = now.tv_sec;
    return now.tv_sec;
}

int gettimeofday(struct timeval *now, void *zone) {
    struct timespec exact;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &exact);
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return 0;
}
"""


class ShiftedClock:
    """A clock for child processes; a running process sees a change of the shift at once."""

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("cc")
        if compiler is None:
            pytest.skip("no C compiler is here to make a clock that is wrong")
        self.file, library = folder / "shift", folder / "shifted_clock.so"
        source = folder / "shifted_clock.c"
        source.write_text(_LIBRARY, encoding="utf-8")
        subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, source], check=True)
        self.variables = {"LD_PRELOAD": str(library), "SHIFTED_BY": str(self.file)}
        self.shift(0)

    def shift(self, days: int) -> None:
        """Be wrong by so many days."""
        self.file.write_text(str(days * DAY), encoding="utf-8")
