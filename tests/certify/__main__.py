"""Run the long simulations and write what they found to ``docs/certificate.md``, a section for each topic.

``make certify`` runs every topic; ``python tests/certify drivers`` one of them, leaving the other sections as
they stand.
"""

from __future__ import annotations

import argparse
import datetime as dt
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd

TESTS = Path(__file__).resolve().parent.parent
CERTIFICATE = TESTS.parent / "docs" / "certificate.md"
HEAD = """# Certificate

What every published kind of estimate does in simulation, where the truth is known. Written by `make certify`; each
section names its seed, its date and the version of the code. Coverage is that of nominal 95 % intervals.
"""
sys.path.insert(0, str(TESTS))


def _topics() -> dict[str, Callable[[], pd.DataFrame]]:
    from certify import (
        bottom_up,
        displacement,
        dose_response,
        drivers,
        effects,
        forecasts,
        list_experiment,
        looks,
        power,
        quality,
        rebound,
        scenarios,
        single_series,
        small_areas,
        ten_years,
        two_instruments,
        verdicts,
        weights,
    )

    return {
        "bottom-up": bottom_up.certify,
        "displacement": displacement.certify,
        "dose-response": dose_response.certify,
        "drivers": drivers.certify,
        "effects": effects.certify,
        "forecasts": forecasts.certify,
        "list-experiment": list_experiment.certify,
        "looks": looks.certify,
        "power": power.certify,
        "rebound": rebound.certify,
        "returns": quality.certify,
        "scenarios": scenarios.certify,
        "single-series": single_series.certify,
        "small-areas": small_areas.certify,
        "ten-years": ten_years.certify,
        "two-instruments": two_instruments.certify,
        "verdicts": verdicts.certify,
        "weights": weights.certify,
    }


def main() -> None:
    """Run the topics named, all when none is."""
    topics = _topics()
    parser = argparse.ArgumentParser(description="Simulations with known truth, written to docs/certificate.md.")
    parser.add_argument(
        "topics", nargs="*", metavar="TOPIC", help=f"one of {', '.join(topics)}; all when none is named"
    )
    asked = parser.parse_args().topics or list(topics)
    unknown = [name for name in asked if name not in topics]
    if unknown:
        parser.error(f"unknown topic {unknown[0]!r}; one of {', '.join(topics)}")
    for name in asked:
        start = time.monotonic()
        print(f"{name}: running", file=sys.stderr, flush=True)
        table = topics[name]()
        write_section(name, (sys.modules[topics[name].__module__].__doc__ or "").strip(), table)
        print(f"{name}: {len(table)} rows in {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)


def write_section(name: str, what: str, table: pd.DataFrame) -> None:
    """Put a topic's section in place of its last one, sections in order of name."""
    from analysis_lib import __version__

    text = CERTIFICATE.read_text(encoding="utf-8") if CERTIFICATE.is_file() else HEAD
    parts = re.split(r"^## ", text, flags=re.MULTILINE)
    sections = {part.split("\n", 1)[0]: part.split("\n", 1)[1].strip() for part in parts[1:]}
    stamp = f"Run on {dt.date.today().isoformat()} with version {__version__}."
    sections[name] = f"{what}\n\n{stamp}\n\n{as_markdown(table)}"
    body = "\n\n".join(f"## {key}\n\n{sections[key]}" for key in sorted(sections))
    CERTIFICATE.write_text(f"{HEAD}\n{body}\n", encoding="utf-8")


def as_markdown(table: pd.DataFrame) -> str:
    """A frame as a Markdown table, numbers to four significant digits."""
    cells = [[_cell(value) for value in row] for row in table.itertuples(index=False)]
    lines = [list(map(str, table.columns)), ["---"] * len(table.columns), *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "" if pd.isna(value) else f"{value:.4g}"
    return str(value)


if __name__ == "__main__":
    main()
