"""Carries out a Dockerfile without a container engine, in a chroot, and runs what it made as a container would run."""
