"""What was run, published and claimed, and how it changed."""
