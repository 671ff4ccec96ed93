# ruff: noqa: RUF001 - people's names are not all in ASCII

from __future__ import annotations

import unicodedata
from itertools import combinations

import pytest

from demo.names import subject_id_of
from gallery.people import check_subject_id

DIFFERENT = [
    "alice",
    "bob",
    "Alice Smith",
    "alice-smith",
    "Siti Nur'aini",
    "I Gusti Ngurah Rai",
    "Şeyma",
    "Seyma",
    "Çağla Öztürk",
    "王小明",
    "王小红",
    "محمد",
    "نور",
    "😀",
    "👩🏽",
    "José",
    "Jose",
    "Zoë",
    "n" * 200,
    "n" * 199,
    "ü" * 200,
    "..",
    ".",
    "a/b",
]


@pytest.mark.parametrize("name", DIFFERENT, ids=lambda name: name[:12])
def test_every_name_has_an_id_that_may_be_one(name: str) -> None:
    assert check_subject_id(subject_id_of(name)) == subject_id_of(name)


def test_different_names_have_different_ids() -> None:
    assert [pair for pair in combinations(DIFFERENT, 2) if subject_id_of(pair[0]) == subject_id_of(pair[1])] == []


@pytest.mark.parametrize(
    "spellings",
    [
        ["alice", "Alice", "ALICE", "  alice\n"],
        ["Alice Smith", "alice  smith", "ALICE\u00a0SMITH"],
        ["Işıl", "ışıl", "IŞIL", "Işil"],
        ["İpek", "ipek", "IPEK", "Ipek", "İPEK"],
        ["José", "Jose\u0301", "JOSÉ"],
        ["Straße", "strasse", "STRASSE"],
        ["نام\u200cها", "نامها"],
        ["Ngọc", unicodedata.normalize("NFD", "ngọc")],
    ],
)
def test_spellings_of_one_name_are_one_person(spellings: list[str]) -> None:
    assert len({subject_id_of(name) for name in spellings}) == 1


@pytest.mark.parametrize(
    ("name", "id_"),
    [("alice", "alice"), ("Alice", "alice"), ("a.b_c:d@e-F9", "a.b_c:d@e-f9"), ("x" * 128, "x" * 128)],
)
def test_a_name_that_is_an_id_stays_one(name: str, id_: str) -> None:
    assert subject_id_of(name) == id_


def test_other_ids_resemble_their_names() -> None:
    assert subject_id_of("Çağla Öztürk").startswith("cagla-ozturk:")
    assert subject_id_of("王小明").startswith(":")


def test_nobody_can_type_the_id_of_another_name() -> None:
    made = subject_id_of("Alice Smith")
    assert subject_id_of(made) != made
    assert subject_id_of(made.upper()) != made


@pytest.mark.parametrize(
    "name",
    ["", "   ", "\u3000", "\u200b\u200d", "\u0301", "a\nb", "a\u0000b", "a\u202eb", "a\u2028b", "\ud800", "x" * 201],
)
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="a name "):
        subject_id_of(name)
