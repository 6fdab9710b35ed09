"""Diary episodes → minutes per day → hours per official and week."""
