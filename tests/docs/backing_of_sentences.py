"""The tests that back the sentences of docs/data-protection.md."""

from __future__ import annotations

from tests.docs.statements import Backing

DOCUMENT = "docs/test_data_protection.py::"
FACTS = "recognition/lifecycle/test_stored_data.py::"
LIMITS = "audit/test_limits.py::"
AUDIT = "recognition/lifecycle/test_audit_api.py::"
COVERAGE = "recognition/lifecycle/test_audit_coverage.py::"
RULES = "recognition/retention/test_rules.py::"
DETAILS = "recognition/lifecycle/test_audit_details.py::"
CONSENTS = "recognition/lifecycle/test_consents.py::"
ERASURE = "recognition/retention/test_erasure.py::"
EXPORT = "recognition/lifecycle/test_export.py::"
RECEIPTS = "recognition/lifecycle/test_receipts.py::"
PICTURES = "recognition/lifecycle/test_pictures.py::"
UNSEEN = "recognition/lifecycle/test_unseen.py::"
UNREADABLE = "recognition/test_unreadable_templates.py::"
FORGETTING = "recognition/events/test_forgetting.py::"
ISOLATION = "recognition/isolation/test_routes.py::"
BACKUPS = "backup/test_commands.py::"
CHAIN = "audit/test_chain.py::"
PEOPLES_JOBS = "recognition/background/test_subjects.py::"
COMPARISONS = "recognition/background/test_comparisons.py::"
REPORTS = "recognition/background/test_reports_api.py::"
ANEW = "audit/test_begun_anew.py::"

STORED: Backing = {
    "Each sentence and each cell has tests that back it, which `tests/docs` names: one that is changed or added "
    "without a test fails the checks.": (
        f"{DOCUMENT}test_every_statement_has_tests_that_exist",
        f"{DOCUMENT}test_a_statement_without_a_test_and_a_test_that_is_gone_are_faults",
    ),
    "Pictures are not stored unless the tenant asks for it, but for a grey one of 80 by 60 pixels in the encrypted "
    "state of an open session.": (
        f"{FACTS}test_one_table_has_pictures",
        f"{PICTURES}test_without_the_policy_no_picture_is_anywhere",
        f"{FACTS}test_the_state_of_a_session_has_one_small_grey_picture",
        "recognition/sessions/test_checkpoints.py::"
        "test_what_is_stored_of_a_session_shows_neither_embeddings_nor_pictures",
        f"{FACTS}test_what_an_open_session_needs_is_gone_when_it_ends",
    ),
    "After `manage.py set_policy TENANT --keep-pictures DAYS` the aligned crop of each enrolled template is kept, "
    "encrypted, for as many days, so that `manage.py reembed` can move the gallery to another embedder "
    "([faces.md](faces.md)).": (
        "tenants/test_set_policy.py::test_keeping_pictures_is_set_recorded_and_taken_back",
        f"{PICTURES}test_pictures_of_an_enrolment_are_kept_where_the_tenant_asks",
        f"{PICTURES}test_pictures_go_after_their_time_and_when_the_policy_ends",
        "gallery/reembedding/test_move.py::test_everybody_is_moved_and_keeps_ids_times_and_pictures",
    ),
    "With 0, the default, none is kept, and retention deletes those that were.": (
        f"{PICTURES}test_without_the_policy_no_picture_is_anywhere",
        f"{PICTURES}test_pictures_go_after_their_time_and_when_the_policy_ends",
    ),
    "No other picture is stored: none of anybody who was only recognised, and none of visitors of the page, whose "
    "words say so.": (
        f"{FACTS}test_one_table_has_pictures",
        f"{PICTURES}test_the_page_keeps_no_pictures",
    ),
    "The log goes to standard error, and to a file where `LOG_FILE_ENABLED` asks for one.": (
        f"{FACTS}test_the_log_goes_to_standard_error_unless_a_file_is_asked_for",
        "logs/test_destinations.py::test_lines_of_json_go_to_the_file_and_not_to_the_console",
    ),
    "It names no person: ids of subjects are left out of the paths of requests.": (
        "service/doors/test_logs.py::test_nobody_is_named",
        f"{FACTS}test_a_line_about_a_refusal_names_nobody",
    ),
    "A visitor's browser keeps the chosen language, and until its window is closed that consent was given.": (
        f"{FACTS}test_the_page_keeps_nothing_else_in_the_browser",
    ),
    "The page sets no cookie.": (
        f"{FACTS}test_the_page_keeps_nothing_else_in_the_browser",
        f"{FACTS}test_no_answer_of_the_page_sets_a_cookie",
    ),
}
READ: Backing = {
    "Over the API a tenant's rows are read with keys of that tenant alone.": (
        f"{ISOLATION}test_what_another_tenant_has_is_as_if_it_did_not_exist",
        f"{ISOLATION}test_a_token_that_opens_something_else_is_no_better_than_a_made_up_one",
        f"{AUDIT}test_another_tenant_reads_its_own_trail_only",
    ),
    "Subjects, templates, locks and exports are read with the scope `subjects` or `read`; the audit trail with "
    "`admin`.": (
        f"{FACTS}test_scopes_are_those_of_the_document",
        "recognition/api/test_scopes.py::test_a_key_without_the_scope_is_refused_and_one_with_it_is_not",
    ),
    "A session and its result are read with the scope `sessions` or `read`; whoever holds the session's token is told "
    "its result.": (
        f"{FACTS}test_scopes_are_those_of_the_document",
        f"{AUDIT}test_the_client_of_a_session_decides_as_that_session_on_the_socket",
    ),
    "The scope `faces` compares a picture with people, and is told the ids of those who are found.": (
        f"{FACTS}test_scopes_are_those_of_the_document",
        "recognition/api/test_faces_api.py::test_a_search_is_limited",
        "recognition/api/test_faces_api.py::test_nobody_finds_the_people_of_another_tenant",
    ),
    "No path of the API gives the numbers of a template.": (f"{FACTS}test_no_answer_has_a_vector",),
    "The report of a job that exports a person is a file that is encrypted by a secret of the tenant; GET "
    "`/api/v1/jobs/{id}/report/` answers it to keys of that tenant with the scope `subjects` or `read`, and records "
    "that as an export.": (
        f"{PEOPLES_JOBS}test_an_export_is_the_document_of_the_path_sealed_in_a_file",
        f"{PEOPLES_JOBS}test_another_tenant_cannot_read_a_report",
        f"{REPORTS}test_an_exported_person_is_answered_and_recorded",
        f"{REPORTS}test_who_may_read_a_report",
        f"{ISOLATION}test_what_another_tenant_has_is_as_if_it_did_not_exist",
        f"{COVERAGE}test_what_an_operation_does_is_recorded_with_the_key",
    ),
    "The job's own row has neither the document nor anything of it but numbers and the person's random reference.": (
        f"{PEOPLES_JOBS}test_the_jobs_row_has_nothing_of_the_person_but_the_id_that_was_asked_for",
    ),
    "When the secret was deleted after a rotation, the report cannot be read any more: the export is to be asked for "
    "again.": (f"{PEOPLES_JOBS}test_a_report_goes_with_the_secret_that_has_sealed_it",),
    "The report of a search for duplicates has random references in place of ids, and is read with the scope `admin` "
    "or `read`: a person who was erased is in no answer any more.": (
        f"{COMPARISONS}test_pairs_are_those_of_the_command_in_a_sealed_report",
        f"{REPORTS}test_pairs_are_answered_without_who_was_erased",
        f"{REPORTS}test_who_may_read_a_report",
    ),
    "Files of the data directory are readable by the service's user alone, but for copies of the page's scripts in "
    "`run/static`.": (f"{DOCUMENT}test_files_are_the_services_alone_and_all_have_a_row",),
    "Every read of a person's data over REST is recorded before it is answered; one that cannot be recorded is not "
    "answered.": (
        f"{AUDIT}test_a_read_that_cannot_be_recorded_is_not_answered",
        f"{COVERAGE}test_what_an_operation_does_is_recorded_with_the_key",
    ),
    "Only the key that began a session reads it unrecorded while it is open: it is told what it sent itself.": (
        f"{DETAILS}test_only_who_began_an_open_session_reads_it_unrecorded",
    ),
    "GET `/api/v1/subjects/{subject_id}/export/` answers everything that is held about a person, as one JSON document: "
    "`subject`, `consents`, `templates` without their numbers, and with their pictures where these are kept, "
    "`feedback`, `sessions` with decisions, `failed_attempts`, `known_devices`, `jobs`, `webhook_deliveries` and "
    "`audit`.": (
        f"{PICTURES}test_an_export_has_the_pictures_until_their_secret_is_gone",
        f"{EXPORT}test_every_model_is_exported_or_names_nobody",
        f"{EXPORT}test_every_column_is_exported_but_those_that_say_nothing_of_the_person",
        f"{EXPORT}test_the_document_has_what_happened",
        f"{FACTS}test_the_sections_of_an_export_are_named",
    ),
    "An open session tells the size of its state, not the samples in it.": (
        f"{EXPORT}test_the_document_has_what_happened",
        f"{FACTS}test_no_answer_has_a_vector",
    ),
    "The export is recorded.": (f"{EXPORT}test_the_document_has_what_happened",),
}
CONSENT: Backing = {
    "An enrolment takes `consent`, `{text, version}`: in the session's JSON, or as a form field of JSON beside "
    "pictures.": (f"{CONSENTS}test_a_consent_comes_with_pictures_or_with_a_session_and_is_exported",),
    "The page sends the version of its own words, and is told from a backend: `given_by` is `page` or `rest`.": (
        f"{AUDIT}test_a_visitor_of_the_page_is_told_from_a_backend",
        f"{CONSENTS}test_a_consent_comes_with_pictures_or_with_a_session_and_is_exported",
        f"{CONSENTS}test_the_version_of_the_pages_consent_changes_with_its_words",
    ),
    "After `manage.py set_policy TENANT --consent required` an enrolment without a consent in force is refused: "
    "`consent_required`.": (
        f"{CONSENTS}test_without_consent_nobody_is_enrolled_where_it_is_required",
        "tenants/test_set_policy.py::test_consent_and_expiry_are_set_recorded_and_taken_back",
    ),
    "DELETE `/api/v1/subjects/{subject_id}/consent/` withdraws: templates and kept probes are erased and open sessions "
    "end, at once.": (
        f"{CONSENTS}test_withdrawing_erases_the_templates_and_ends_what_is_open",
        f"{CONSENTS}test_withdrawing_erases_what_is_kept_of_the_face_with_others",
        f"{FACTS}test_kept_probes_go_with_the_consent",
    ),
    "The record of consent stays, marked as withdrawn, until the person is erased.": (
        f"{CONSENTS}test_withdrawing_erases_the_templates_and_ends_what_is_open",
        f"{FACTS}test_consents_feedback_and_probes_go_with_the_person",
    ),
}
ERASING: Backing = {
    "DELETE `/api/v1/subjects/{subject_id}/` erases a person; DELETE `demo/face/` does so on the page.": (
        f"{ERASURE}test_everything_that_names_a_person_goes_with_the_person",
        f"{ERASURE}test_a_connected_client_is_told",
        "recognition/api/test_demo.py::test_a_face_that_was_just_shown_is_forgotten",
    ),
    "The answer is 204, and its header `x-erasure-receipt` is the receipt: a JWS of the service's key with the number "
    "of rows of each kind, the time, the person's random reference and the last entry of the audit trail.": (
        f"{RECEIPTS}test_the_receipt_says_what_was_erased_and_of_whom_without_the_name",
        f"{RECEIPTS}test_a_receipt_that_was_changed_does_not_verify",
        "recognition/api/test_demo.py::test_a_face_that_was_just_shown_is_forgotten",
    ),
    "It names nobody, and has no end: keep the public key of `/.well-known/jwks.json` with it, since a rotated key is "
    "published for a while only.": (
        f"{RECEIPTS}test_the_receipt_says_what_was_erased_and_of_whom_without_the_name",
        "recognition/tokens/test_signing_keys.py::test_the_old_key_goes_when_its_time_is_over",
    ),
    "After `manage.py set_policy TENANT --erase-unseen DAYS` people who were neither enrolled nor recognised for so "
    "long are erased by retention.": (
        f"{UNSEEN}test_who_was_not_seen_for_so_long_is_erased_and_that_is_recorded",
        f"{UNSEEN}test_a_success_or_a_new_template_puts_it_off",
        "tenants/test_set_policy.py::test_consent_and_expiry_are_set_recorded_and_taken_back",
    ),
    "What was sent to webhooks about a person, or was to be, is erased with the person.": (
        f"{FORGETTING}test_what_was_told_of_a_person_goes_with_the_person",
    ),
    "`subject.deleted` is sent then, and forgotten once it has arrived.": (
        f"{FORGETTING}test_that_a_person_was_erased_is_told_and_then_forgotten",
    ),
    "People are erased also while a master key is missing, or where nobody can read their templates any more.": (
        f"{UNREADABLE}test_a_person_is_erased_also_where_nobody_can_read_the_templates",
    ),
    "Then rejected pictures of the face that are kept with others may stay (`Feedback`): the receipt and the audit "
    "trail have their number as `unread_feedback`.": (
        f"{UNREADABLE}test_a_person_is_erased_also_where_nobody_can_read_the_templates",
        f"{UNREADABLE}test_one_rejected_picture_that_cannot_be_read_hinders_neither_the_others_nor_the_erasure",
    ),
    "What the storage itself keeps is in [retention.md](retention.md).": (
        "docs/test_docs.py::test_every_link_leads_somewhere",
    ),
}
TRAIL: Backing = {
    "Each tenant has a chain of entries.": (
        f"{CHAIN}test_writers_side_by_side_extend_one_chain_each",
        f"{COVERAGE}test_what_a_command_does_is_recorded_with_the_systems_user",
    ),
    "It records enrolments, decisions, reads of people's data, comparisons, searches for duplicates and calibrations, "
    "changes of people, consents, keys, templates' secrets, webhooks, policies and locks, access tokens, moves of "
    "galleries to another embedder, background jobs that are asked for, cancelled or tried again and the reads of "
    "their results, erasures, and what retention deletes of sessions, devices, jobs and faces.": (
        "recognition/api/test_jobs_api.py::test_what_is_done_with_jobs_is_recorded",
        f"{RULES}test_a_job_goes_with_its_dead_letter_after_its_time",
        "gallery/reembedding/test_move.py::test_everybody_is_moved_and_keeps_ids_times_and_pictures",
        f"{COVERAGE}test_every_operation_is_in_the_table",
        f"{COVERAGE}test_what_an_operation_does_is_recorded_with_the_key",
        f"{COVERAGE}test_every_command_is_in_the_table",
        f"{COVERAGE}test_what_a_command_does_is_recorded_with_the_systems_user",
        f"{AUDIT}test_every_act_of_a_backend_is_recorded_in_its_order",
        f"{AUDIT}test_keys_policies_and_locks_are_recorded",
        f"{DETAILS}test_retention_records_what_of_a_face_and_which_secrets_it_deletes",
        f"{DETAILS}test_retention_records_probes_that_it_deletes",
        f"{UNSEEN}test_deletions_of_retention_are_recorded_with_their_tenant",
    ),
    "Each entry has its actor: a key, an access token, the client of a session, a visitor of the page, a command with "
    "the system's user, or the service.": (
        f"{COVERAGE}test_what_an_operation_does_is_recorded_with_the_key",
        f"{AUDIT}test_an_access_token_is_told_from_its_key",
        f"{COVERAGE}test_what_a_client_does_on_the_socket_is_recorded_as_the_sessions",
        f"{COVERAGE}test_what_the_pages_visitors_do_is_recorded_as_theirs",
        f"{AUDIT}test_a_command_is_recorded_with_the_systems_user",
        f"{UNSEEN}test_who_was_not_seen_for_so_long_is_erased_and_that_is_recorded",
    ),
    "A decision names the key that began the session, too.": (
        f"{DETAILS}test_a_decision_names_the_key_that_began_the_session",
    ),
    "The beginning of a session is no entry: it reads nothing and decides nothing.": (
        f"{COVERAGE}test_what_an_operation_does_is_recorded_with_the_key",
    ),
    "An enrolment tells how many templates a renewal has replaced, a decision which adaptive template it has made, and "
    "a search for duplicates the references of each pair.": (
        f"{DETAILS}test_a_renewal_is_recorded_with_the_number_of_templates_that_it_replaced",
        f"{DETAILS}test_an_adaptive_template_is_recorded_with_the_decision_that_made_it",
        f"{DETAILS}test_each_pair_of_a_search_for_duplicates_is_recorded",
    ),
    "`faces/detect/` and `faces/liveness/` are not recorded: they read nothing that is stored, and decide about "
    "nobody.": (f"{COVERAGE}test_what_an_operation_does_is_recorded_with_the_key",),
    "Lists of keys, of webhooks and of deliveries, new indexes and verifications of the trail are not recorded, nor "
    "what retention deletes of failed attempts, seen frames, changes of templates and deliveries.": (
        f"{FORGETTING}test_deliveries_go_after_their_time",
        f"{COVERAGE}test_what_an_operation_does_is_recorded_with_the_key",
        f"{COVERAGE}test_what_a_command_does_is_recorded_with_the_systems_user",
        f"{DETAILS}test_what_retention_deletes_of_attempts_frames_and_changes_is_not_recorded",
    ),
    "An entry has no picture, vector, key, token, metadata, name or id of a person.": (
        f"{AUDIT}test_no_entry_has_an_id_a_name_metadata_or_anything_of_a_face",
        f"{AUDIT}test_an_entry_names_its_key_request_and_person_but_no_secret",
        f"{DETAILS}test_an_access_token_is_recorded_with_its_scopes_and_without_itself",
        f"{DETAILS}test_a_secret_that_another_master_key_wraps_is_recorded_without_any_key",
    ),
    "It has the person's reference, which is random: the subject's row alone says whose it is.": (
        f"{AUDIT}test_the_trail_of_a_person_can_be_read_before_and_after_the_erasure",
        f"{ERASURE}test_everything_that_names_a_person_goes_with_the_person",
    ),
    "Of an API key it has id, name and first characters.": (
        f"{AUDIT}test_an_entry_names_its_key_request_and_person_but_no_secret",
    ),
    "`manage.py backup` writes the database, the keys and the reports into one file, encrypted with a key that is not "
    "in it.": (
        f"{BACKUPS}test_everything_that_cannot_be_made_anew_comes_back",
        f"{BACKUPS}test_the_key_is_asked_for_and_must_be_the_same",
    ),
    "Whoever was erased before a backup was made is not in it; whoever is erased afterwards stays in it, and is to be "
    "erased again after it was restored.": (
        "service/backups/test_backup.py::test_who_was_enrolled_before_a_backup_is_found_after_its_restore",
    ),
    "The trail of every tenant records each backup, and each restore with the time that it went back to.": (
        f"{BACKUPS}test_a_backup_and_its_restore_are_in_every_tenants_trail",
    ),
    "Each entry's hash is an HMAC over its fields and the hash before; the head is signed with the same key, "
    "`keys/audit-key` in the data directory.": (
        f"{CHAIN}test_every_column_is_tried",
        f"{CHAIN}test_a_changed_column_is_told",
        f"{LIMITS}test_whoever_has_the_key_file_can_write_a_chain_that_verifies",
    ),
    "Whoever can write the database and has no key cannot change, remove, insert, move or cut off entries unseen, nor "
    "bring in those of another tenant.": (
        f"{CHAIN}test_a_changed_column_is_told",
        f"{CHAIN}test_tampering_is_told_and_exits_with_1",
        f"{CHAIN}test_a_chain_that_was_cut_stays_broken_however_long_it_goes_on",
        f"{ANEW}test_that_it_was_begun_anew_cannot_be_taken_back",
    ),
    "`manage.py verify_audit [--tenant NAME] [--json]` exits with 1 and names the first entry that is wrong.": (
        f"{CHAIN}test_tampering_is_told_and_exits_with_1",
    ),
    "An old copy of the whole chain with its head, put back, verifies.": (
        f"{CHAIN}test_the_command_names_the_end_and_an_end_that_was_noted_must_still_be_there",
    ),
    "`--expect SEQUENCE:HASH` finds that out: note the end that the command prints somewhere else, or take it from a "
    "receipt.": (
        f"{CHAIN}test_the_command_names_the_end_and_an_end_that_was_noted_must_still_be_there",
        f"{RECEIPTS}test_the_receipt_says_what_was_erased_and_of_whom_without_the_name",
    ),
    "Old entries are deleted from the beginning of the chain; the signed head keeps number and hash of the last "
    "of them, so that the rest verifies.": (
        f"{CHAIN}test_a_pruned_chain_verifies_and_its_beginning_cannot_be_cut_further",
    ),
    "An entry that is not as it was recorded is not deleted, and none behind it.": (
        f"{CHAIN}test_a_chain_that_was_tampered_with_is_not_pruned",
        f"{ANEW}test_retention_launders_no_entry_that_was_made_to_look_old",
        f"{ANEW}test_retention_launders_no_old_entry_that_was_changed",
    ),
    "Without `keys/audit-key` no chain verifies: back it up with the database, and apart from it.": (
        f"{CHAIN}test_who_has_another_key_can_neither_verify_nor_go_on",
        f"{ANEW}test_after_the_key_was_lost_one_goes_on_with_another",
    ),
    "After a chain was found broken, `manage.py verify_audit --tenant NAME --begin-anew` begins a new one behind it.": (
        f"{ANEW}test_whatever_broke_it_the_chain_goes_on_and_nothing_is_hidden",
        f"{ANEW}test_only_a_broken_chain_of_one_tenant_is_begun_anew",
    ),
    "The old entries are kept as long as others, and the first of the new ones says what was wrong, and who began "
    "anew.": (
        f"{ANEW}test_whatever_broke_it_the_chain_goes_on_and_nothing_is_hidden",
        f"{ANEW}test_retention_deletes_what_is_old_and_the_broken_past_is_still_told",
    ),
    "Each later verification says that the chain was broken, also when retention has deleted that entry.": (
        f"{ANEW}test_whatever_broke_it_the_chain_goes_on_and_nothing_is_hidden",
        f"{ANEW}test_it_can_break_again_and_both_are_told",
        f"{ANEW}test_retention_deletes_what_is_old_and_the_broken_past_is_still_told",
    ),
    "What was recorded before proves nothing from then on.": (
        f"{LIMITS}test_entries_of_before_a_new_beginning_can_be_changed_unseen",
    ),
    "Whoever has `keys/audit-key`, or is the service's user, can write a chain that verifies.": (
        f"{LIMITS}test_whoever_has_the_key_file_can_write_a_chain_that_verifies",
    ),
    "What is read in the database or in files, past the service, is not recorded.": (
        f"{LIMITS}test_what_is_read_past_the_service_is_not_recorded",
    ),
    "Which person a reference stands for is in the subject's row alone: who exchanges those of two people is not found "
    "out.": (f"{LIMITS}test_who_exchanges_the_references_of_two_people_is_not_found_out",),
    "When a tenant is deleted, its chain goes with it.": (
        "recognition/retention/test_tenant_end.py::test_a_deleted_tenant_leaves_nothing_and_takes_nothing_of_another",
    ),
}
SENTENCES: Backing = {**STORED, **READ, **CONSENT, **ERASING, **TRAIL}
