"""What the service would run with, and where each value came from, for people."""
