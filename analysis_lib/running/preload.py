"""What every unit needs, imported once in the process that units are forked from.

Importing pandas, seaborn and statsmodels costs more than most notebooks; a fork gets them for nothing. No pool of
threads may exist before the fork, because a fork copies its locks but not its threads: pools are held at one
thread, and allocators are told to start none of their own.
"""

from __future__ import annotations

import gc
import importlib
import os

ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "POLARS_MAX_THREADS": "1",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",  # the allocator of pyarrow
    "_RJEM_MALLOC_CONF": "background_thread:false",  # the allocator of polars
    # Read when matplotlib is imported, long before the kernel would say the same.
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
}
MODULES = [
    "numpy",
    "pandas",
    "pandas.io.formats.style",
    "pyarrow.parquet",
    "polars",
    "scipy.stats",
    "matplotlib.pyplot",
    "matplotlib.backends.backend_agg",
    "seaborn",
    "statsmodels.api",
    "statsmodels.formula.api",
    "ipykernel.kernelapp",
    "ipykernel.zmqshell",
    "nbclient",
    "papermill.engines",
    "papermill.parameterize",
    "analysis_lib.running.notebooks",
    "analysis_lib.pipeline",
]

os.environ.update(ENVIRONMENT)
for module in MODULES:
    importlib.import_module(module)
# What is there now stays for good: the collector of a forked unit need not touch, and so copy, its pages.
gc.freeze()
