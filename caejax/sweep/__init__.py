"""Sweeps: a grid of runs from one config, their execution and their results."""
