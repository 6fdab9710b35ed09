"""A Jupyter kernel in a forked process: nothing to import, nothing to leave behind.

The kernel speaks over sockets in a private folder, not over ports that another run could take.
"""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty
from typing import Any

from ipykernel.kernelapp import IPKernelApp
from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning.provisioner_base import KernelProvisionerBase

ASK_AGAIN_SECONDS = 0.2
BYTES_PER_KIB, BYTES_PER_MB = 1024, 1e6


class KernelDied(Exception):
    """The kernel ended before it was ready."""


class ForkedKernel(KernelProvisionerBase):
    """The process of a kernel, for a `KernelManager`.

    Attributes
    ----------
    pid : int
        Its process; 0 once it was reaped.
    exit_code : int
        As of `os.waitstatus_to_exitcode`: negative is the signal that killed it.
    peak_mb : float
        Peak memory, known once it was reaped.
    """

    pid = 0
    exit_code = 0
    peak_mb = 0.0

    def fork(self, connection_file: str, workdir: Path) -> None:
        """Become two: the child is the kernel; returns when it listens.

        Raises
        ------
        KernelDied
            When it ended instead.
        """
        ready, tell_ready = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(ready)
            _be_the_kernel(connection_file, workdir, tell_ready)
        os.close(tell_ready)
        is_listening = os.read(ready, 1)
        os.close(ready)
        if not is_listening:
            self._reap(0)
            raise KernelDied(self.obituary)

    def stop(self) -> None:
        """Kill the kernel if it lives; it holds nothing that is worth a polite goodbye."""
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            self._reap(0)

    @property
    def obituary(self) -> str:
        """How it died, in words."""
        if self.exit_code >= 0:
            return f"the kernel exited with code {self.exit_code}"
        name = signal.Signals(-self.exit_code).name
        hint = "; most often the machine ran out of memory" if name == "SIGKILL" else ""
        return f"the kernel was killed by {name} at a peak of {self.peak_mb:.0f} MB{hint}"

    def _reap(self, options: int) -> None:
        pid, status, usage = os.wait4(self.pid, options)
        if pid:
            scale = 1 if sys.platform == "darwin" else BYTES_PER_KIB
            self.pid, self.exit_code = 0, os.waitstatus_to_exitcode(status)
            self.peak_mb = usage.ru_maxrss * scale / BYTES_PER_MB

    # -- what a kernel manager asks of a provisioner -----------------------------------------------

    @property
    def has_process(self) -> bool:
        """Whether the process was not reaped yet."""
        return self.pid != 0

    async def poll(self) -> int | None:
        """None while it lives."""
        if self.pid:
            self._reap(os.WNOHANG)
        return None if self.pid else self.exit_code

    async def wait(self) -> int | None:
        """Its exit code."""
        if self.pid:
            self._reap(0)
        return self.exit_code

    async def send_signal(self, signum: int) -> None:
        """Signal it."""
        if self.pid:
            os.kill(self.pid, signum)

    async def kill(self, restart: bool = False) -> None:  # noqa: ARG002 - Jupyter's signature
        """End it at once."""
        self.stop()

    async def terminate(self, restart: bool = False) -> None:  # noqa: ARG002 - Jupyter's signature
        """End it at once."""
        self.stop()

    async def cleanup(self, restart: bool = False) -> None:
        """Nothing is left beyond the folder of its sockets, which belongs to the caller."""

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:
        """Not used: `fork` starts the kernel before any event loop exists."""
        raise NotImplementedError


@contextmanager
def forked_kernel(workdir: Path, sockets: Path) -> Iterator[AsyncKernelManager]:
    """A running kernel, forked from this process; it ends with the block.

    Parameters
    ----------
    workdir : pathlib.Path
        Folder in which the notebook's code runs.
    sockets : pathlib.Path
        Private folder for its sockets; the path must be short.
    """
    manager = AsyncKernelManager(
        transport="ipc", ip=f"{sockets}/s", connection_file=f"{sockets}/kernel.json", autorestart=False
    )
    manager.write_connection_file()
    kernel = ForkedKernel(kernel_id="unit", kernel_spec=manager.kernel_spec, parent=manager)
    manager.provisioner = kernel
    try:
        kernel.fork(manager.connection_file, workdir)
        yield manager
    finally:
        kernel.stop()


async def connected_client(manager: AsyncKernelManager) -> AsyncKernelClient:
    """A client that hears the kernel.

    Jupyter's own wait for a kernel ends with a pause in case more is said; a kernel that was forked has nothing to say.
    """
    client = manager.client()
    client.start_channels()
    while True:
        client.kernel_info()
        with suppress(Empty):
            await client.get_iopub_msg(timeout=ASK_AGAIN_SECONDS)
            return client
        if not await manager.is_alive():
            raise KernelDied("the kernel ended before it was heard")


def _be_the_kernel(connection_file: str, workdir: Path, tell_ready: int) -> None:
    """Run ipykernel in this process until it is killed; never returns."""
    code = 1
    try:
        os.chdir(workdir)
        # A private, empty profile: start-up files in somebody's home must not change a published number.
        os.environ["IPYTHONDIR"] = str(Path(connection_file).parent / "ipython")
        app = IPKernelApp.instance(parent_handle=os.getppid())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            app.initialize(["-f", connection_file, "--HistoryManager.enabled=False", "--log-level=ERROR"])
        os.write(tell_ready, b"1")
        os.close(tell_ready)
        app.start()
        code = 0
    finally:
        with suppress(OSError):
            sys.__stderr__.flush() if sys.__stderr__ else None
        os._exit(code)
