"""Socket clients that a person uses in a terminal, many side by side: wscat, else the one of websockets."""

from __future__ import annotations

import asyncio
import shutil
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import Counter
from contextlib import suppress
from urllib.parse import urlsplit

from bench.load.sessions import sandbox_path
from bench.load.suite.sample import Sample, sample_of

PATIENCE_S = 60.0
"""Limit for all of them together; to begin, each needs a runtime of its own."""
_PING = b'{"type":"ping"}\n'


def terminal_command(url: str) -> list[str]:
    """The client's command. wscat is no dependency: Debian has no package of it, and npm's is not in our locks."""
    wscat = shutil.which("wscat")
    return [wscat, "-c", url] if wscat else [sys.executable, "-m", "websockets", url]


def run_terminals(base_url: str, count: int) -> Sample:
    """Connect `count` clients to sandboxes; each is greeted, sends a ping, is answered and leaves.

    The latency is from the ping to the client's printing the pong, and has the client's own slowness in it.
    """
    return asyncio.run(_run(f"ws://{urlsplit(base_url).netloc}", count))


async def _run(origin: str, count: int) -> Sample:
    latencies_ms: list[float] = []
    failures: Counter[str] = Counter()

    async def use(number: int) -> None:
        process = await asyncio.create_subprocess_exec(
            *terminal_command(origin + sandbox_path(number)), stdin=PIPE, stdout=PIPE, stderr=DEVNULL
        )
        try:
            async with asyncio.timeout(PATIENCE_S):
                latencies_ms.append(await _ping(process))
        except (TimeoutError, OSError, EOFError) as error:
            failures[type(error).__name__] += 1
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    await asyncio.gather(*map(use, range(count)))
    return sample_of(latencies_ms, failures, None)


async def _ping(process: Process) -> float:
    """Milliseconds from the ping to the printed pong. Raises EOFError when the client ends before."""
    assert process.stdin is not None
    assert process.stdout is not None
    await _read_until(process.stdout, b"connection_established")
    asked_s = time.monotonic()
    process.stdin.write(_PING)
    await process.stdin.drain()
    await _read_until(process.stdout, b"pong")
    return 1000 * (time.monotonic() - asked_s)


async def _read_until(output: asyncio.StreamReader, word: bytes) -> None:
    """Raises EOFError, asyncio.IncompleteReadError among them."""
    await output.readuntil(word)
