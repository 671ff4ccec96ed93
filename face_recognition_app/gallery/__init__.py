"""The people a tenant knows, their templates, and the search among them."""
