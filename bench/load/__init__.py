"""Shared by the load benches: clients, their process, their counts, and the server's resource usage."""
