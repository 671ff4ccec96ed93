"""Endpoints for a tenant's webhooks and what was delivered to them. They need the scope admin."""

from __future__ import annotations

from ninja import Router

from recognition.api.webhooks import deliveries, endpoints

router = Router(tags=["webhooks"])
router.add_router("", endpoints.router)
router.add_router("", deliveries.router)
