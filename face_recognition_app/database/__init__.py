"""Databases that stand still, move or fill up: backends, calls with an end, outages."""
