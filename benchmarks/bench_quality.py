"""Near-duplicates among 100,000 respondents: seconds for every pair, for the simulated null, and for shuffled units."""

from __future__ import annotations

import resource
import sys
import time

import numpy as np

from analysis_lib.quality.answers import Answers, as_codes
from analysis_lib.quality.careless import careless_p
from analysis_lib.quality.duplicates import colleague_p, stranger_p
from analysis_lib.quality.matching import best_matches

ITEMS, UNIT_SIZE, FALSE_ALARM = 34, 8, 0.001


def made_up(n: int) -> Answers:
    """Answers on five to a hundred steps with a common factor, in units of eight and three groups."""
    rng = np.random.default_rng(1)
    steps = np.repeat([5, 5, 12, 30, 100], [8, 7, 7, 6, 6])
    common = rng.standard_normal((n, 1))
    score = 0.4 * common + rng.standard_normal((n, ITEMS))
    values = np.floor((1 / (1 + np.exp(-1.5 * score))) * steps)
    values[rng.random(values.shape) < 0.01] = np.nan
    blocks = {"scale 0 to 4": list(range(8)), "scale 1 to 5": list(range(8, 15)), "hours": list(range(15, 34))}
    items = [f"q{item}" for item in range(ITEMS)]
    return Answers(values, items, blocks, rng.integers(0, 3, n), np.arange(n) // UNIT_SIZE)


def main() -> None:
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    answers = made_up(n)
    steps = {
        "every pair": lambda: best_matches(as_codes(answers.values), answers.unit),
        "strangers, with null": lambda: stranger_p(answers, false_alarm=FALSE_ALARM, rng=np.random.default_rng(2)),
        "colleagues, with null": lambda: colleague_p(answers, rng=np.random.default_rng(3)),
        "careless, with null": lambda: careless_p(answers, false_alarm=FALSE_ALARM, rng=np.random.default_rng(4)),
    }
    for name, step in steps.items():
        start = time.perf_counter()
        step()
        print(f"{name:24s} {n:>9,d} respondents {time.perf_counter() - start:8.1f} s")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GB")


if __name__ == "__main__":
    main()
