"""Files that are never seen half-written, and locks on them."""
