"""Model files: pinned, fetched, verified."""
