"""Charts: prepare (frame → frame) and draw (frame → axes)."""
