"""The API's own document: what it says of errors, and what is read from it."""
