"""What to compare autoencoders with: other estimators on the same noisy images."""
