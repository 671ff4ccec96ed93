"""Browsers for tests of the page: their start, their cameras, and the link between them and the service."""
