"""Scheduling of frames: which is computed next, on which thread, and how many a worker can take."""
