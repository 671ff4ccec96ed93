"""Deletion of data: what is deleted, when, and on whose request."""
