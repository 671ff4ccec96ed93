"""What is deleted, when, and on whose request."""
