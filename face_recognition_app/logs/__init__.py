"""Log lines: where they go, what is in each, and what is left out."""
