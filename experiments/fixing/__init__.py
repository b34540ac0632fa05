"""What it costs to mend a trained decoder."""
