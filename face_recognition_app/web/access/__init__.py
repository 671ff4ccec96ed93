"""Who may ask, where, and with how long a body: refused before Django sees the request."""
