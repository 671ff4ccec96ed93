"""A frame's way from the socket to its answer."""
