"""Closed sets of names of the public contract, which every layer may import."""
