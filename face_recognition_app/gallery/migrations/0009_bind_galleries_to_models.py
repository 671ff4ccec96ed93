from typing import Any

from django.db import migrations

DIMENSION = 512


def bind(apps: Any, schema_editor: Any) -> None:
    """Note of every tenant the model of its newest template. Of the digest only the beginning is known."""
    Tenant, Template = apps.get_model("tenants", "Tenant"), apps.get_model("gallery", "Template")
    for tenant in Tenant.objects.filter(gallery_model__isnull=True).iterator():
        newest = Template.objects.filter(tenant=tenant).order_by("-pk").values_list("model_id", flat=True).first()
        if newest is not None:
            model = {"model_id": newest, "digest": newest, "dimension": DIMENSION}
            Tenant.objects.filter(pk=tenant.pk).update(gallery_model=model)


class Migration(migrations.Migration):
    dependencies = [("gallery", "0008_template_keys"), ("tenants", "0009_gallery_model")]

    operations = [migrations.RunPython(bind, migrations.RunPython.noop)]
