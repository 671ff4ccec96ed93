"""What is known of running workers: pools, metrics, readiness, stuck work."""
