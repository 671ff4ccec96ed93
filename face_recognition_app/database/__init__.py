"""Database access that ends in time: backends, calls from the event loop, outages. Also the processes' common clock."""
