"""Benchmarks: each is a command, `python -m bench.NAME`, that prints a table. None is run as a timed test."""

import testkit as testkit  # Its import makes the deployed packages (`core`) importable.
