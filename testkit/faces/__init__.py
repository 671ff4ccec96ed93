"""Portraits that move on command."""
