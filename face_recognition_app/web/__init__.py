"""What stands between the server and Django's views: limits, refusals, headers, probes."""
