"""Starts, watches and ends the service's processes on a machine without systemd; `service.sh` is its door."""
