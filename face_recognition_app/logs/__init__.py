"""Log lines: the request's id in each, bounded length, no session tokens."""
