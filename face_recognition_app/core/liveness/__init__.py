"""Liveness as state machines over observations: no pixels, no clock, no I/O."""
