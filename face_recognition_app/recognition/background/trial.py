"""Jobs for tests and measurements: one that does nothing, one that takes time, and one that fails as it is told."""

from __future__ import annotations

import os
import signal
import time

from pydantic import Field

from jobs.kinds import Kind, Nothing, Payload
from jobs.run import Again, Refused, Result, Run
from tenants.scopes import Scope
from vocabulary.jobs import JobType

STEP_S = 0.1


class Sleep(Payload):
    """`deaf`: without listening to whoever wants the job to stop."""

    seconds: float = Field(ge=0, le=86_400)
    deaf: bool = False


class Fail(Payload):
    """`times`: how often, before the job succeeds; None for always. `how`: by an error that may pass, by one that never
    does, or by the end of the process."""

    times: int | None = Field(None, ge=0)
    how: str = Field("error", pattern="^(error|refusal|death)$")


def noop(run: Run, asked: Nothing) -> Result:
    return None


def sleep(run: Run, asked: Sleep) -> Result | Again:
    if asked.deaf:
        time.sleep(asked.seconds)
        return None
    slept = float(run.checkpoint or 0)
    while slept < asked.seconds:
        run.check()
        if run.is_over:
            run.checkpoint = slept
            run.save()
            return Again()
        time.sleep(min(STEP_S, asked.seconds - slept))
        slept += STEP_S
    return {"slept_s": asked.seconds}


def fail(run: Run, asked: Fail) -> Result:
    failed = int(run.checkpoint or 0)
    if asked.times is not None and failed >= asked.times:
        return {"failed": failed}
    run.checkpoint = failed + 1
    run.save()
    if asked.how == "death":
        os.kill(os.getpid(), signal.SIGKILL)
    if asked.how == "refusal":
        raise Refused("it was told to be refused")
    raise RuntimeError("it was told to fail")


KINDS = [
    Kind(JobType.NOOP, "Does nothing.", Nothing, noop, scope=Scope.ADMIN, of_tenant="either", recorded=False),
    Kind(JobType.SLEEP, "Takes time.", Sleep, sleep, "io", Scope.ADMIN, of_tenant="either", recorded=False),
    Kind(JobType.FAIL, "Fails.", Fail, fail, scope=Scope.ADMIN, of_tenant="either", recorded=False),
]
