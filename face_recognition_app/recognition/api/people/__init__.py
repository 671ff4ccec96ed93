"""Endpoints for people: subjects and their templates, locks, and what was wrong about them."""
