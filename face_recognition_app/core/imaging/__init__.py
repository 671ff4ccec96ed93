"""Encoded pictures to pixels, and the crops that networks take."""
