"""A session in the database, from creation to its one decision."""
