"""Measurements of finished runs: at other levels, and of what to compare with."""
