"""The tests that back the cells of the table in docs/data-protection.md."""

from __future__ import annotations

from tests.docs.statements import Backing

FACTS = "recognition/lifecycle/test_stored_data.py::"
PICTURES = "recognition/lifecycle/test_pictures.py::"
WEBHOOKS = "webhooks/test_delivering.py::"
FORGETTING = "recognition/events/test_forgetting.py::"
MOVE = "gallery/reembedding/test_move.py::"
PEOPLES_JOBS = "recognition/background/test_subjects.py::"
COMPARISONS = "recognition/background/test_comparisons.py::"
SUMMARIES = "recognition/background/test_summaries.py::"
COLUMNS = f"{FACTS}test_every_column_of_a_model_is_told"
ROWS = ("docs/test_data_protection.py::test_every_model_and_table_has_a_row",)
FILES = ("docs/test_data_protection.py::test_files_are_the_services_alone_and_all_have_a_row",)
ERASED = (
    "docs/test_data_protection.py::test_what_is_erased_with_a_person_is_what_an_export_has",
    "recognition/retention/test_erasure.py::test_everything_that_names_a_person_goes_with_the_person",
    f"{FACTS}test_consents_feedback_and_probes_go_with_the_person",
)
NOBODY = (
    "docs/test_data_protection.py::test_what_is_erased_with_a_person_is_what_an_export_has",
    "recognition/lifecycle/test_export.py::test_every_model_is_exported_or_names_nobody",
)
SEALED = (
    "gallery/protection/test_sealed.py::test_neither_what_is_stored_nor_what_is_indexed_tells_of_the_face",
    f"{FACTS}test_every_embedding_is_stored_protected",
)
IMPORTS = "recognition/background/imports/test_bulk_enroll.py::"
TENANT_END = (
    "recognition/retention/test_tenant_end.py::test_a_deleted_tenant_leaves_nothing_and_takes_nothing_of_another"
)
RULES = "recognition/retention/test_rules.py::"
WHO_IS_ENROLLED_STAYS = "recognition/retention/test_rules.py::test_who_is_enrolled_stays"
ALL_ERASED = "recognition/retention/test_erasure.py::test_everything_that_names_a_person_goes_with_the_person"
OF_PEOPLE = (
    "Subject",
    "Template",
    "Picture",
    "ImportedPicture",
    "Reembedded",
    "Feedback",
    "Consent",
    "Session",
    "Decision",
    "SessionProbe",
    "KnownDevice",
    "FailedAttempts",
    "Job",
    "DeadLetter",
    "Delivery",
)
"""The models whose rows go with the person."""

REPORTS = (f"{IMPORTS}test_a_report_goes_to_the_data_directory_where_the_folder_takes_none",)

WHERE: Backing = {
    **{
        f"`{model}`, where: database": ROWS
        for model in (
            *OF_PEOPLE,
            "AuditEntry",
            "AuditHead",
            "TemplateKey",
            "TemplateChange",
            "SeenFrame",
            "OutcomeSummary",
            "Schedule",
            "SchedulerSeat",
            "Tenant",
            "ApiKey",
            "Endpoint",
        )
    },
    "`gallery_vector`, where: database, with `FACE_GALLERY_STORE=pgvector`": ROWS,
    "`gallery_projection`, where: database, with `FACE_GALLERY_STORE=pgvector`": ROWS,
    "`face.sqlite3`, where: data directory": FILES,
    "`index/`, where: data directory": FILES,
    "`reports/`, where: data directory": (
        f"{PEOPLES_JOBS}test_an_export_is_the_document_of_the_path_sealed_in_a_file",
    ),
    "`import/`, where: data directory, or `FACE_IMPORT_DIR`": (
        "config/test_settings.py::test_the_defaults_are_those_of_the_contract",
    ),
    "`import-reports/`, where: data directory": REPORTS,
    "`keys/`, where: data directory": FILES,
    "`demo-api-key`, where: data directory, with the demo tenant": (
        *FILES,
        "tenants/test_demo.py::test_the_first_start_leaves_a_key_that_works_for_its_owner_only",
    ),
    "`run/`, where: data directory": FILES,
}
ABOUT: Backing = {
    "`Subject`, about a person: id, display name, metadata, a random reference, time of the last success": (COLUMNS,),
    "`Template`, about a person: numbers that describe the face, encrypted by a secret of the tenant "
    "([keys.md](keys.md)); quality, origin": (COLUMNS, *SEALED),
    "`Picture`, about a person: the aligned crop of the face that a template was made from, 112 by 112 pixels, "
    "encrypted by a secret of the tenant; only if the tenant asks": (
        COLUMNS,
        f"{PICTURES}test_pictures_of_an_enrolment_are_kept_where_the_tenant_asks",
        f"{PICTURES}test_without_the_policy_no_picture_is_anywhere",
        f"{PICTURES}test_an_export_has_the_pictures_until_their_secret_is_gone",
    ),
    "`Reembedded`, about a person: numbers that describe the face, made by another embedder, encrypted likewise": (
        COLUMNS,
        f"{MOVE}test_a_rotation_of_secrets_meanwhile_takes_along_what_lies_beside",
    ),
    "`Feedback`, about a person: numbers that describe the face of somebody taken for the person, encrypted; session, "
    "key": (
        COLUMNS,
        *SEALED,
        "recognition/test_feedback.py::test_a_session_that_matched_can_be_named_in_place_of_a_picture",
    ),
    "`Consent`, about a person: text, version, when, how, when withdrawn": (COLUMNS,),
    "`Session`, about a person: id, device, metadata, consent; while it is open also display name, digest of the "
    "network, and encrypted state with samples of the face, and their crops if the tenant keeps pictures": (
        COLUMNS,
        f"{PICTURES}test_pictures_of_a_session_wait_in_its_checkpoint_and_are_kept",
        "recognition/sessions/test_checkpoints.py::"
        "test_what_is_stored_of_a_session_shows_neither_embeddings_nor_pictures",
        "recognition/sessions/test_addresses.py::test_an_address_cannot_be_guessed_back_without_the_servers_secret",
        f"{FACTS}test_what_an_open_session_needs_is_gone_when_it_ends",
    ),
    "`Decision`, about a person: id, outcome, similarity, what liveness saw, token": (COLUMNS,),
    "`SessionProbe`, about a person: numbers that describe the face of a session that matched, encrypted": (
        COLUMNS,
        *SEALED,
        "recognition/test_feedback.py::test_a_probe_is_kept_for_a_while_and_never_of_a_session_without_a_match",
    ),
    "`KnownDevice`, about a person: device of a success": (
        COLUMNS,
        "recognition/sessions/test_known_devices.py::test_a_failure_makes_no_device_known",
    ),
    "`FailedAttempts`, about a person: times of failures that claimed the person; others count for a device, the "
    "digest of a network, or the tenant": (
        COLUMNS,
        "recognition/isolation/test_limits.py::test_every_counter_has_a_case",
        "recognition/isolation/test_limits.py::test_a_lock_of_one_tenant_holds_nobody_of_another_back",
        "recognition/sessions/test_addresses.py::test_an_address_cannot_be_guessed_back_without_the_servers_secret",
    ),
    "`AuditEntry`, about a person: the random reference, what was done, by whom, when": (
        COLUMNS,
        "recognition/lifecycle/test_audit_api.py::test_an_entry_names_its_key_request_and_person_but_no_secret",
    ),
    "`AuditHead`, about a person: nothing": (COLUMNS, *NOBODY),
    "`TemplateKey`, about a person: nothing: secrets of templates, encrypted": (
        COLUMNS,
        "gallery/protection/test_sealed.py::test_with_another_master_key_nothing_is_read_and_nothing_new_is_made",
    ),
    "`TemplateChange`, about a person: number of a template": (COLUMNS,),
    "`SeenFrame`, about a person: digest of a frame": (COLUMNS,),
    "`OutcomeSummary`, about a person: nothing: numbers of a tenant's sessions on one day": (
        COLUMNS,
        f"{SUMMARIES}test_a_summary_names_nobody",
    ),
    "`Job`, about a person: id, what was asked for and by whom, how far it is, what it found": (COLUMNS,),
    "`DeadLetter`, about a person: what an exception said, for operators alone": (
        COLUMNS,
        "recognition/api/test_jobs_api.py::test_what_an_exception_said_stays_inside_and_what_the_job_found_goes_out",
    ),
    "`Schedule`, about a person: nothing": (COLUMNS, *NOBODY),
    "`SchedulerSeat`, about a person: nothing: a process": (COLUMNS, *NOBODY),
    "`Tenant`, about a person: nothing": (COLUMNS, *NOBODY),
    "`ApiKey`, about a person: nothing": (COLUMNS, *NOBODY),
    "`Endpoint`, about a person: nothing": (COLUMNS, *NOBODY),
    "`Delivery`, about a person: id, what was told to a webhook of the tenant or is to be, the receiver's answers": (
        COLUMNS,
        "recognition/events/test_changes.py::test_a_change_is_told_with_what_the_document_says",
        "recognition/events/test_changes.py::test_what_is_told_has_no_secret_and_nothing_of_a_face",
    ),
    "`gallery_vector`, about a person: numbers that describe the face, turned by a secret of the tenant": (
        "gallery/protection/test_sealed.py::test_neither_what_is_stored_nor_what_is_indexed_tells_of_the_face",
        "gallery/protection/test_sealed.py::test_templates_of_two_tenants_cannot_be_linked",
    ),
    "`gallery_projection`, about a person: nothing: numbers of templates": ROWS,
    "`face.sqlite3`, about a person: the database, where SQLite is it": FILES,
    "`index/`, about a person: numbers that describe the face, turned by a secret of the tenant, and subject ids": (
        "gallery/protection/test_sealed.py::test_neither_what_is_stored_nor_what_is_indexed_tells_of_the_face",
        f"{FACTS}test_an_index_has_the_ids_of_subjects",
    ),
    "`reports/`, about a person: an exported person, or random references of subjects with one face, encrypted by a "
    "secret of the tenant": (
        f"{PEOPLES_JOBS}test_an_export_is_the_document_of_the_path_sealed_in_a_file",
        f"{COMPARISONS}test_pairs_are_those_of_the_command_in_a_sealed_report",
        f"{COMPARISONS}test_who_is_erased_is_named_no_more_by_a_report",
    ),
    "`ImportedPicture`, about a person: digest of the file that an import made a template from": (
        COLUMNS,
        f"{IMPORTS}test_a_second_import_finds_everything_there",
    ),
    "`import/`, about a person: pictures that the operator puts there to be enrolled, and reports of imports: names of "
    "files, and ids": (f"{IMPORTS}test_each_picture_is_enrolled_or_rejected_with_a_reason",),
    "`import-reports/`, about a person: reports of imports, where the import's folder takes none": REPORTS,
    "`keys/`, about a person: nothing: keys of the service": (f"{FACTS}test_the_keys_are_those_that_are_known",),
    "`demo-api-key`, about a person: nothing: an API key": (
        "tenants/test_demo.py::test_the_first_start_leaves_a_key_that_works_for_its_owner_only",
    ),
    "`run/`, about a person: nothing: numbers of running workers": (
        "recognition/isolation/test_limits.py::test_metrics_name_no_tenant_and_nothing_that_belongs_to_one",
        f"{FACTS}test_what_workers_leave_of_themselves_names_nobody",
    ),
}
HOW_LONG: Backing = {
    "`Subject`, how long: until erased, or as `manage.py set_policy --erase-unseen` says": (
        WHO_IS_ENROLLED_STAYS,
        ALL_ERASED,
        "recognition/lifecycle/test_unseen.py::test_who_was_not_seen_for_so_long_is_erased_and_that_is_recorded",
        "recognition/lifecycle/test_unseen.py::test_without_the_policy_nobody_is_erased",
    ),
    "`Template`, how long: as its subject, or until it is erased, renewed, or consent is withdrawn": (
        WHO_IS_ENROLLED_STAYS,
        ALL_ERASED,
        "recognition/retention/test_erasure.py::test_no_byte_of_a_template_stays_when_it_alone_is_deleted",
        "recognition/api/test_subjects_api.py::test_who_has_changed_is_enrolled_anew_by_one_request",
        "recognition/lifecycle/test_consents.py::test_withdrawing_erases_the_templates_and_ends_what_is_open",
    ),
    "`Feedback`, how long: `FACE_RETAIN_FEEDBACK_DAYS`, or until it is taken back, or that person or this one is "
    "erased": (
        "recognition/test_feedback.py::test_feedback_is_deleted_when_it_is_too_old",
        "recognition/test_feedback.py::"
        "test_a_picture_that_is_not_the_subject_is_excluded_everywhere_until_it_is_taken_back",
        "gallery/test_feedback.py::test_it_is_erased_with_the_subject_and_with_the_person_it_shows",
    ),
    "`Consent`, how long: as its subject": (
        f"{FACTS}test_consents_feedback_and_probes_go_with_the_person",
        "recognition/retention/test_rules.py::test_every_kind_of_row_that_grows_has_a_rule",
    ),
    "`Session`, how long: `FACE_RETAIN_SESSIONS_DAYS`; metadata `FACE_RETAIN_METADATA_DAYS`": (
        "recognition/retention/test_rules.py::test_a_session_goes_with_its_decision_after_its_time",
        "recognition/retention/test_rules.py::test_metadata_goes_sooner_and_the_outcome_stays",
    ),
    "`Decision`, how long: as its session": (
        "recognition/retention/test_rules.py::test_a_session_goes_with_its_decision_after_its_time",
    ),
    "`SessionProbe`, how long: `FACE_RETAIN_PROBES_HOURS`": (
        "recognition/test_feedback.py::test_a_probe_is_kept_for_a_while_and_never_of_a_session_without_a_match",
        "recognition/test_feedback.py::test_no_probe_is_kept_where_the_operator_wants_none",
    ),
    "`KnownDevice`, how long: `FACE_RETAIN_KNOWN_DEVICES_DAYS` after the last use": (
        "recognition/retention/test_rules.py::test_a_device_is_forgotten_when_it_was_not_used_for_long",
    ),
    "`FailedAttempts`, how long: until they count no more": (
        "recognition/retention/test_rules.py::test_attempts_go_when_they_mean_nothing_any_more",
    ),
    "`AuditEntry`, how long: `FACE_RETAIN_AUDIT_DAYS`": (
        f"{FACTS}test_entries_are_kept_for_as_long_as_the_setting_says",
    ),
    "`OutcomeSummary`, how long: `FACE_RETAIN_SUMMARIES_DAYS`": (
        f"{SUMMARIES}test_summaries_are_kept_for_as_long_as_the_setting_says",
    ),
    "`reports/`, how long: as its job; an exported person, until the person is erased": (
        f"{PEOPLES_JOBS}test_reports_go_with_their_jobs_and_tenants_by_retention",
        f"{PEOPLES_JOBS}test_an_export_goes_with_the_person_at_once",
    ),
    "`AuditHead`, how long: as its tenant": (TENANT_END,),
    "`TemplateKey`, how long: until the tenant is deleted, or a day and the longest session after a rotation": (
        TENANT_END,
        "gallery/protection/test_reprotection.py::test_a_retired_secret_is_deleted_when_nothing_can_need_it",
    ),
    "`Picture`, how long: as its template, at most as long as `manage.py set_policy --keep-pictures` says": (
        f"{PICTURES}test_a_picture_goes_with_its_template",
        f"{PICTURES}test_pictures_go_after_their_time_and_when_the_policy_ends",
    ),
    "`Reembedded`, how long: while `manage.py reembed` moves the gallery to it": (
        f"{MOVE}test_everybody_is_moved_and_keeps_ids_times_and_pictures",
        f"{MOVE}test_a_move_that_was_given_up_for_another_embedder_leaves_nothing",
    ),
    "`TemplateChange`, how long: a day, the newest until another is a day old": (
        "gallery/test_changes.py::test_the_log_keeps_a_day",
    ),
    "`SeenFrame`, how long: `FACE_REPLAY_MEMORY_DAYS`": (
        "recognition/sessions/test_seen_frames.py::test_the_memory_goes_back_as_far_as_the_setting_says",
    ),
    "`Job`, how long: `FACE_RETAIN_JOBS_DAYS` after its end; one that was under way when the person was erased, a day "
    "after its end": (
        f"{RULES}test_a_job_goes_with_its_dead_letter_after_its_time",
        f"{RULES}test_a_job_that_ended_after_its_person_was_erased_goes_after_a_day",
    ),
    "`DeadLetter`, how long: as its job; a message that nobody could read, `FACE_RETAIN_JOBS_DAYS`": (
        f"{RULES}test_a_job_goes_with_its_dead_letter_after_its_time",
    ),
    "`Schedule`, how long: for good": (f"{RULES}test_every_kind_of_row_that_grows_has_a_rule",),
    "`SchedulerSeat`, how long: for good": (f"{RULES}test_every_kind_of_row_that_grows_has_a_rule",),
    "`Tenant`, how long: until the tenant is deleted": (TENANT_END,),
    "`ApiKey`, how long: until the tenant is deleted": (TENANT_END,),
    "`Endpoint`, how long: until its webhook is deleted": (f"{WEBHOOKS}test_a_deleted_endpoint_gets_nothing_more",),
    "`Delivery`, how long: `FACE_RETAIN_DELIVERIES_DAYS`, or with its webhook": (
        f"{FORGETTING}test_deliveries_go_after_their_time",
        f"{WEBHOOKS}test_a_deleted_endpoint_gets_nothing_more",
    ),
    "`gallery_vector`, how long: as its template": (
        "gallery/stores/pgvector/test_projections.py::test_deletions_in_the_database_itself_are_followed",
    ),
    "`gallery_projection`, how long: until the tenant is deleted": (
        "gallery/stores/pgvector/test_projections.py::test_what_a_deleted_tenant_leaves_is_dropped",
    ),
    "`index/`, how long: overwritten within ten seconds of an erasure": (
        "gallery/stores/indexes/test_index_files.py::test_nothing_of_an_erased_person_stays_in_a_file",
        f"{FACTS}test_indexes_are_brought_up_to_date_every_ten_seconds",
    ),
    "`ImportedPicture`, how long: as its template": (f"{IMPORTS}test_what_was_erased_is_enrolled_again",),
    "`import/`, how long: until the operator deletes them": (f"{IMPORTS}test_a_second_import_finds_everything_there",),
    "`import-reports/`, how long: until the operator deletes them": REPORTS,
    "`keys/`, how long: for good; keys that sign, until rotated": (
        "config/test_secret.py::test_an_existing_secret_stays",
        "recognition/tokens/test_signing_keys.py::test_files_are_for_the_service_only_and_no_old_private_key_is_left",
    ),
    "`demo-api-key`, how long: for good": ("tenants/test_demo.py::test_the_next_start_changes_nothing",),
}
ERASED_WITH_THE_PERSON: Backing = {
    **{f"`{model}`, erased with the person: yes": ERASED for model in OF_PEOPLE},
    **{
        f"`{place}/`, erased with the person: no": (f"{IMPORTS}test_what_was_erased_is_enrolled_again",)
        for place in ("import", "import-reports")
    },
    "`AuditEntry`, erased with the person: stays, and names nobody": (
        *NOBODY,
        "recognition/lifecycle/test_audit_api.py::test_the_trail_of_a_person_can_be_read_before_and_after_the_erasure",
        ALL_ERASED,
    ),
    **{
        f"`{model}`, erased with the person: names nobody": NOBODY
        for model in (
            "AuditHead",
            "TemplateKey",
            "TemplateChange",
            "SeenFrame",
            "OutcomeSummary",
            "Schedule",
            "SchedulerSeat",
            "Tenant",
            "ApiKey",
            "Endpoint",
        )
    },
}
CELLS: Backing = {**WHERE, **ABOUT, **HOW_LONG, **ERASED_WITH_THE_PERSON}
