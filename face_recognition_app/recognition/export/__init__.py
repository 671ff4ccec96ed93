"""The document with everything that is held about a person, and what it is collected from."""
