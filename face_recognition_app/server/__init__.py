"""The Gunicorn worker: its protocols, its share of the sockets, and how it ends."""
