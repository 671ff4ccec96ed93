"""What the load benches share: clients, their process, what they count, and what the server uses."""
