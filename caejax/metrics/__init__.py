"""Image quality and checkerboard metrics, pure functions of arrays."""
