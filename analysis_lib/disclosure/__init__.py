"""The only way out of the building: tables protected against disclosure."""
