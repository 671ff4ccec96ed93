"""The path of a frame from the socket to its answer."""
