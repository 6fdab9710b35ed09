"""Tables at rest and their contracts."""
