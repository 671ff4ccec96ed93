"""Monitoring of running workers: pools, metrics, readiness, stuck work."""
