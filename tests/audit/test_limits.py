"""What no verification of a trail can find: docs/data-protection.md says so, and these show that it is true."""

from __future__ import annotations

from audit.models import AuditEntry, AuditHead
from audit.sealing import KEY_FILE, entry_hash, head_signature
from config.service import service_settings
from gallery.models import Subject
from gallery.people import create_subject
from tenants.models import Tenant
from tests.audit.tampering import TAMPERED_AT, delete_one, fault_of, many, sql
from tests.audit.test_begun_anew import begin_anew


def test_whoever_has_the_key_file_can_write_a_chain_that_verifies(acme: Tenant) -> None:
    assert (service_settings().data_dir / "keys" / KEY_FILE).stat().st_size == 32
    last = ""
    for entry in AuditEntry.objects.filter(tenant=acme).order_by("sequence"):
        if entry.sequence == TAMPERED_AT:
            entry.actor_name = "somebody else"
        entry.hash = last = entry_hash(entry, last)
        entry.save()
    head = AuditHead.objects.get(tenant=acme)
    head.hash = last
    head.signature = head_signature(head)
    head.save()
    assert fault_of(acme) == ""


def test_entries_of_before_a_new_beginning_can_be_changed_unseen(acme: Tenant) -> None:
    delete_one(acme)
    begin_anew()
    many(acme, 2)
    sql("UPDATE audit_auditentry SET actor_name = 'nobody' WHERE tenant_id = %s AND sequence = 1", acme.pk)
    assert fault_of(acme) == ""


def test_what_is_read_past_the_service_is_not_recorded(acme: Tenant) -> None:
    create_subject(acme, "alice", {"room": 7})
    before = AuditEntry.objects.filter(tenant=acme).count()
    assert Subject.objects.get(tenant=acme).metadata == {"room": 7}
    assert AuditEntry.objects.filter(tenant=acme).count() == before


def test_who_exchanges_the_references_of_two_people_is_not_found_out(acme: Tenant) -> None:
    alice, bob = create_subject(acme, "alice", {}), create_subject(acme, "bob", {})
    for subject, reference in ((alice, None), (bob, alice.reference), (alice, bob.reference)):
        Subject.objects.filter(tenant=acme, pk=subject.pk).update(reference=reference)
    assert Subject.objects.get(tenant=acme, subject_id="alice").reference == bob.reference
    assert fault_of(acme) == ""
