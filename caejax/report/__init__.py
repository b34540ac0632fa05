"""Figures, tables and pages, from the files that runs wrote and nothing else."""
