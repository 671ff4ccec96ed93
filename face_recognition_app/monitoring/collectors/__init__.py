"""What is asked for at a scrape, and not counted before."""
