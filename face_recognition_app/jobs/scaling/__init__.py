"""How many slots a group of workers should have, and giving them to it."""
