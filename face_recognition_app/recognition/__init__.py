"""Sessions: the socket, the REST API, the decisions."""
