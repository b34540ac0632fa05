"""What chance gives `caejax measure` on photographs, and what it finds of patterns."""
