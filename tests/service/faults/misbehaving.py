"""The service's application, told by requests to misbehave: it holds up the event loop, or a compute thread."""

from __future__ import annotations

import os
import time
from typing import Any

from core.face_recognition_engine import FaceRecognitionEngine
from face_app.asgi import application as service

SLOW = b"this picture takes long"
"""Behind the end of a JPEG."""

_analyse = FaceRecognitionEngine.analyse


def _slowly(self: FaceRecognitionEngine, data: bytes, *arguments: Any, **options: Any) -> Any:
    if data.endswith(SLOW):
        time.sleep(float(os.environ["SLOW_FRAME_S"]))
    return _analyse(self, data, *arguments, **options)


FaceRecognitionEngine.analyse = _slowly  # type: ignore[method-assign]


async def application(scope: Any, receive: Any, send: Any) -> None:
    if scope.get("path") == "/block-the-loop":
        hold_up_the_loop()
    await service(scope, receive, send)


def hold_up_the_loop() -> None:
    time.sleep(3_600)
