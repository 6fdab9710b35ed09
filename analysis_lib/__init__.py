"""Jianfu: hours lost to meetings and documents, assessed quarter after quarter.

raw drops → ingest → time_use → survey → effects → monitoring → disclosure → figures → publishing
"""

__version__ = "0.1.0"
