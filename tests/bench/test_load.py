"""The load benches count and search correctly, and a small run of real clients gives figures."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, replace

import pytest
from websockets.asyncio.server import ServerConnection, serve

from bench import soak, stream
from bench.http.connections import HttpTally, KeepAlive
from bench.idle import __main__
from bench.load.client import ABNORMAL, BINARY, Address, HandshakeRefused, client_frame, connect
from bench.load.figures import Fairness, Latency, Step, confirm, fairness, latency, search_largest, step_of, steps_table
from bench.load.frames import WireClip, ping_pong
from bench.load.live import Manner, Tally
from bench.load.mixed import Mix
from bench.load.process import LoadFailed, LoadProcess, Tell
from bench.load.server_usage import MIB, Usage, cores_between, usage
from bench.load.sessions import Sandboxes
from bench.load.streams import Fleet, Outcome
from bench.load.tables import number, table
from testkit import clips
from testkit.service import LiveService

needs_data = pytest.mark.skipif(
    not clips.shared_data_available(), reason=f"no shared data in {clips.SHARED_DATA} (SHARED_DATA_DIR)"
)


def tally(latencies_ms: list[float], sent: int) -> Tally:
    return Tally(sent=sent, answered=len(latencies_ms), latencies_ms=latencies_ms, late_ms=[1.0] * sent)


BEFORE = Usage(at_s=10.0, cpu_s=5.0, rss_bytes=300 * MIB, pss_bytes=200 * MIB, threads=20, processes=3)
AFTER = Usage(at_s=14.0, cpu_s=11.0, rss_bytes=320 * MIB, pss_bytes=203 * MIB, threads=22, processes=3)


def step(outcome: Outcome | None = None) -> Step:
    steady = Outcome(4.0, 0.4, [tally([50.0, 60.0], 2), tally([70.0, 80.0], 2)])
    return step_of(outcome or steady, BEFORE, AFTER)


def test_percentiles() -> None:
    assert latency([float(value) for value in range(101)]) == Latency(50.0, 95.0, 99.0)
    assert latency([]) == Latency(None, None, None)


def test_fairness_is_over_the_mean() -> None:
    assert fairness([10, 20, 30]) == Fairness(0.5, 1.5)
    assert fairness([7, 7]) == Fairness(1.0, 1.0)
    assert fairness([0, 0]) == Fairness(None, None)


def test_a_step_is_the_sum_of_its_clients() -> None:
    served = replace(tally([50.0, 60.0, 70.0], 5), dropped=1, busy=1)
    starved = replace(tally([90.0], 3), decided=2, succeeded=1, errors=Counter(closed_1011=2))
    taken = step(Outcome(4.0, 0.4, [served, starved]))
    assert (taken.sessions, taken.sent_per_s, taken.answered_per_s) == (2, 2.0, 1.0)
    assert (taken.dropped, taken.busy, taken.errors) == (1, 1, {"closed_1011": 2})
    assert (taken.decided_per_s, taken.succeeded_per_s) == (0.5, 0.25)
    assert taken.fairness == Fairness(0.5, 1.5)
    assert taken.latency_ms.p50 == 65.0
    assert taken.client_cpu_cores == 0.1
    server = taken.server
    assert (server.cpu_cores, server.rss_mib, server.pss_mib, server.pss_growth_mib) == (1.5, 320.0, 203.0, 3.0)
    assert server.threads == 22


def test_a_step_holds_only_when_everything_was_sent_and_answered_in_time() -> None:
    fps = 0.5
    assert step().holds(fps)
    assert not step().holds(2 * fps)
    assert not replace(step(), fairness=Fairness(0.0, 2.0)).holds(fps)
    assert not replace(step(), latency_ms=Latency(100.0, 201.0, 300.0)).holds(fps)
    assert not replace(step(), dropped=1).holds(fps)
    assert not replace(step(), busy=1).holds(fps)
    assert not replace(step(), errors={"unanswered": 1}).holds(fps)
    assert not replace(step(), client_late_p95_ms=1_001.0).holds(fps)
    assert not step(Outcome(4.0, 0.4, [Tally()])).holds(fps)


def test_the_table_has_a_row_for_each_step() -> None:
    lines = steps_table([step(), step(Outcome(4.0, 0.4, [Tally()]))]).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[0].split()[0] == "sessions"
    assert "-..-" in lines[2]
    assert table(["a", "bb"], [["ccc", number(None)]]) == "  a  bb\nccc   -"


@dataclass
class Limit:
    """A service that sustains up to `largest` sessions, and the sizes that were tried."""

    largest: int
    tried: Counter[int]

    def holds(self, sessions: int) -> bool:
        self.tried[sessions] += 1
        return sessions <= self.largest


@pytest.mark.parametrize("guess", [1, 3, 8, 64])
@pytest.mark.parametrize("largest", [0, 1, 2, 7, 8, 9, 31, 64, 99, 100, 250])
def test_the_search_finds_the_largest_and_tries_none_twice(largest: int, guess: int) -> None:
    limit = Limit(largest, Counter())
    assert search_largest(limit.holds, guess, 100) == min(largest, 100)
    assert max(limit.tried.values()) == 1
    assert max(limit.tried) <= 100
    assert len(limit.tried) <= 14


def test_what_does_not_hold_for_long_is_lowered_until_it_does() -> None:
    assert confirm(Limit(90, Counter()).holds, 100) == 87
    assert confirm(Limit(20, Counter()).holds, 20) == 20
    assert confirm(Limit(0, Counter()).holds, 3) == 0


def test_a_clip_is_played_to_and_fro() -> None:
    assert [ping_pong(4, position) for position in range(8)] == [0, 1, 2, 3, 2, 1, 0, 1]
    assert ping_pong(1, 5) == 0


def test_usage_counts_descendants() -> None:
    before = usage(os.getpid())
    child = subprocess.Popen(["sleep", "60"])
    try:
        after = usage(os.getpid())
    finally:
        child.kill()
        child.wait()
    assert after.processes == before.processes + 1
    assert 0 < after.pss_bytes <= after.rss_bytes
    assert cores_between(before, after) >= 0


def test_idle_knows_what_the_system_allows() -> None:
    assert __main__.too_many(10_000, 2, 20_000) is None
    assert "open files" in str(__main__.too_many(10_000, 2, 1_024))
    assert __main__.too_many(10_000, 1, 12_000) is not None
    assert __main__.environment(40_000, 2) == {"FACE_MAX_CONNECTIONS": "24000"}
    assert __main__.environment(10_000, 2) == {}


def test_the_mix_has_something_of_each_kind() -> None:
    assert Mix.of(12) == Mix(sandbox=6, identification=4, enrollment=2)
    assert Mix.of(1) == Mix(1, 1, 1)


def test_a_pool_is_whole_when_nothing_is_lent_and_nothing_lost() -> None:
    full = soak.Pool(in_use=0, waiting=0, pool_size=16, max_size=16, timeouts_total=0)
    assert soak.is_whole(full, [replace(full, in_use=3)])
    assert soak.is_whole(replace(full, pool_size=9), [replace(full, pool_size=9)])
    assert not soak.is_whole(replace(full, pool_size=15), [full])
    assert not soak.is_whole(replace(full, in_use=1), [full])
    assert not soak.is_whole(replace(full, waiting=1), [])
    assert soak.growth_percent([200.0, 230.0, 210.0]) == 5.0


Handler = Callable[[ServerConnection], Awaitable[None]]


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[Address]:
    async with serve(handler, "127.0.0.1", 0, compression=None) as server:
        yield Address("127.0.0.1", server.sockets[0].getsockname()[1])


async def until(condition: Callable[[], bool]) -> None:
    """Fails after 5 s."""
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come true")


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536, 200_000])
async def test_messages_of_all_sizes_go_and_come(size: int) -> None:
    async def echo(connection: ServerConnection) -> None:
        async for message in connection:
            assert isinstance(message, bytes)
            await connection.send(message.decode())

    received: asyncio.Queue[bytes] = asyncio.Queue()
    async with serving(echo) as address:
        socket = await connect(address, "/", received.put_nowait)
        for _ in range(2):
            socket.write(client_frame(BINARY, b"x" * size))
            assert await received.get() == b"x" * size
        assert await socket.close() == 1000


async def test_a_socket_answers_pings_and_notes_how_it_ends() -> None:
    async def ping_and_leave(connection: ServerConnection) -> None:
        await (await connection.ping())
        await connection.close(4400)

    async def vanish(connection: ServerConnection) -> None:
        connection.transport.abort()

    for handler, code in ((ping_and_leave, 4400), (vanish, ABNORMAL)):
        async with serving(handler) as address:
            socket = await connect(address, "/", lambda _: None)
            assert await socket.closed == code


async def test_a_refused_handshake_says_so() -> None:
    async with serve(no_talk, "127.0.0.1", 0, process_request=lambda c, _: c.respond(403, "no")) as server:
        address = Address("127.0.0.1", server.sockets[0].getsockname()[1])
        with pytest.raises(HandshakeRefused) as refused:
            await connect(address, "/", lambda _: None)
    assert refused.value.status == 403
    with pytest.raises(OSError, match="Connect call failed"):
        await connect(address, "/", lambda _: None)


async def no_talk(connection: ServerConnection) -> None:
    await connection.wait_closed()


def answer(seq: int, dropped: int) -> str:
    return json.dumps({"type": "frame_processed", "seq": seq, "dropped": dropped, "pacing": {"target_fps": 10}})


ANSWERS = {
    1: answer(1, 0),
    3: answer(3, 1),  # the second was replaced
    5: answer(5, 1),  # the fourth is lost
    6: json.dumps({"type": "error", "code": "busy", "message": "", "retryable": True, "seq": 6}),
    7: json.dumps({"type": "error", "code": "invalid_image", "message": "", "retryable": False, "seq": 7}),
    9: json.dumps({"type": "error", "code": "busy", "message": "", "retryable": True, "seq": 9}),  # 8: unreported
}


async def scripted(connection: ServerConnection) -> None:
    """Greets, and decides after the tenth frame."""
    await connection.send(json.dumps({"type": "connection_established", "pacing": {"target_fps": 10}}))
    seq = 0
    async for _ in connection:
        seq += 1
        if seq in ANSWERS:
            await connection.send(ANSWERS[seq])
        elif seq == 10:
            await connection.send(json.dumps({"type": "authentication_complete", "success": True}))


class OneSandbox(Sandboxes):
    """A source of one sandbox; asking for another one blocks."""

    def __init__(self) -> None:
        self._paths = ["/"]

    async def open(self, slot: int, person: str) -> str:
        if not self._paths:
            await asyncio.Event().wait()
        return self._paths.pop()


async def test_a_client_knows_what_became_of_each_frame() -> None:
    clip = WireClip("somebody", [client_frame(BINARY, b"jpeg")])
    async with (
        serving(scripted) as address,
        Fleet(address, OneSandbox(), [clip], 1, Manner(100.0, obey_pacing=False), seed=0) as fleet,
    ):
        await until(lambda: fleet.clients[0].tally.decided == 1)
        (counted,) = fleet.swap_tallies()
    # The tenth frame decides. Frames sent before the client has read the decision are not answered.
    assert counted.sent >= 10
    assert (counted.answered, counted.dropped, counted.busy) == (3, 2, 2)
    assert counted.errors == {"unanswered": 1, "invalid_image": 1}
    assert (counted.decided, counted.succeeded, counted.failures) == (1, 1, {})
    assert len(counted.latencies_ms) == 3


async def test_a_probe_asks_again_and_counts_what_is_not_200() -> None:
    statuses = iter(["200 OK", "503 Service Unavailable", "200 OK"])

    async def answer_three(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for status in statuses:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 4\r\n\r\n".encode())
            await writer.drain()
            writer.write(b"body")
        writer.close()

    counted = HttpTally()
    async with await asyncio.start_server(answer_three, "127.0.0.1", 0) as server:
        probe = KeepAlive(Address("127.0.0.1", server.sockets[0].getsockname()[1]), "/", counted)
        await probe.connect()
        await until(lambda: counted.errors["connection_lost"] == 1)
    assert len(counted.latencies_ms) == 2
    assert counted.errors == {"status_503": 1, "connection_lost": 1}


@dataclass(frozen=True)
class EchoJob:
    word: str

    async def run(self, tell: Tell) -> str:
        tell(self.word)
        if self.word == "fail":
            raise ValueError("as it was told")
        return self.word.upper()


def test_a_load_process_tells_returns_and_fails() -> None:
    notes: list[object] = []
    with LoadProcess() as load:
        assert load.run(EchoJob("one"), notes.append) == "ONE"
        with pytest.raises(LoadFailed, match="as it was told"):
            load.run(EchoJob("fail"), notes.append)
        assert load.run(EchoJob("two"), notes.append) == "TWO"
    assert notes == ["one", "fail", "two"]


@needs_data
def test_a_small_run_gives_figures(
    live_service: LiveService, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some frames are answered; whether all are depends on the machine's load."""
    monkeypatch.setattr(stream, "temporary_service", lambda *_, **__: nullcontext(live_service))
    code = stream.main(["--sessions", "2", "--seconds", "2", "--fps", "5", "--overload", "2", "--json"])
    report = json.loads(capsys.readouterr().out)
    steady = report["steady"]
    assert code == 0, steady["errors"]
    assert steady["sessions"] == report["sessions"] == 2
    assert [step["sessions"] for step in report["overload"]] == [4]
    assert steady["sent_per_s"] >= steady["answered_per_s"] > 0
    assert 0 < steady["latency_ms"]["p50"] <= steady["latency_ms"]["p95"]
    assert steady["fairness"]["least"] > 0
    assert steady["server"]["cpu_cores"] > 0
    assert steady["server"]["pss_mib"] > 100
