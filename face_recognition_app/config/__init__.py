"""The service's settings, where they come from, and what the machine allows."""
