"""Run one notebook: papermill puts the parameters in and drives the kernel; how it ended is judged here.

papermill's own notes in the notebook are thrown away: it writes "completed" over a cell whose kernel was killed.
"""

from __future__ import annotations

import logging
import time
from typing import Any

import nbformat
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import run_sync
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from papermill.engines import Engine, NotebookExecutionManager, papermill_engines
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

from analysis_lib.errors import JianfuError
from analysis_lib.running.kernels import ForkedKernel, connected_client
from analysis_lib.running.units import EXECUTED, TABLES, Job, Outcome, table_path

ENGINE = "jianfu-forked-kernel"
KERNEL, LANGUAGE = "python3", "python"
SHORTEST_LIMIT = 0.1  # seconds; nbclient takes a limit of 0 for none


class ForkedKernelEngine(Engine):
    """papermill's way in for a kernel that already runs."""

    @classmethod
    def execute_managed_notebook(
        cls,
        nb_man: NotebookExecutionManager,
        kernel_name: str,  # noqa: ARG003 - papermill's signature
        **kwargs: Any,
    ) -> None:
        """Execute every cell, each within what is left of the unit's time."""
        ends: float = kwargs["ends"]
        client = NotebookClient(
            nb_man.nb,
            km=kwargs["kernel"],
            timeout_func=lambda _cell: max(ends - time.monotonic(), SHORTEST_LIMIT),
            record_timing=False,
            on_cell_execute=lambda **cell: kwargs["reached"].append(cell["cell_index"]),
            coalesce_streams=True,
            log=logging.getLogger(__name__),
        )
        client.kc = connected = run_sync(connected_client)(kwargs["kernel"])
        try:
            client.execute()
        finally:
            connected.stop_channels()


papermill_engines.register(ENGINE, ForkedKernelEngine)


def run_notebook(job: Job, manager: AsyncKernelManager) -> Outcome:
    """Execute a job's notebook in a kernel and keep the executed copy however it ends."""
    logging.getLogger(__name__).setLevel(logging.CRITICAL)  # the outcome says it, once
    started = time.monotonic()
    notebook = parameterize_notebook(
        load_notebook_node(str(job.notebook)),
        job.parameters,
        kernel_name=KERNEL,
        language=LANGUAGE,
        engine_name=ENGINE,
    )
    (job.folder / TABLES).mkdir(parents=True, exist_ok=True)
    kernel = manager.provisioner
    assert isinstance(kernel, ForkedKernel)
    reached: list[int] = []  # one entry per code cell started: its length is the number that a reader sees as In [n]
    kind, message = "ok", ""
    try:
        papermill_engines.execute_notebook_with_engine(
            ENGINE,
            notebook,
            KERNEL,
            progress_bar=False,
            kernel=manager,
            ends=started + job.seconds,
            reached=reached,
        )
    except CellExecutionError as error:
        kind, message = "cell_error", _in_one_line(error, f"cell {len(reached)}")
    except CellTimeoutError:
        kind, message = "timeout", f"cell {len(reached)} ran into the limit of {job.seconds:g} s for the unit"
    except DeadKernelError:
        kernel.stop()
        kind, message = "kernel_died", f"cell {len(reached)}: {kernel.obituary}"
    else:
        missing = [name for name in job.tables if not table_path(job.folder, name).is_file()]
        if missing:
            kind, message = "output_missing", f"did not hand over {', '.join(missing)}"
    kernel.stop()
    _save(notebook, job, kind, message)
    return Outcome(kind, message, time.monotonic() - started, kernel.peak_mb)


def _in_one_line(error: CellExecutionError, where: str) -> str:
    """What to record of an error: its own words only when it is one of ours, for any other may quote data."""
    if error.ename in _own_errors():
        return f"{where}: {error.evalue.splitlines()[0]}"
    return f"{where} raised {error.ename}; see {EXECUTED}"


def _own_errors(base: type[JianfuError] = JianfuError) -> set[str]:
    return {base.__name__}.union(*(_own_errors(kind) for kind in base.__subclasses__()))


def _save(notebook: nbformat.NotebookNode, job: Job, kind: str, message: str) -> None:
    """Write the executed notebook without clock times, so that the same run gives the same bytes."""
    notebook.metadata.pop("papermill", None)
    notebook.metadata["jianfu"] = {"unit": job.unit_id, "ending": kind, "message": message}
    for cell in notebook.cells:
        cell.metadata.pop("papermill", None)
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell["id"] = "injected-parameters"
    nbformat.write(notebook, job.folder / EXECUTED)
