"""What trained models are used for: the commands of `caejax.apply`."""
