"""One module per export format; the only home of vendor names."""
