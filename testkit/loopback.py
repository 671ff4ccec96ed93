"""HTTP to services on this machine. There is no TLS: to load certificates takes 25 ms, for each request and client."""

from __future__ import annotations

from functools import partial

import httpx

get = partial(httpx.get, verify=False, trust_env=False)
post = partial(httpx.post, verify=False, trust_env=False)
delete = partial(httpx.delete, verify=False, trust_env=False)
client = partial(httpx.AsyncClient, verify=False, trust_env=False)
blocking_client = partial(httpx.Client, verify=False, trust_env=False)
