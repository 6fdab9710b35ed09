"""Raw exports of survey platforms → tidy tables and a list of problems."""
