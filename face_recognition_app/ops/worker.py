"""The Gunicorn worker."""

from __future__ import annotations

from typing import Any

from uvicorn_worker import UvicornWorker

from ops.settings import load

BASE64_OVERHEAD = 4 / 3
ENVELOPE_BYTES = 64 * 1024


class FaceWorker(UvicornWorker):  # type: ignore[misc]  # the package is not typed
    """Uvicorn with a message limit that fits a base64 frame, and no compression: JPEG does not shrink."""

    CONFIG_KWARGS: dict[str, Any] = {
        "loop": "auto",
        "http": "auto",
        "lifespan": "on",
        "ws_per_message_deflate": False,
        "ws_max_size": int(load().max_image_bytes * BASE64_OVERHEAD) + ENVELOPE_BYTES,
    }
