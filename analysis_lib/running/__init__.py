"""Units of work: what to run, how, and how each ended."""
