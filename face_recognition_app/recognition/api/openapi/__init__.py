"""The OpenAPI document: its errors and scopes, and the body limits that are read from it."""
