"""Processes of the service: their number, what they take of the machine, and how they wait for each other."""
