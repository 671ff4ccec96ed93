"""What is stored of a face: comparable with its tenant's secret, and nothing without it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from core.types import EMBEDDING_LENGTH, Embeddings
from database.calls import with_connection
from gallery.matching import Gallery
from gallery.models import Template, TemplateKey
from gallery.protection import Protected
from gallery.protection.errors import KeysUnavailable, MasterKeyError, Tampered
from gallery.protection.master_keys import MasterKeys
from gallery.protection.rotation import MATRIX_PAYS, Rotation
from gallery.protection.sealed import SealedProtection, header
from gallery.protection.tenant_secrets import TenantSecrets
from tenants.models import Tenant
from tests.gallery.faces import enrol, face, picture, unit
from tests.gallery.protection.linking import CHANCE, assert_unlinkable
from tests.gallery.workers import MODEL

OLD, NEW = bytes(range(32)), bytes(range(32, 64))
ROUNDING = 1e-6

each_database = pytest.mark.usefixtures("each_database")


def people(number: int) -> Embeddings:
    return np.stack([face(seed) for seed in range(number)])


def worker_with(*master_keys: bytes) -> SealedProtection:
    return SealedProtection(MODEL, TenantSecrets(MasterKeys(master_keys)))


@pytest.fixture
def protection() -> SealedProtection:
    return worker_with(OLD)


@pytest.mark.parametrize("number", [1, 7, MATRIX_PAYS, MATRIX_PAYS + 1])
def test_a_rotation_keeps_cosines_and_can_be_turned_back(number: int) -> None:
    rotation, faces = Rotation(b"seed"), people(number)
    turned = rotation.turn(faces)
    assert turned @ turned.T == pytest.approx(faces @ faces.T, abs=1e-6)
    assert rotation.turn_back(turned) == pytest.approx(faces, abs=1e-6)
    assert np.stack([rotation.turn(one[np.newaxis])[0] for one in faces[:7]]) == pytest.approx(turned[:7], abs=1e-6)


def test_a_rotation_is_the_same_on_every_machine_and_in_every_version() -> None:
    turned = Rotation(b"seed").turn(np.eye(EMBEDDING_LENGTH, dtype=np.float32)[:1])[0]
    assert turned[:4] == pytest.approx(FIRST_OF_SEED, abs=1e-6), "stored templates would be lost"


FIRST_OF_SEED = [-0.04350363463163376, 0.008976935409009457, 0.029692959040403366, 0.028311895206570625]


@each_database
def test_what_was_protected_is_restored_in_order(tenant: Tenant, protection: SealedProtection) -> None:
    faces = people(20)
    stored = protection.protect(faces, tenant)
    assert {len(one) for one in stored} == {2_081}
    assert worker_with(OLD).restore(stored, tenant) @ faces.T == pytest.approx(faces @ faces.T, abs=ROUNDING)
    assert protection.restore([], tenant).shape == (0, EMBEDDING_LENGTH)


def test_what_is_restored_for_an_index_compares_as_what_is_restored(
    tenant: Tenant, protection: SealedProtection
) -> None:
    stored = protection.protect(people(20), tenant)
    restored = protection.restore(stored, tenant)
    probe = picture(face(3), 0.6)
    first = protection.epoch(tenant)
    protection.secrets.add_epoch(tenant)
    for epoch in (first, protection.epoch(tenant)):
        (turned,) = protection.turn(probe[np.newaxis], tenant, epoch)
        in_index = protection.restore_turned(stored, tenant, epoch)
        assert in_index @ turned == pytest.approx(restored @ probe, abs=ROUNDING)


def test_what_an_older_version_stored_as_it_was_is_read_as_it_will_be_when_protected(
    tenant: Tenant, protection: SealedProtection
) -> None:
    plain = [Protected(one.astype("<f4").tobytes()) for one in people(3)]
    read = protection.restore(plain, tenant)
    assert np.sum(read * people(3), axis=1) == pytest.approx(1, abs=ROUNDING)
    again = protection.restore(protection.protect(people(3), tenant), tenant)
    probe = picture(face(1), 0.6)
    assert again @ probe == pytest.approx(read @ probe, abs=ROUNDING)
    mixed = protection.restore([plain[0], *protection.protect([face(1)], tenant), plain[2]], tenant)
    assert mixed @ probe == pytest.approx(read @ probe, abs=ROUNDING)


def test_what_an_older_version_stored_as_float16_is_read(tenant: Tenant, protection: SealedProtection) -> None:
    secret = protection.secrets.newest(tenant)
    turned = secret.rotation.turn(people(3)).astype("<f2")
    head, nonce = b"\1" + header(secret.epoch)[1:], bytes(12)
    bound_to = f"template of tenant {tenant.pk}, model {MODEL}"
    stored = [
        Protected(head + nonce + secret.templates.encrypt(nonce, row.tobytes(), head + bound_to.encode()))
        for row in turned
    ]
    assert np.sum(protection.restore(stored, tenant) * people(3), axis=1) == pytest.approx(1, abs=1e-4)


def test_two_templates_of_one_embedding_share_no_bytes(tenant: Tenant, protection: SealedProtection) -> None:
    one, other = (np.frombuffer(stored[5:], np.uint8) for stored in protection.protect([face(1)] * 2, tenant))
    assert np.mean(one == other) < 0.03, "one in 256 is alike by chance"


def test_neither_what_is_stored_nor_what_is_indexed_tells_of_the_face(
    tenant: Tenant, protection: SealedProtection
) -> None:
    faces = people(100)
    turned = protection.turn(faces, tenant, protection.epoch(tenant))
    assert np.abs(np.sum(turned * faces, axis=1)).max() < CHANCE
    stored = np.stack([np.frombuffer(one[17:-16], "<f4") for one in protection.protect(faces, tenant)])
    guesses = np.stack([unit(np.nan_to_num(np.clip(row.astype(np.float32), -1, 1))) for row in stored])
    assert np.abs(np.sum(guesses * faces, axis=1)).max() < CHANCE


def test_templates_of_two_tenants_cannot_be_linked(
    tenant: Tenant, other_tenant: Tenant, protection: SealedProtection
) -> None:
    faces = people(300)
    assert_unlinkable(*(protection.turn(faces, each, protection.epoch(each)) for each in (tenant, other_tenant)))


def test_templates_of_two_epochs_cannot_be_linked(tenant: Tenant, protection: SealedProtection) -> None:
    first = protection.epoch(tenant)
    turned = protection.turn(people(300), tenant, first)
    protection.secrets.add_epoch(tenant)
    assert protection.epoch(tenant) != first
    assert_unlinkable(turned, protection.turn(people(300), tenant, protection.epoch(tenant)))


@pytest.mark.parametrize("place", [0, 1, 5, 30, -1])
def test_what_was_changed_is_refused(tenant: Tenant, protection: SealedProtection, place: int) -> None:
    changed = bytearray(protection.protect([face(1)], tenant)[0])
    changed[place] ^= 1
    with pytest.raises((Tampered, KeysUnavailable)):
        protection.restore([Protected(bytes(changed))], tenant)


def test_what_belongs_elsewhere_is_refused(tenant: Tenant, other_tenant: Tenant, protection: SealedProtection) -> None:
    protection.protect([face(2)], other_tenant)
    (stored,) = protection.protect([face(1)], tenant)
    with pytest.raises(Tampered, match="another tenant, model or place"):
        protection.restore([stored], other_tenant)
    with pytest.raises(Tampered, match="another tenant, model or place"):
        SealedProtection("model-b", protection.secrets).restore([stored], tenant)
    sealed = protection.seal(b"state", tenant, "session 1")
    assert protection.unseal(sealed, tenant, "session 1") == b"state"
    with pytest.raises(Tampered):
        protection.unseal(sealed, tenant, "session 2")
    with pytest.raises(Tampered):
        protection.unseal(stored, tenant, "session 1")


def test_a_secret_of_another_tenant_is_refused(
    tenant: Tenant, other_tenant: Tenant, protection: SealedProtection
) -> None:
    for each in (tenant, other_tenant):
        protection.epoch(each)
    stolen = TemplateKey.objects.get(tenant=tenant).wrapped
    TemplateKey.objects.filter(tenant=other_tenant).update(wrapped=bytes(stolen))
    with pytest.raises(KeysUnavailable, match="the wrapped secret of epoch 1 of tenant globex was changed"):
        protection.epoch(other_tenant)


def test_with_another_master_key_nothing_is_read_and_nothing_new_is_made(
    tenant: Tenant, protection: SealedProtection
) -> None:
    (stored,) = protection.protect([face(1)], tenant)
    protection.check()
    wrong = worker_with(NEW)
    with pytest.raises(MasterKeyError, match=r"was wrapped by the master key [0-9a-f]{16}, and there are only"):
        wrong.check()
    for use in (
        lambda: wrong.restore([stored], tenant),
        lambda: wrong.protect([face(1)], tenant),
        lambda: wrong.turn(people(1), tenant, 1),
        lambda: wrong.epoch(tenant),
    ):
        with pytest.raises(KeysUnavailable, match="give that key, too, in FACE_TEMPLATE_KEY") as raised:
            use()
        assert raised.value.message == "the templates cannot be read now", "what clients are told"
    assert worker_with(NEW, OLD).restore([stored], tenant) == pytest.approx(protection.restore([stored], tenant))
    assert TemplateKey.across_tenants.count() == 1


@each_database
def test_after_wrapping_anew_the_old_master_key_is_needed_no_more(tenant: Tenant, protection: SealedProtection) -> None:
    (stored,) = protection.protect([face(1)], tenant)
    secrets = TenantSecrets(MasterKeys([NEW, OLD]))
    assert (secrets.rewrap(), secrets.rewrap()) == (1, 0)
    assert worker_with(NEW).restore([stored], tenant) @ face(1) == pytest.approx(1, abs=ROUNDING)
    with pytest.raises(KeysUnavailable):
        protection.restore([stored], tenant)


@each_database
def test_deleting_a_tenant_s_secrets_erases_its_gallery_at_once_in_every_worker(
    tenant: Tenant, other_tenant: Tenant, gallery: Gallery, other_worker: Gallery
) -> None:
    for each in (tenant, other_tenant):
        enrol(each, "alice", face(1), gallery=gallery)
        for one in (gallery, other_worker):
            assert one.verify(each, "alice", face(1), 1e-4) is not None
    TemplateKey.objects.filter(tenant=tenant).delete()
    for one in (gallery, other_worker):
        with pytest.raises(KeysUnavailable, match="the secret of epoch 1 of tenant acme was deleted"):
            one.verify(tenant, "alice", face(1), 1e-4)
        with pytest.raises(KeysUnavailable, match="were deleted: its templates cannot be read; delete its people"):
            one.protection.protect([face(2)], tenant)
        with pytest.raises(KeysUnavailable):
            enrol(tenant, "bob", face(2), gallery=one)
        assert one.verify(other_tenant, "alice", face(1), 1e-4) is not None
    Template.objects.filter(tenant=tenant).delete()
    enrol(tenant, "bob", face(2), gallery=other_worker)


def test_a_deleted_secret_leaves_the_memory_of_a_worker_that_does_not_use_it(
    tenant: Tenant, other_tenant: Tenant, protection: SealedProtection
) -> None:
    for each in (tenant, other_tenant):
        protection.epoch(each)
    TemplateKey.objects.filter(tenant=tenant).delete()
    protection.forget_deleted()
    assert [key[0] for key in protection.secrets._kept] == [other_tenant.pk]


@each_database
def test_workers_that_need_a_tenant_s_first_secret_at_once_make_one(tenant: Tenant) -> None:
    workers = [worker_with(OLD) for _ in range(4)]
    together = threading.Barrier(len(workers))

    def protect(worker: SealedProtection) -> Protected:
        together.wait(30)
        return worker.protect([face(1)], tenant)[0]

    with ThreadPoolExecutor(len(workers)) as threads:
        stored = [made.result(60) for made in [threads.submit(with_connection, protect, one) for one in workers]]
    assert TemplateKey.across_tenants.count() == 1
    assert worker_with(OLD).restore(stored, tenant) @ face(1) == pytest.approx(1, abs=ROUNDING)


def test_an_unprotected_template_is_refused_once_all_were_protected(
    tenant: Tenant, protection: SealedProtection
) -> None:
    plain = Protected(face(1).astype("<f4").tobytes())
    protection.restore([plain], tenant)
    protection.secrets.add_epoch(tenant)
    protection.restore([plain], tenant)
    TemplateKey.objects.filter(tenant=tenant, epoch=1).delete()
    with pytest.raises(Tampered, match="is not protected, although all of them were"):
        protection.restore([plain], tenant)
