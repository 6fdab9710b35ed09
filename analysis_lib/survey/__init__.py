"""Design-based estimates: weights, linearised variances, domains."""
