"""Random numbers by name, so that no draw depends on how many came before it."""

from __future__ import annotations

import zlib

import numpy as np


def stream(seed: int, *names: object) -> np.random.Generator:
    """Return the generator of a purpose: the same seed and names always give the same numbers.

    >>> bool(stream(1, "weeks", "2024Q1").random() == stream(1, "weeks", "2024Q1").random())
    True
    """
    return np.random.default_rng([seed, *(zlib.crc32(str(name).encode()) for name in names)])


def centred_lognormal(rng: np.random.Generator, sigma: float, size: int | tuple[int, ...]) -> np.ndarray:
    """Factors above zero whose mean is one."""
    return np.exp(rng.normal(-(sigma**2) / 2, sigma, size))
