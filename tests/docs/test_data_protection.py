"""docs/data-protection.md is true: its table has every model and file, and each sentence stands on a test."""

from __future__ import annotations

import re
import stat

import pytest
from django.apps import apps

from recognition.export import SECTIONS, SubjectExport
from recognition.management.commands.api_documents import openapi_document
from testkit.service import REPOSITORY, LiveService
from tests.audit import test_chain
from tests.recognition.api.test_scopes import ROUTES
from tests.recognition.lifecycle import (
    test_audit_api,
    test_consents,
    test_export,
    test_pictures,
    test_receipts,
    test_unseen,
)
from tests.recognition.retention import test_erasure, test_tenant_end

DOCUMENT = (REPOSITORY / "docs" / "data-protection.md").read_text()
ROWS = {
    cells[0].strip("`"): cells
    for line in re.findall(r"^\| `.*\|$", DOCUMENT, re.MULTILINE)
    for cells in [[cell.strip() for cell in line.strip("|").split("|")]]
}
SENTENCES: dict[str, list[object]] = {
    "Pictures are not stored unless the tenant asks for it": [
        "test_one_table_and_no_file_has_pictures",
        test_pictures.test_without_the_policy_no_picture_is_anywhere,
    ],
    "none of visitors of the page": [test_pictures.test_the_page_keeps_no_pictures],
    "--keep-pictures DAYS` the aligned crop": [
        test_pictures.test_pictures_of_an_enrolment_are_kept_where_the_tenant_asks,
        test_pictures.test_pictures_go_after_their_time_and_when_the_policy_ends,
    ],
    "A tenant's rows are read with keys": [test_audit_api.test_another_tenant_reads_its_own_trail_only],
    "Subjects, templates, locks and exports are read with": ["test_scopes_are_those_of_the_document"],
    "No path of the API gives the numbers": ["test_no_answer_has_a_vector"],
    "Files of the data directory are readable": ["test_files_are_the_services_alone_and_all_have_a_row"],
    "one that cannot be recorded is not answered": [test_audit_api.test_a_read_that_cannot_be_recorded_is_not_answered],
    "answers everything that is held": [
        test_export.test_every_model_is_exported_or_names_nobody,
        test_export.test_the_document_has_what_happened,
    ],
    "An enrolment takes `consent`": [
        test_consents.test_a_consent_comes_with_pictures_or_with_a_session_and_is_exported
    ],
    "The page sends the version of its own words": [
        test_audit_api.test_a_visitor_of_the_page_is_told_from_a_backend,
        test_consents.test_the_version_of_the_pages_consent_changes_with_its_words,
    ],
    "--consent required` an enrolment without": [
        test_consents.test_without_consent_nobody_is_enrolled_where_it_is_required
    ],
    "withdraws: templates and kept probes are erased": [
        test_consents.test_withdrawing_erases_the_templates_and_ends_what_is_open,
        test_consents.test_withdrawing_erases_what_is_kept_of_the_face_with_others,
    ],
    "erases a person; DELETE `demo/face/`": [test_erasure.test_everything_that_names_a_person_goes_with_the_person],
    "The answer is 204, and its header": [
        test_receipts.test_the_receipt_says_what_was_erased_and_of_whom_without_the_name
    ],
    "--erase-unseen DAYS` people": [
        test_unseen.test_who_was_not_seen_for_so_long_is_erased_and_that_is_recorded,
        test_unseen.test_a_success_or_a_new_template_puts_it_off,
    ],
    "It records enrolments, decisions": [
        test_audit_api.test_every_act_of_a_backend_is_recorded_in_its_order,
        test_audit_api.test_the_client_of_a_session_decides_as_that_session_on_the_socket,
        test_audit_api.test_keys_policies_and_locks_are_recorded,
        test_audit_api.test_a_command_is_recorded_with_the_systems_user,
    ],
    "An entry has no picture": [
        test_audit_api.test_no_entry_has_an_id_a_name_metadata_or_anything_of_a_face,
        test_audit_api.test_the_trail_of_a_person_can_be_read_before_and_after_the_erasure,
    ],
    "Whoever can write the database and has no key": [
        test_chain.test_a_changed_column_is_told,
        test_chain.test_tampering_is_told_and_exits_with_1,
    ],
    "An old copy of the whole chain": [
        test_chain.test_the_command_names_the_end_and_an_end_that_was_noted_must_still_be_there
    ],
    "Old entries are deleted from the beginning": [
        test_chain.test_a_pruned_chain_verifies_and_its_beginning_cannot_be_cut_further,
        test_chain.test_a_chain_that_was_tampered_with_is_not_pruned,
    ],
    "Without `keys/audit-key` no chain verifies": [test_chain.test_who_has_another_key_can_neither_verify_nor_go_on],
    "When a tenant is deleted, its chain goes": [
        test_tenant_end.test_a_deleted_tenant_leaves_nothing_and_takes_nothing_of_another
    ],
}
"""Tests by a part of the sentence that they back: the tests themselves, or names of those below."""


@pytest.mark.parametrize("sentence", SENTENCES)
def test_the_sentence_is_in_the_document_and_has_its_tests(sentence: str) -> None:
    assert sentence in re.sub(r"\s+", " ", DOCUMENT)
    for test in SENTENCES[sentence]:
        assert callable(globals()[test] if isinstance(test, str) else test)


def test_every_model_has_a_row() -> None:
    assert {model.__name__ for model in apps.get_models()} == {name for name in ROWS if name.isidentifier()}


def test_what_is_erased_with_a_person_is_what_an_export_has() -> None:
    exported = {model.__name__ for model in SECTIONS} - {"AuditEntry"}
    assert {name for name, cells in ROWS.items() if cells[4] == "yes"} == exported


def test_one_table_and_no_file_has_pictures() -> None:
    kinds = {
        (model.__name__, field.name)
        for model in apps.get_models()
        for field in model._meta.fields
        if field.get_internal_type() in ("BinaryField", "FileField", "ImageField")
    }
    vectors = {("Template", "vector"), ("Feedback", "vector"), ("SessionProbe", "vector"), ("Reembedded", "vector")}
    assert kinds == vectors | {("TemplateKey", "wrapped"), ("Picture", "content")}


def test_scopes_are_those_of_the_document() -> None:
    of_people = [route for route in ROUTES if route.method == "GET" and route.path.startswith("/api/v1/subjects/")]
    assert {route.scopes for route in of_people} == {frozenset({"subjects", "read"})}
    assert len(of_people) == 5
    assert [route.scopes for route in ROUTES if route.path == "/api/v1/audit/"] == [frozenset({"admin"})]


def test_no_answer_has_a_vector() -> None:
    schemas = openapi_document()["components"]["schemas"]
    names = {name for schema in schemas.values() for name in schema.get("properties", ())}
    assert not names & {"vector", "embedding", "checkpoint"}
    assert schemas["TemplateDetail"]["properties"].keys() == {"id", "quality", "origin", "created_at"}


def test_files_are_the_services_alone_and_all_have_a_row(live_service: LiveService) -> None:
    files = [path for path in live_service.data_dir.rglob("*") if path.is_file()]
    assert files
    for path in files:
        first, *others = path.relative_to(live_service.data_dir).parts
        is_public = first == "run" and others[0] == "static"
        assert is_public or not stat.S_IMODE(path.stat().st_mode) & 0o077, path
        assert first.removesuffix("-wal").removesuffix("-shm") in ROWS or f"{first}/" in ROWS, path


def test_the_sections_of_an_export_are_named() -> None:
    for section in SubjectExport.model_fields:
        assert f"`{section}`" in DOCUMENT
