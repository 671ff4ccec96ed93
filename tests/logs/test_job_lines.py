from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from logs import job_context, request_id
from logs.job_context import JobContext
from logs.job_lines import FIGURES, JsonLines, TextLines, WorkerName
from logs.lines import RequestIdFilter, TokenFilter

JOB = JobContext("0a6d1c3e-0000-4000-8000-000000000001", "bulk_enroll", 7)


@pytest.fixture
def in_job() -> Iterator[None]:
    tokens = job_context.current.set(JOB), request_id.current.set("abc123")
    yield
    job_context.current.reset(tokens[0])
    request_id.current.reset(tokens[1])


def written(formatter: logging.Formatter, message: str, *args: object, **kwargs: Any) -> str:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    handler.addFilter(TokenFilter())
    handler.addFilter(RequestIdFilter())
    logger = logging.getLogger("jobs.written")
    logger.addHandler(handler)
    try:
        logger.warning(message, *args, **kwargs)
    finally:
        logger.removeHandler(handler)
    return stream.getvalue()


def as_json(message: str, *args: object, **kwargs: Any) -> dict[str, Any]:
    (line,) = written(JsonLines(WorkerName("cpu@host", "job-specialized")), message, *args, **kwargs).splitlines()
    found: dict[str, Any] = json.loads(line)
    return found


@pytest.mark.usefixtures("in_job")
def test_a_json_line_says_which_job_of_whom_and_which_worker() -> None:
    line = as_json("it took %d s", 3)
    assert line.pop("time").endswith("Z")
    assert isinstance(line.pop("process"), int)
    assert line == {
        "level": "warning",
        "logger": "jobs.written",
        "message": "it took 3 s",
        "request_id": "abc123",
        "job_id": JOB.id,
        "type": "bulk_enroll",
        "tenant": 7,
        "worker": "cpu@host",
        "mode": "job-specialized",
    }


def test_a_line_outside_of_a_job_names_none() -> None:
    assert {"job_id", "type", "tenant"}.isdisjoint(as_json("idle"))


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


@pytest.mark.usefixtures("in_job")
def test_a_text_line_ends_with_the_job() -> None:
    line = written(TextLines(), "it took long")
    assert line.endswith(f"[abc123] it took long job_id={JOB.id} type=bulk_enroll tenant=7\n")
