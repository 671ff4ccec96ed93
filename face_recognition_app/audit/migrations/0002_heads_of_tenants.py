from django.db import migrations


def begin_chains(apps, schema_editor):
    """Sign an empty chain for each tenant that is there already, so that a head which is missing later was removed."""
    from audit.sealing import head_signature

    heads = apps.get_model("audit", "AuditHead").objects
    for tenant in apps.get_model("tenants", "Tenant").objects.filter(audit_head=None):
        head = heads.model(tenant_id=tenant.pk)
        head.begun = 0  # A column of a later migration, which signatures cover.
        head.signature = head_signature(head)
        head.save(force_insert=True)


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_initial")]

    operations = [migrations.RunPython(begin_chains, migrations.RunPython.noop)]
