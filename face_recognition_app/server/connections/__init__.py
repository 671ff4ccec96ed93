"""Connections of a worker: how it gets its share of them, what each may cost, and which sockets are open."""
