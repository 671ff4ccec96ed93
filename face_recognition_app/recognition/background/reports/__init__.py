"""Reports of jobs: the files that they are in, and who reads them."""
