# Several keys per tenant, each with a name, scopes and an end. Those that exist keep all they could do.

import uuid

import django.db.models.deletion
from django.db import migrations, models

EVERYTHING = ["sessions", "subjects", "faces", "read", "admin"]


def everything():
    return list(EVERYTHING)


def give_ids(apps, schema_editor):
    keys = apps.get_model("tenants", "ApiKey").objects
    for primary_key in keys.values_list("pk", flat=True):
        keys.filter(pk=primary_key).update(public_id=uuid.uuid4())


class Migration(migrations.Migration):

    dependencies = [
        ('tenants', '0002_policy'),
    ]

    operations = [
        migrations.AddField(
            model_name='apikey',
            name='name',
            field=models.CharField(default='default', max_length=64),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name='apikey',
            name='scopes',
            field=models.JSONField(default=everything, help_text='Names of what the key may be used for.'),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name='apikey',
            name='prefix',
            field=models.CharField(blank=True, default='', max_length=16),
        ),
        migrations.AddField(
            model_name='apikey',
            name='expires_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='apikey',
            name='last_used_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='apikey',
            name='successor',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='tenants.apikey'),
        ),
        migrations.AddField(
            model_name='apikey',
            name='public_id',
            field=models.UUIDField(default=uuid.uuid4, editable=False, null=True),
        ),
        migrations.RunPython(give_ids, migrations.RunPython.noop),
        migrations.AlterField(
            model_name='apikey',
            name='public_id',
            field=models.UUIDField(default=uuid.uuid4, editable=False, unique=True),
        ),
    ]
