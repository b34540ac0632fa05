"""Studies made with caejax, a package each; they run from the repository's root."""
