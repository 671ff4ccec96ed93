"""Endpoints for a tenant's webhooks and what was delivered to them. They need the scope admin."""
