"""Templates in PostgreSQL, turned and searched there by its extension pgvector."""
