"""What sessions came to: numbers of each day, and of presentation attacks."""
