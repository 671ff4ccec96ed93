"""Django's CommonMiddleware without a change of threads: it computes for a microsecond and waits for nothing."""

from __future__ import annotations

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.common import CommonMiddleware


class CommonOnTheLoop(CommonMiddleware):
    """Django runs the hooks of its own middleware on another thread, each hook of each request anew."""

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.process_request(request) or await self.get_response(request)  # type: ignore[misc]  # always async
        return self.process_response(request, response)
