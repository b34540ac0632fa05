"""Array functions; they know nothing of models."""
