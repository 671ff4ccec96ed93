"""How tools.replay reads a Dockerfile and a .dockerignore."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.replay.dockerfile import Context, NotUnderstood, parse

TEXT = """# A comment
FROM debian:trixie-slim AS build
RUN apt-get update \\
    # hidden
    && apt-get install x
ENV A=1 \\
    B="two words"
FROM debian:trixie-slim
COPY --from=build /a /b
ENV B=3
CMD ["python", "-c", "print('x y')"]
HEALTHCHECK --interval=1s --retries=2 \\
    CMD ["true"]
"""


def test_stages_and_instructions_are_read() -> None:
    build, final = parse(TEXT)
    assert (build.base, build.name, final.name) == ("debian:trixie-slim", "build", "")
    assert build.last("RUN").value == "apt-get update && apt-get install x"
    assert build.environment() == {"A": "1", "B": "two words"}
    assert final.environment() == {"B": "3"}
    assert (final.last("COPY").options, final.last("COPY").words()) == (("--from=build",), ["/a", "/b"])
    assert final.last("CMD").words() == ["python", "-c", "print('x y')"]
    assert final.last("HEALTHCHECK").options == ("--interval=1s", "--retries=2")
    assert final.last("HEALTHCHECK").words() == ["true"]


@pytest.mark.parametrize("text", ["FROM a\nADD x y", "RUN before"])
def test_what_is_not_understood_is_refused(text: str) -> None:
    with pytest.raises(NotUnderstood):
        parse(text)


def test_the_last_rule_that_matches_decides(tmp_path: Path) -> None:
    for name in (
        "app/a.py",
        "app/__pycache__/a.pyc",
        "app/in/x.service",
        "locks/one.lock",
        "locks/two.lock",
        "var/key",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / ".dockerignore").write_text("# only\n*\n!app\n!locks/one.lock\n**/__pycache__\n**/*.service\n")
    context = Context(tmp_path)
    assert context.files("app") == [Path("app/a.py")]
    assert context.files("locks") == [Path("locks/one.lock")]
    assert context.files("var") == []
    assert context.files("locks/two.lock") == []
