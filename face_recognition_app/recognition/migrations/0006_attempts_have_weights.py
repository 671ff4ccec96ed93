"""Failures get a weight, and devices one spelling; what is locked stays so."""

import unicodedata

from django.db import migrations
from django.db.models import F


def device_key(device_id):
    folded = unicodedata.normalize("NFC", device_id.strip()).casefold()
    return unicodedata.normalize("NFC", folded)


def weigh(apps, schema_editor):
    counters = apps.get_model("recognition", "FailedAttempts").objects
    kept = set()
    # Of two spellings of one device the counter that is locked for longer comes first, and stays.
    longest_first = list(counters.order_by(F("locked_until").desc(nulls_last=True), "-stale_at"))
    for counter in longest_first:
        key = device_key(counter.key) if counter.kind == "device" else counter.key
        name = (counter.tenant_id, counter.kind, key)
        if name in kept:
            counter.delete()
        kept.add(name)
    for counter in counters.all():
        if counter.kind == "device":
            counter.key = device_key(counter.key)
        counter.failed_at = [[at, 1.0] for at in counter.failed_at]
        counter.save()


class Migration(migrations.Migration):
    dependencies = [("recognition", "0005_holds_and_known_devices")]

    operations = [migrations.RunPython(weigh, migrations.RunPython.noop)]
