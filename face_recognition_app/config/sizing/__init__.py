"""Sizing: how many workers, instances, bytes and connections suit a machine."""
