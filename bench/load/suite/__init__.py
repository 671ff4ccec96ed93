"""The load test suite: the originals' commands, Locust and sockets against services of 1, 2 and 4 workers."""
