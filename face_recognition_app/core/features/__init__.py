"""Features computed from one face in one frame."""
