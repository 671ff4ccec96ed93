"""Where an event may be sent, and how it is."""
