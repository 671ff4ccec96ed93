"""Evidence that a face lives, or does not, each a state machine over readings."""
