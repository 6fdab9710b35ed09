"""What every unit needs, imported once in the process that units are forked from.

Importing pandas, seaborn and statsmodels costs more than most notebooks; a fork gets them for nothing.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import sys

from babel.numbers import format_decimal

from analysis_lib.figures import style, svg
from analysis_lib.fingerprints import reached_code
from analysis_lib.publishing.catalogue import Catalogue
from analysis_lib.running.suite import Suite, imported_modules
from analysis_lib.tables import contracts

JUPYTER = [
    "ipykernel.kernelapp",
    "ipykernel.zmqshell",
    "analysis_lib.running.kernels",
    "analysis_lib.running.notebooks",
]
# Imported late by those that notebooks import, and by the workers that draw pages.
LATE = [
    "analysis_lib.pipeline",
    "analysis_lib.publishing.site",
    "matplotlib.backends.backend_agg",
    "pandas.io.formats.string",
    "pandas.io.formats.style",
    "pyarrow.dataset",
    "pyarrow.parquet",
    "scipy.stats",
    "statsmodels.api",
]

# Packages that others import where they find them, for longer than much of the rest takes, and to no use here: grammars
# of web addresses, for jsonschema (of pandas' own size; notebooks hold no address to check), what makes up examples of
# tables, for pandera, and a debugger, which every kernel would import anew.
for unwanted in ("rfc3987_syntax", "uri_template", "hypothesis", "debugpy"):
    sys.modules[unwanted] = None  # pyright: ignore[reportArgumentType]

suite = Suite.find()
for module in [
    *JUPYTER,
    *LATE,
    *sorted(set().union(*(imported_modules(suite.path(stem)) for stem in suite.notebooks))),
]:
    # A notebook that imports what is not there says so itself, when it runs.
    with contextlib.suppress(ImportError):
        importlib.import_module(module)
# What is made at first use, and would be made again by every unit: pandera's backends, the fonts of charts and all else
# that the first of them needs, the words and numbers of a language, the rules of a notebook's file, and the hashes of
# the code that tables are rebuilt by.
contracts.check(contracts.blank("estimates"), "estimates")
style.register_fonts()
chart = style.figure_of(style.new_panels(1, height=80, left=20, right=20, top=20, bottom=20))
for place, (language, weight) in enumerate([("zh", "normal"), ("en", "bold")]):
    number = format_decimal(place, format="#,##0.0", locale=language)
    chart.text(place / 2, 0.5, Catalogue(language)("page.simulated") + number, family=style.FAMILY, weight=weight)
chart.savefig(io.BytesIO(), format="png")
svg.to_svg(chart, id_prefix="first", title="", description="")
nbformat = importlib.import_module(
    "nbformat"
)  # not above: it looks for the first of the packages that are not to be found
nbformat.validate(nbformat.v4.new_notebook())
reached_code(["analysis_lib.briefs", "analysis_lib.followed"])
# What is there now stays for good: the collector of a forked unit need not touch, and so copy, its pages.
gc.freeze()
