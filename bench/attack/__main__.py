"""Run every known attack on the service, alone and all at once, while other clients use it.

    python -m bench.attack [--seconds 4] [--together-s 10] [--sessions 4] [--fps 5] [--workers 2] [--pool-size 4]
        [--only NAME ...] [--json]

The table shows for each attack how often it was tried and withstood, the latency of health probes meanwhile, and
the service's memory before and after. Then all attacks run at once beside live sessions, whose answers are compared
with those just before. Attackers run with a lower priority, because real ones would use other machines' cores.

Ends with 1 when a bar is missed, with 2 when there are no clips.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from bench.attack.attacks import ATTACKS, AttackJob, Outcome
from bench.attack.health import HealthJob, HealthOutcome
from bench.cli import add_fps, add_service, has_clips, plan_options, report_parser, show
from bench.load.figures import Latency, latency
from bench.load.live import Manner
from bench.load.process import LoadProcess, end_on_sigterm, raise_file_limit
from bench.load.server_usage import MIB, usage
from bench.load.sessions import ENVIRONMENT
from bench.load.streams import StreamJob
from bench.load.tables import number, table
from testkit.service import LiveService, temporary_service

HEALTH_P95_MS = 200.0
FRAMES_KEPT = 0.75
MEMORY_GROWTH = 1.05
REQUEST_TIMEOUT_S = 2.0
"""Request timeout of the service, short enough for attacks that wait for it to end within the bench."""
SETTLE_S = 4.0
WARM_UP_S = 2.0
MARGIN_S = 1.0


@dataclass(frozen=True, slots=True)
class Plan:
    seconds: float
    together_s: float
    sessions: int
    fps: float
    workers: int
    pool_size: int
    attacks: Sequence[str]


@dataclass(frozen=True, slots=True)
class Row:
    """Figures of one attack. Memory is PSS of the master and its workers, after all clients have gone."""

    attack: str
    tried: int
    held: int
    health_ms: Latency
    worst_health_ms: float
    before_mib: float
    after_mib: float


@dataclass(frozen=True, slots=True)
class Report:
    plan: Plan
    alone: Sequence[Row]
    together: Row
    each_together: Mapping[str, Outcome]
    calm_answers_per_s: float
    answers_per_s: float
    """Answers to the other clients' live sessions while all attacks ran."""

    @property
    def missed(self) -> list[str]:
        bars = {
            f"health p95 {self.together.health_ms.p95} ms, at most {HEALTH_P95_MS:g}": (
                self.together.health_ms.p95 is not None and self.together.health_ms.p95 <= HEALTH_P95_MS
            ),
            f"answers {self.answers_per_s:g} of {self.calm_answers_per_s:g} a second": (
                self.answers_per_s >= FRAMES_KEPT * self.calm_answers_per_s
            ),
            f"memory {self.together.after_mib:g} MiB after {self.together.before_mib:g}": (
                self.together.after_mib <= MEMORY_GROWTH * self.together.before_mib
            ),
        }
        beaten = [f"{row.attack}: {row.held} of {row.tried} held" for row in self.alone if row.held < row.tried]
        return beaten + [bar for bar, holds in bars.items() if not holds]


def run(plan: Plan) -> Report:
    raise_file_limit()
    environment = {**ENVIRONMENT, "FACE_REQUEST_TIMEOUT_S": f"{REQUEST_TIMEOUT_S}"}
    with (
        temporary_service(workers=plan.workers, pool_size=plan.pool_size, environment=environment) as service,
        LoadProcess() as attacking,
        LoadProcess() as looking,
        LoadProcess() as streaming,
    ):
        bench = _Bench(service, plan, attacking, looking, streaming)
        bench.warm_up()
        alone = [bench.alone(name) for name in plan.attacks]
        calm = bench.answers_per_s(plan.together_s)
        return bench.together(alone, calm)


@dataclass(frozen=True, slots=True)
class _Bench:
    service: LiveService
    plan: Plan
    attacking: LoadProcess
    looking: LoadProcess
    streaming: LoadProcess

    def warm_up(self) -> None:
        """Run every attack once, so that memory is compared after all first-use allocations."""
        self._attack(self.plan.attacks, 1.0)
        self.answers_per_s(WARM_UP_S)

    def alone(self, name: str) -> Row:
        before = self._memory_mib()
        outcomes, health = self._attack((name,), self.plan.seconds)
        return self._row(name, outcomes.values(), health, before)

    def together(self, alone: Sequence[Row], calm_answers_per_s: float) -> Report:
        before = self._memory_mib()
        job = self._streams(self.plan.together_s)
        self.streaming.start(job)
        self.streaming.wait_for_note()
        outcomes, health = self._attack(self.plan.attacks, self.plan.together_s + MARGIN_S)
        answers = sum(tally.answered for tally in self.streaming.result(job).tallies) / self.plan.together_s
        row = self._row("all at once", outcomes.values(), health, before)
        return Report(self.plan, alone, row, outcomes, calm_answers_per_s, round(answers, 1))

    def answers_per_s(self, seconds: float) -> float:
        outcome = self.streaming.run(self._streams(seconds))
        return round(sum(tally.answered for tally in outcome.tallies) / outcome.seconds, 1)

    def _attack(self, names: Sequence[str], seconds: float) -> tuple[dict[str, Outcome], HealthOutcome]:
        attack = AttackJob(self.service.base_url, self.service.api_key, names, REQUEST_TIMEOUT_S, seconds)
        look = HealthJob(self.service.base_url, seconds)
        self.attacking.start(attack)
        self.attacking.wait_for_note()
        self.looking.start(look)
        health = self.looking.result(look)
        return self.attacking.result(attack), health

    def _row(self, name: str, outcomes: Collection[Outcome], health: HealthOutcome, before_mib: float) -> Row:
        return Row(
            attack=name,
            tried=sum(count.tried for count in outcomes),
            held=sum(count.held for count in outcomes),
            health_ms=latency(health.latencies_ms),
            worst_health_ms=round(max(health.latencies_ms), 1),
            before_mib=before_mib,
            after_mib=self._memory_mib(),
        )

    def _memory_mib(self) -> float:
        time.sleep(SETTLE_S)
        return round(usage(self.service.pid).pss_bytes / MIB, 1)

    def _streams(self, seconds: float) -> StreamJob:
        return StreamJob(
            base_url=self.service.base_url,
            api_key=self.service.api_key,
            kind="sandbox",
            liveness="passive",
            people=frozenset(),
            sessions=self.plan.sessions,
            manner=Manner(self.plan.fps, obey_pacing=False),
            warm_up_s=WARM_UP_S,
            seconds=seconds,
        )


def _text(report: Report) -> str:
    heads = ["attack", "tried", "held", "health p95 ms", "worst ms", "MiB before", "MiB after"]
    lines = [table(heads, [_cells(row) for row in [*report.alone, report.together]]), ""]
    lines += [f"all at once, {name}: {count.held} of {count.tried}" for name, count in report.each_together.items()]
    lines.append(f"answers to others: {report.answers_per_s:g} a second, {report.calm_answers_per_s:g} when calm")
    lines += [f"missed: {bar}" for bar in report.missed]
    return "\n".join(lines)


def _cells(row: Row) -> list[str]:
    return [
        row.attack,
        str(row.tried),
        str(row.held),
        number(row.health_ms.p95, 1),
        number(row.worst_health_ms, 1),
        number(row.before_mib, 1),
        number(row.after_mib, 1),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = report_parser("attack", "Every known attack, beside others.")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each attack alone (%(default)g)")
    parser.add_argument("--together-s", type=float, default=10.0, help="of all at once (%(default)g)")
    parser.add_argument("--sessions", type=int, default=4, help="live ones of others (%(default)s)")
    add_fps(parser, 5.0)
    add_service(parser, pool_size=4)
    parser.add_argument(
        "--only", dest="attacks", nargs="+", choices=list(ATTACKS), default=list(ATTACKS), help="these attacks"
    )
    options = parser.parse_args(arguments)
    if not has_clips("attack"):
        return 2
    report = run(Plan(**plan_options(options)))
    show(report, _text, as_json=options.json)
    return 1 if report.missed else 0


if __name__ == "__main__":
    end_on_sigterm()
    sys.exit(main())
