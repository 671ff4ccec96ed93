"""Webhooks: telling tenants' backends what happened, at least once, signed, and in order for each subject."""
