"""Flax Linen modules, pure functions of parameters and inputs."""
