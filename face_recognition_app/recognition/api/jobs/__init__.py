"""Endpoints of background jobs, and of their reports."""
