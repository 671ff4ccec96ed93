"""What is computed of one face in one frame."""
