"""Effect of replaced workers on clients: reloads, changes of their number, and killed workers under load.

    python -m bench.reload [changes | kills] [--rounds N] [--pause S] [--warm-up S] [--requests 40] [--sessions 20]
        [--fps 4] [--workers 2] [--pool-size 4] [--json]

`changes` sends SIGHUP ten times, SIGTTIN and SIGTTOU five times each, 6 s apart; workers start 2 s late. `kills`
kills the oldest worker with SIGKILL every 5 s for a minute. Meanwhile half of the HTTP clients ask for health on new
connections, the others read jobs on connections that they keep; half of the people authenticate, the others enrol under
active liveness, each again and again. Ends with 1 when a request failed that was in no killed worker, when one waited
for a worker to start while others served, when a session was not decided, or when a frame, a sample, a step or a
decision counted twice; with 2 when there are no clips.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace

from bench.cli import add_fps, add_service, has_clips, plan_options, report_parser, show
from bench.load.process import end_on_sigterm
from bench.load.tables import number, table
from bench.reload.disturbances import Mode
from bench.reload.run import Plan, Report, run

_ROUNDS: dict[Mode, int] = {"changes": 5, "kills": 12}
_PAUSE_S: dict[Mode, float] = {"changes": 6.0, "kills": 5.0}
_WARM_UP_S: dict[Mode, float] = {"changes": 2.0, "kills": 0.0}
_SHOWN = 20


def _text(report: Report) -> str:
    plan = report.plan
    heads = ["requests", "p50 ms", "p95 ms", "p99 ms", "longest s", "failed in killed workers", "failed otherwise"]
    cells = [
        str(report.answered),
        *(number(value, 1) for value in (report.wait_ms.p50, report.wait_ms.p95, report.wait_ms.p99)),
        number(report.longest_wait_s, 2),
        str(report.failed_in_killed_workers),
        str(len(report.failed)),
    ]
    decided = ", ".join(f"{outcome} {count}" for outcome, count in sorted(report.decided.items()))
    cut = ", ".join(f"{count} after {code}" for code, count in sorted(report.reconnects.items())) or "none"
    what = {
        "changes": f"{2 * plan.rounds} reloads, {plan.rounds} workers more and {plan.rounds} fewer",
        "kills": f"{plan.rounds} killed workers",
    }[plan.mode]
    lines = [
        f"{what}, {plan.pause:g} s apart; {plan.workers} workers that start {plan.warm_up:g} s late;"
        f" {plan.requests} HTTP clients, {plan.sessions} live sessions",
        table(heads, [cells]),
        f"the longest wait began {report.longest_began}",
        f"sessions decided: {decided}; on a later connection: {report.resumed};"
        f" read by the backend alone: {report.untold}; lost: {len(report.lost)}",
        f"connected again: {cut}",
        f"counted or decided twice, or told wrongly: {len(report.mistakes)}",
        *(f"failed: {one.what}" for one in report.failed[:_SHOWN]),
        *(f"lost: {one.what}" for one in report.lost[:_SHOWN]),
        *(f"wrong: {one}" for one in report.mistakes[:_SHOWN]),
    ]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = report_parser("reload", "Replaced, added and killed workers under load.")
    parser.add_argument("mode", nargs="?", choices=list(_ROUNDS), default="changes", help="what is done (%(default)s)")
    parser.add_argument("--rounds", type=int, help="how often (5 of changes, 12 of kills)")
    parser.add_argument("--pause", type=float, help="seconds between two of them (6 and 5)")
    parser.add_argument("--warm-up", type=float, help="seconds a worker starts late (2 and 0)")
    parser.add_argument("--requests", type=int, default=40, help="HTTP clients (%(default)s)")
    parser.add_argument("--sessions", type=int, default=20, help="people with a session each (%(default)s)")
    add_fps(parser, 4.0)
    add_service(parser, pool_size=4)
    options = parser.parse_args(arguments)
    if not has_clips("reload"):
        return 2
    plan = Plan(**plan_options(options))
    plan = replace(
        plan,
        rounds=plan.rounds or _ROUNDS[plan.mode],
        pause=plan.pause or _PAUSE_S[plan.mode],
        warm_up=_WARM_UP_S[plan.mode] if plan.warm_up is None else plan.warm_up,
    )
    report = run(plan)
    show(report, _text, as_json=options.json)
    return 0 if report.held else 1


if __name__ == "__main__":
    end_on_sigterm()
    sys.exit(main())
