"""What the modes of `caejax.main` do."""
