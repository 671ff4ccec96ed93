"""The loads of the suite: the originals' lines with our address, and what their authors claim of each."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol
from urllib.parse import urlsplit

from bench.load.live import Manner
from bench.load.process import LoadProcess
from bench.load.server_usage import cores_between, usage
from bench.load.streams import Outcome, StreamJob
from bench.load.suite.backends import locust
from bench.load.suite.sample import Sample, nothing, sample_of
from bench.load.suite.terminals import run_terminals
from bench.load.suite.tools import ToolFailed, read_ab, read_hey, run_tool
from config.sizing.guides import CLAIMS
from testkit.delay import delayed
from testkit.service import LiveService

DISTANCE_S = 0.48
"""What the tunnel of the original guide adds to each round trip: 498 ms in place of 17."""
_KEY = '-H "Authorization: Bearer $KEY"'
_DURATION = re.compile(r"-z (\d+)s")
_READERS: dict[str, Callable[[str], Sample]] = {"ab": read_ab, "hey": read_hey}
_BY_WORKERS = {
    one.workers: f"{one.requests_per_s[0]}-{one.requests_per_s[1]}/s, CPU {one.cpu_percent[0]}-{one.cpu_percent[1]} %"
    for one in CLAIMS
}


@dataclass(frozen=True, slots=True)
class Site:
    """A running service, and how its clients behave. `seconds`: in place of those of each line; None: theirs."""

    service: LiveService
    streaming: LoadProcess
    seconds: float | None
    sockets: int
    fps: float

    def seconds_for(self, theirs: float) -> float:
        return theirs if self.seconds is None else self.seconds


@dataclass(frozen=True, slots=True)
class Seen:
    """A load that was carried out. `cpu_cores`: busy ones, of the service."""

    load: str
    sample: Sample
    cpu_cores: float


def watched(site: Site, load: str, act: Callable[[], Sample]) -> list[Seen]:
    before = usage(site.service.pid)
    try:
        sample = act()
    except ToolFailed as error:
        sample = nothing(str(error))
    return [Seen(load, sample, cores_between(before, usage(site.service.pid)))]


class Load(Protocol):
    @property
    def row(self) -> str:
        """The row of the original documents."""
        ...

    @property
    def claimed(self) -> Mapping[int, str]:
        """What their authors claim, by the number of workers; 0: of any number."""
        ...

    def run(self, site: Site) -> list[Seen]: ...


@dataclass(frozen=True, slots=True)
class Line:
    """A line of ab or hey; `$URL` is the service's address and `$KEY` an API key. `distance_s`: of the way there."""

    row: str
    text: str
    claimed: Mapping[int, str] = field(default_factory=dict)
    distance_s: float = 0.0

    def run(self, site: Site) -> list[Seen]:
        base_url = site.service.base_url
        if not self.distance_s:
            return watched(site, self.shown(site), lambda: self._run(site, base_url))
        with delayed(urlsplit(base_url).port or 80, self.distance_s) as port:
            return watched(site, self.shown(site), lambda: self._run(site, f"http://127.0.0.1:{port}"))

    def shown(self, site: Site) -> str:
        far = f", {1000 * self.distance_s:.0f} ms away" if self.distance_s else ""
        return self._within(site).replace("$URL", "").replace(f" {_KEY}", "") + far

    def _run(self, site: Site, base_url: str) -> Sample:
        text = self._within(site)
        seconds = _DURATION.search(text)
        words = [word.replace("$URL", base_url).replace("$KEY", site.service.api_key) for word in shlex.split(text)]
        return _READERS[words[0]](run_tool(words, float(seconds[1]) if seconds else 0.0).stdout)

    def _within(self, site: Site) -> str:
        return _DURATION.sub(lambda found: f"-z {site.seconds_for(float(found[1])):.0f}s", self.text)


@dataclass(frozen=True, slots=True)
class BesideSockets:
    """A line that runs while sockets stream real frames, as cameras do that obey the service's pacing."""

    line: Line
    seconds: float = 10.0
    warm_up_s: float = 2.0
    claimed: Mapping[int, str] = field(default_factory=dict)

    @property
    def row(self) -> str:
        return f"{self.line.row}, M17"

    def run(self, site: Site) -> list[Seen]:
        job = self._job(site)
        site.streaming.start(job)
        site.streaming.wait_for_note()
        moments = [usage(site.service.pid)]
        (beside,) = self.line.run(site)
        outcome = site.streaming.result(job, lambda _: moments.append(usage(site.service.pid)))
        sockets = f"{site.sockets} sockets, {site.fps:g} frames/s each"
        return [
            replace(beside, load=f"{beside.load}, beside sockets"),
            Seen(sockets, frames_of(outcome), cores_between(*moments)),
        ]

    def _job(self, site: Site) -> StreamJob:
        return StreamJob(
            base_url=site.service.base_url,
            api_key=site.service.api_key,
            kind="sandbox",
            liveness="passive",
            people=frozenset(),
            sessions=site.sockets,
            manner=Manner(site.fps, obey_pacing=True),
            warm_up_s=self.warm_up_s,
            seconds=site.seconds_for(self.seconds),
        )


def frames_of(outcome: Outcome) -> Sample:
    """Frames as requests, without those that newer ones replaced; a socket without any answer is a failure."""
    tallies = outcome.tallies
    failures = {
        "busy": sum(tally.busy for tally in tallies),
        "error": sum(tally.errors.total() for tally in tallies),
        "socket without an answer": sum(not tally.answered for tally in tallies),
    }
    return sample_of([value for tally in tallies for value in tally.latencies_ms], failures, outcome.seconds)


@dataclass(frozen=True, slots=True)
class Terminals:
    """Clients of the terminal, as many as there are sockets."""

    row: str = "M17"
    claimed: Mapping[int, str] = field(default_factory=dict)

    def run(self, site: Site) -> list[Seen]:
        name = f"{site.sockets} clients of the terminal"
        return watched(site, name, lambda: run_terminals(site.service.base_url, site.sockets))


@dataclass(frozen=True, slots=True)
class Backends:
    """Users of the locustfile."""

    users: int
    claimed: Mapping[int, str]
    seconds: float = 20.0
    row: str = "C10"

    def run(self, site: Site) -> list[Seen]:
        service, seconds = site.service, site.seconds_for(self.seconds)
        name = f"locust, {self.users} users"
        return watched(site, name, lambda: locust(service.base_url, service.api_key, self.users, seconds))


_PEOPLE = f'{_KEY} "$URL/api/v1/subjects/?limit=10"'
LOADS: tuple[Load, ...] = (
    BesideSockets(Line("M16", "ab -n 1000 -c 100 $URL/api/health/"), claimed={0: "0 failed"}),
    Terminals(),
    Line("M16", "ab -n 1000 -c 100 $URL/api/health/", {0: "0 failed"}),
    Line("B10", f"ab -n 1000 -c 100 {_PEOPLE}", {0: "500-1000/s, 10-20 ms, 1-2 cached"}),
    Line("C8", "hey -z 30s -c 1000 -q 10 $URL/api/health/", _BY_WORKERS),
    Line("C8", "hey -z 60s -c 500 $URL/api/health/", _BY_WORKERS),
    Line(
        "C8",
        f"hey -z 30s -c 500 -q 5 -m POST {_KEY} -T application/json"
        """ -d '{"kind": "identification", "liveness": "none"}' $URL/api/v1/sessions/""",
    ),
    Backends(500, {1: "150/s, 3,300 ms, 60 %", 4: "600/s, 800 ms, 99.5 %"}),
    Backends(1000, {1: "10 %", 4: "1,600 ms, 95 %"}),
    Line("C13", f"hey -z 10s -c 10 {_PEOPLE}", {0: "17 ms"}),
    Line("C13", f"hey -z 10s -c 10 {_PEOPLE}", {0: "498 ms"}, distance_s=DISTANCE_S),
    Line("C13", f"hey -z 10s -c 500 {_PEOPLE}", distance_s=DISTANCE_S),
)
