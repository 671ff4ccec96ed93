from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tenants", "0005_created_at_by_the_common_clock")]

    operations = [
        migrations.AddField(
            model_name="tenant",
            name="calibration",
            field=models.JSONField(
                help_text="What was measured of the tenant's gallery; null: the embedder's profile holds.", null=True
            ),
        ),
    ]
