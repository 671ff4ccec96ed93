from __future__ import annotations

from pathlib import Path

import pytest

from tools.licences import (
    NOT_INSTALLED,
    Component,
    Exemption,
    Use,
    check,
    dependencies,
    installed_packages,
    is_allowed,
    main,
)
from weights.catalogue import MODELS


@pytest.fixture
def locks(tmp_path: Path) -> Path:
    """A directory of locks: `served` is the service's, `tested` only development's."""
    (tmp_path / "service.lock").write_text("served==1.0 \\\n    --hash=sha256:00\n")
    (tmp_path / "dev.lock").write_text(
        "served==1.0 \\\n    --hash=sha256:00\ntested==2.0 \\\n    --hash=sha256:00\n"
        "elsewhere==3.0 ; sys_platform == 'win32' \\\n    --hash=sha256:00\n"
    )
    return tmp_path


def install(site: Path, name: str, *fields: str) -> None:
    """A package with these lines of metadata, as pip leaves it in `site`."""
    info = site / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("\n".join(["Metadata-Version: 2.4", f"Name: {name}", "Version: 1.0", *fields, ""]))


def stated(tmp_path: Path, locks: Path, *fields: str) -> str:
    install(tmp_path / "site", "served", *fields)
    found = {
        component.name: component for component in dependencies(locks, installed_packages([str(tmp_path / "site")]))
    }
    return found["served"].licence


@pytest.mark.parametrize(
    ("fields", "licence"),
    [
        (["License-Expression: MIT"], "MIT"),
        (["License-Expression: MIT", "License: GPL", "Classifier: License :: OSI Approved :: BSD License"], "MIT"),
        (["License: see LICENSE", "Classifier: License :: OSI Approved :: MIT License"], "MIT License"),
        (["Classifier: License :: OSI Approved", "License: Apache-2.0"], "Apache-2.0"),
        (
            ["Classifier: License :: OSI Approved :: MIT License", "Classifier: License :: Free For Home Use"],
            "MIT License AND Free For Home Use",
        ),
        (["License: A text", "        of several lines"], ""),
        ([], ""),
    ],
)
def test_a_licence_is_read_where_the_author_states_it(
    tmp_path: Path, locks: Path, fields: list[str], licence: str
) -> None:
    assert stated(tmp_path, locks, *fields) == licence


@pytest.mark.parametrize("licence", ["MIT", "MIT AND Zlib", "GPL-3.0-only OR MIT", "BSD License"])
def test_a_licence_that_asks_for_a_notice_is_allowed(licence: str) -> None:
    assert is_allowed(licence)


@pytest.mark.parametrize(
    "licence",
    [
        "",
        "UNKNOWN",
        "GPL-3.0-only",
        "MIT AND GPL-3.0-only",
        "MIT AND GPL-3.0-only OR AGPL-3.0-only",
        "(MIT OR GPL-3.0-only) AND AGPL-3.0-only",
        "Apache-2.0 WITH Commons-Clause",
        "GNU Lesser General Public License v3 (LGPLv3)",
        "mit-like",
    ],
)
def test_any_other_licence_fails_the_check(licence: str) -> None:
    assert not is_allowed(licence)
    [verdict] = check([Component("served", "1.0", Use.SERVICE, licence)], [])
    assert not verdict.allowed


def test_what_is_locked_for_this_machine_is_reported_installed_or_not(tmp_path: Path, locks: Path) -> None:
    install(tmp_path / "site", "served", "License-Expression: MIT")
    found = list(dependencies(locks, installed_packages([str(tmp_path / "site")])))
    assert [(component.name, component.use) for component in found] == [
        ("served", Use.SERVICE),
        ("tested", Use.DEVELOPMENT),
    ]
    assert [verdict.allowed for verdict in check(found, [])] == [True, False]


def test_an_exemption_holds_for_one_licence_and_one_use() -> None:
    exemption = Exemption("tested", "MPL-2.0", "runs in tests only", (Use.DEVELOPMENT,))
    [verdict] = check([Component("tested", "2.0", Use.DEVELOPMENT, "MPL-2.0")], [exemption])
    assert (verdict.allowed, verdict.note) == (True, "runs in tests only")
    for use, licence in [(Use.SERVICE, "MPL-2.0"), (Use.DEVELOPMENT, "GPL-3.0-only"), (Use.DEVELOPMENT, "")]:
        assert not check([Component("tested", "2.0", use, licence)], [exemption])[0].allowed


def test_a_package_that_states_no_licence_may_be_exempt_and_one_that_is_not_here_may_not() -> None:
    exemption = Exemption("tested", "", "its wheel has the text", (Use.DEVELOPMENT,))
    for version, allowed in (("2.0", True), (NOT_INSTALLED, False)):
        assert check([Component("tested", version, Use.DEVELOPMENT, "")], [exemption])[0].allowed is allowed


def test_an_exemption_that_nothing_needs_fails_the_check() -> None:
    exemption = Exemption("gone", "MPL-2.0", "runs in tests only")
    verdicts = check([Component("served", "1.0", Use.SERVICE, "MIT")], [exemption])
    assert [(verdict.component.name, verdict.allowed) for verdict in verdicts] == [("served", True), ("gone", False)]


def test_everything_that_is_locked_here_has_a_licence_that_is_allowed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main() == 0
    report = capsys.readouterr().out
    for name in ("django", "openvino", "ruff", *(model.name for model in MODELS)):
        assert f" {name} " in report


def test_the_report_fails_when_something_is_not_known(locks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(locks) == 1
    assert "licences: served: no licence is known" in capsys.readouterr().err
