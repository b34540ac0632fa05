"""Measurements after training: at other noise levels, and of what to compare with."""
