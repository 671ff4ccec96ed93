from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import pytest

from logs import context, request_id
from logs.context import JobContext
from logs.formats import FIGURES, JsonLines, ProcessName, TextLines
from logs.lines import Redaction, RequestIdFilter

JOB = JobContext("0a6d1c3e-0000-4000-8000-000000000001", "bulk_enroll")
SESSION = "5b3d1c3e-0000-4000-8000-000000000002"


def in_context(about: ContextVar[Any], value: object) -> Iterator[None]:
    before = about.set(value)
    yield
    about.reset(before)


@pytest.fixture
def in_request() -> Iterator[None]:
    yield from in_context(request_id.current, "abc123")


@pytest.fixture
def of_tenant() -> Iterator[None]:
    yield from in_context(context.tenant, 7)


@pytest.fixture
def in_session() -> Iterator[None]:
    yield from in_context(context.session, SESSION)


@pytest.fixture
def in_job() -> Iterator[None]:
    yield from in_context(context.job, JOB)


def written(formatter: logging.Formatter, message: str, *args: object, **kwargs: Any) -> str:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    handler.addFilter(Redaction())
    handler.addFilter(RequestIdFilter())
    logger = logging.getLogger("jobs.written")
    logger.addHandler(handler)
    try:
        logger.warning(message, *args, **kwargs)
    finally:
        logger.removeHandler(handler)
    return stream.getvalue()


def as_json(message: str, *args: object, **kwargs: Any) -> dict[str, Any]:
    (line,) = written(JsonLines(ProcessName("cpu@host", "job-specialized")), message, *args, **kwargs).splitlines()
    found: dict[str, Any] = json.loads(line)
    return found


@pytest.mark.usefixtures("in_request", "of_tenant", "in_job")
def test_a_json_line_says_which_job_of_whom_and_which_worker() -> None:
    line = as_json("it took %d s", 3)
    assert line.pop("time").endswith("Z")
    assert isinstance(line.pop("process"), int)
    assert line == {
        "level": "warning",
        "logger": "jobs.written",
        "message": "it took 3 s",
        "request_id": "abc123",
        "session_id": None,
        "job_id": JOB.id,
        "type": "bulk_enroll",
        "tenant": 7,
        "worker": "cpu@host",
        "mode": "job-specialized",
    }


def test_a_line_about_nobody_says_so_and_names_no_job() -> None:
    line = as_json("idle")
    assert [line[name] for name in ("request_id", "session_id", "tenant")] == [None] * 3
    assert {"job_id", "type"}.isdisjoint(line)


@pytest.mark.usefixtures("in_request", "of_tenant", "in_session")
def test_a_line_about_a_session_has_its_ids() -> None:
    line = as_json("it took long")
    assert [line[name] for name in ("request_id", "session_id", "tenant")] == ["abc123", SESSION, 7]
    assert written(TextLines(), "it took long").endswith(f"[abc123] it took long session_id={SESSION} tenant=7\n")


def test_a_json_line_is_one_line_without_tokens_whatever_is_in_it() -> None:
    try:
        raise ValueError("/ws/auth/process-image/secret-of-error/ \n forged")
    except ValueError:
        line = as_json("GET /ws/auth/process-image/secret-of-line/ \n {}", exc_info=True)
    assert "secret" not in json.dumps(line)
    assert "ValueError" in line["exception"]


def test_figures_are_fields_in_json_and_words_in_text() -> None:
    figures = {"jobs_processed": 100, "queue_depths": {"high": 1, "low": 0}, "error_rate": "3.00%"}
    assert as_json("System metrics", extra={FIGURES: figures}).items() >= figures.items()
    line = written(TextLines(), "System metrics", extra={FIGURES: figures})
    assert line.endswith("System metrics jobs_processed=100 queue_depths=high:1,low:0 error_rate=3.00%\n")


@pytest.mark.usefixtures("in_request", "of_tenant", "in_job")
def test_a_text_line_ends_with_the_job() -> None:
    line = written(TextLines(), "it took long")
    assert line.endswith(f"[abc123] it took long tenant=7 job_id={JOB.id} type=bulk_enroll\n")
