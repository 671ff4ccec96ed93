"""The words of the public contract: closed sets of names that every layer may import."""
