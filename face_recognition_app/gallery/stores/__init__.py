"""Stores: the search among templates."""
