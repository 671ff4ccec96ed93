from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tenants", "0008_consent_and_expiry")]

    operations = [
        migrations.AddField(
            model_name="tenant",
            name="gallery_model",
            field=models.JSONField(
                help_text="The embedder that made the tenant's templates; null: there are none.", null=True
            ),
        ),
    ]
