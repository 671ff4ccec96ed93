"""Log lines: what each one carries, and what none may."""
