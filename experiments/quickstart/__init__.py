"""What the first command makes, kept."""
