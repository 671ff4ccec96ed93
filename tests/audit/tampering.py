"""Ways of tampering with a chain for those who write the database and have no key, and what a verification says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import connection

from audit.chain import Event, record
from audit.models import AuditEntry, AuditHead
from audit.verification import verify
from tenants.keys import create_tenant
from tenants.models import Tenant
from vocabulary.audit import AuditKind

TAMPERED_AT = 5


def many(tenant: Tenant, number: int = 10) -> None:
    for index in range(number):
        record(tenant.pk, Event(AuditKind.SUBJECT_READ, None, {"index": index, "words": ["ü", "b"], "none": None}))


def fault_of(tenant: Tenant) -> str:
    return verify(tenant.pk).fault


def sql(statement: str, *values: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


def renumber(tenant: Tenant, begin: int, by: int) -> None:
    """Change the numbers one by one, in an order in which no two are ever the same."""
    numbers = AuditEntry.objects.filter(tenant=tenant, sequence__gte=begin)
    order = "sequence" if by < 0 else "-sequence"
    for number in list(numbers.order_by(order).values_list("sequence", flat=True)):
        numbers.filter(sequence=number).update(sequence=number + by)


def delete_one(tenant: Tenant) -> None:
    sql("DELETE FROM audit_auditentry WHERE tenant_id = %s AND sequence = %s", tenant.pk, TAMPERED_AT)


def delete_one_and_close_the_gap(tenant: Tenant) -> None:
    delete_one(tenant)
    renumber(tenant, TAMPERED_AT + 1, -1)


def delete_the_first(tenant: Tenant) -> None:
    sql("DELETE FROM audit_auditentry WHERE tenant_id = %s AND sequence = 1", tenant.pk)


def insert_one(tenant: Tenant) -> None:
    renumber(tenant, TAMPERED_AT, 1)
    entry = AuditEntry.objects.get(tenant=tenant, sequence=TAMPERED_AT + 1)
    entry.pk, entry.sequence = None, TAMPERED_AT
    entry.save(force_insert=True)


def swap_two(tenant: Tenant) -> None:
    for before, after in ((TAMPERED_AT, 999), (TAMPERED_AT + 1, TAMPERED_AT), (999, TAMPERED_AT + 1)):
        AuditEntry.objects.filter(tenant=tenant, sequence=before).update(sequence=after)


def append_one(tenant: Tenant) -> None:
    entry = AuditEntry.objects.filter(tenant=tenant).latest("sequence")
    entry.pk, entry.sequence = None, entry.sequence + 1
    entry.save(force_insert=True)


def cut_off(tenant: Tenant) -> None:
    sql("DELETE FROM audit_auditentry WHERE tenant_id = %s AND sequence > %s", tenant.pk, TAMPERED_AT)


def cut_off_and_move_the_head(tenant: Tenant) -> None:
    cut_off(tenant)
    last = AuditEntry.objects.get(tenant=tenant, sequence=TAMPERED_AT)
    AuditHead.objects.filter(tenant=tenant).update(sequence=last.sequence, hash=last.hash)


def cut_off_and_go_on(tenant: Tenant) -> None:
    cut_off_and_move_the_head(tenant)
    many(tenant)


def cut_off_the_beginning_as_if_it_were_pruned(tenant: Tenant) -> None:
    last = AuditEntry.objects.get(tenant=tenant, sequence=TAMPERED_AT)
    sql("DELETE FROM audit_auditentry WHERE tenant_id = %s AND sequence <= %s", tenant.pk, TAMPERED_AT)
    AuditHead.objects.filter(tenant=tenant).update(anchor_sequence=last.sequence, anchor_hash=last.hash)


def remove_everything(tenant: Tenant) -> None:
    sql("DELETE FROM audit_auditentry WHERE tenant_id = %s", tenant.pk)
    sql("DELETE FROM audit_audithead WHERE tenant_id = %s", tenant.pk)


def copy_an_entry_of_another_tenant(tenant: Tenant) -> None:
    other, _ = create_tenant("other")
    many(other)
    delete_one(tenant)
    AuditEntry.objects.filter(tenant=other, sequence=TAMPERED_AT).update(tenant=tenant)


def put_back_an_older_head_alone(tenant: Tenant) -> None:
    before = AuditHead.objects.filter(tenant=tenant).values().get()
    many(tenant, 1)
    AuditHead.objects.filter(tenant=tenant).update(**before)


def put_back_an_older_head_and_go_on(tenant: Tenant) -> None:
    before = AuditHead.objects.filter(tenant=tenant).values().get()
    many(tenant, 3)
    sql("DELETE FROM audit_auditentry WHERE tenant_id = %s AND sequence = 13", tenant.pk)
    AuditHead.objects.filter(tenant=tenant).update(**before)


def sign_with_something_else(tenant: Tenant) -> None:
    AuditHead.objects.filter(tenant=tenant).update(signature="0" * 64)


def pretend_that_it_was_begun_anew(tenant: Tenant) -> None:
    AuditHead.objects.filter(tenant=tenant).update(begun=TAMPERED_AT)


def take_over_an_entry_as_it_stands(tenant: Tenant) -> None:
    """Put the content of one entry, with its hash, in another's place."""
    entry = AuditEntry.objects.get(tenant=tenant, sequence=TAMPERED_AT + 1)
    delete_one(tenant)
    entry.pk, entry.sequence = None, TAMPERED_AT
    entry.save(force_insert=True)


def begin_anew_with_another_tenants_head(tenant: Tenant) -> None:
    remove_everything(tenant)
    other, _ = create_tenant("other")
    AuditHead.objects.filter(tenant=other).update(tenant=tenant)
    AuditEntry.objects.filter(tenant=other).update(tenant=tenant)


TAMPERING: dict[Callable[[Tenant], None], str] = {
    delete_one: "entry 5 is missing",
    delete_one_and_close_the_gap: "entry 5, ",
    delete_the_first: "entry 1 is missing",
    insert_one: "entry 6, ",
    swap_two: "entry 5, ",
    append_one: "entry 13, ",
    cut_off: "the end was cut off: the last entry is 5, and 12 were recorded",
    cut_off_and_move_the_head: "the head of the chain was changed",
    cut_off_and_go_on: "the head of the chain was changed",
    cut_off_the_beginning_as_if_it_were_pruned: "the head of the chain was changed",
    remove_everything: "the head of the chain was removed",
    copy_an_entry_of_another_tenant: "entry 5, ",
    put_back_an_older_head_alone: "entry 13 lies after the recorded end",
    put_back_an_older_head_and_go_on: "entry 13 is missing",
    sign_with_something_else: "the head of the chain was changed",
    pretend_that_it_was_begun_anew: "entry 1 is missing",
    take_over_an_entry_as_it_stands: "entry 5, ",
    begin_anew_with_another_tenants_head: "entry 1, ",
}
