"""Reading of a Dockerfile, as far as the project's own goes; what is not understood is refused."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

_KNOWN = frozenset({"RUN", "COPY", "WORKDIR", "ENV", "USER", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT", "CMD"})


class NotUnderstood(Exception):
    """The Dockerfile has an instruction that this module does not know."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """`options`: those that begin with two hyphens; `value`: the rest, in one line."""

    keyword: str
    options: tuple[str, ...]
    value: str

    def words(self) -> list[str]:
        """The list of the exec form, or the words as a shell splits them."""
        if self.value.startswith("["):
            listed: list[str] = json.loads(self.value)
            return listed
        return shlex.split(self.value)

    def variables(self) -> dict[str, str]:
        """Those that an ENV sets."""
        pairs = (word.partition("=") for word in self.words())
        return {name: value for name, _, value in pairs}


@dataclass(frozen=True, slots=True)
class Stage:
    base: str
    name: str
    instructions: list[Instruction] = field(default_factory=list)

    def last(self, keyword: str) -> Instruction:
        return [one for one in self.instructions if one.keyword == keyword][-1]

    def environment(self) -> dict[str, str]:
        variables: dict[str, str] = {}
        for one in self.instructions:
            variables |= one.variables() if one.keyword == "ENV" else {}
        return variables


def parse(text: str) -> list[Stage]:
    """Raises NotUnderstood."""
    stages: list[Stage] = []
    for line in _lines(text):
        keyword, _, rest = line.partition(" ")
        if keyword == "FROM":
            words = rest.split()
            stages.append(Stage(words[0], words[2] if len(words) == 3 else ""))
        elif keyword in _KNOWN and stages:
            stages[-1].instructions.append(_instruction(keyword, rest.strip()))
        else:
            raise NotUnderstood(line)
    return stages


def _lines(text: str) -> Iterator[str]:
    """Instructions in one line each, without comments."""
    whole = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    yield from (line.strip() for line in re.sub(r" *\\\n *", " ", whole).splitlines() if line.strip())


def _instruction(keyword: str, rest: str) -> Instruction:
    options = []
    while keyword != "RUN" and (found := re.match(r"(--\S+)\s+", rest)):
        options.append(found[1])
        rest = rest[found.end() :]
    if keyword == "HEALTHCHECK":
        rest = rest.removeprefix("CMD ")
    return Instruction(keyword, tuple(options), rest)


@dataclass(frozen=True, slots=True)
class Context:
    """The files below `root` that its .dockerignore leaves in."""

    root: Path

    def files(self, source: str) -> list[Path]:
        """Those at or below the path `source`, relative to the root."""
        place = self.root / source
        found = [place] if place.is_file() else sorted(path for path in place.rglob("*") if path.is_file())
        rules = self._rules()
        relative = (path.relative_to(self.root) for path in found)
        return [path for path in relative if not _is_ignored(path.as_posix(), rules)]

    def _rules(self) -> list[str]:
        lines = (line.strip() for line in (self.root / ".dockerignore").read_text().splitlines())
        return [line for line in lines if line and not line.startswith("#")]


def _is_ignored(path: str, rules: Sequence[str]) -> bool:
    """The last rule that the path or one of its folders matches decides."""
    ignored = False
    names = [path, *(parent.as_posix() for parent in PurePosixPath(path).parents)][:-1]
    for rule in rules:
        pattern = rule.removeprefix("!")
        if any(_matches(name, pattern) for name in names):
            ignored = not rule.startswith("!")
    return ignored


def _matches(name: str, pattern: str) -> bool:
    if pattern.startswith("**/"):
        return fnmatch(PurePosixPath(name).name, pattern.removeprefix("**/"))
    return name.count("/") == pattern.count("/") and fnmatch(name, pattern)
