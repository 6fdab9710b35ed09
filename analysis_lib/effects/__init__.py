"""What reforms did: panels of regions, estimators, checks and the words that they allow. Nothing here draws or reads files."""
