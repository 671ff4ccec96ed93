"""Refusals before Django: by host, credentials, address of the status, and length of the body."""
