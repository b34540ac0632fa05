"""Training: state, optimisers, compiled steps, checkpoints and the loop."""
