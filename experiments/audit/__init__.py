"""Whether published architectures can checkerboard, and what they draw untrained."""
