"""Debian's Firefox for Playwright: runs it, and passes its WebDriver BiDi on.

Playwright's channel moz-firefox drives any Firefox by WebDriver BiDi, yet begins with a command that Firefox ESR does
not know. This answers it in place of Firefox. Once Firefox knows it, this module can go.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve

UNKNOWN_TO_FIREFOX = frozenset({"emulation.setMediaFeaturesOverride"})
LISTENING = "WebDriver BiDi listening on "
"""Firefox says so with its address, and Playwright waits for that line."""


def answer_in_place(message: str | bytes) -> str | None:
    """The answer to a command that Firefox does not know; None for one that is Firefox's to answer."""
    command = json.loads(message)
    if command["method"] not in UNKNOWN_TO_FIREFOX:
        return None
    return json.dumps({"type": "success", "id": command["id"], "result": {}})


async def run(firefox: str, arguments: list[str]) -> int:
    """Run Firefox to its end, with its line about BiDi naming the relay's address; returns its exit status."""
    process = await asyncio.create_subprocess_exec(firefox, *arguments, stderr=asyncio.subprocess.PIPE)
    assert process.stderr is not None
    address = await _address(process.stderr)
    if address is None:
        return await process.wait()

    async def relay(playwright: ServerConnection) -> None:
        async with connect(f"{address}/session", max_size=None, compression=None, proxy=None) as session:
            await _relay(playwright, session)

    async with serve(relay, "127.0.0.1", 0, max_size=None, compression=None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        _say(f"{LISTENING}ws://127.0.0.1:{port}\n")
        while line := await process.stderr.readline():
            _say(line.decode(errors="replace"))
    return await process.wait()


async def _address(output: asyncio.StreamReader) -> str | None:
    while line := (await output.readline()).decode(errors="replace"):
        if found := re.search(f"{LISTENING}(ws://\\S+)", line):
            return found[1]
        _say(line)
    return None


async def _relay(playwright: ServerConnection, firefox: ClientConnection) -> None:
    async def pass_answers() -> None:
        async for message in firefox:
            await playwright.send(message)
        await playwright.close()

    passing = asyncio.create_task(pass_answers())
    async for command in playwright:
        answer = answer_in_place(command)
        if answer is None:
            await firefox.send(command)
        else:
            await playwright.send(answer)
    await firefox.close()
    await passing


def _say(line: str) -> None:
    sys.stderr.write(line)
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(asyncio.run(run(os.environ["FIREFOX"], sys.argv[1:])))
