"""Signed tokens: decisions and access."""
