from django.db import migrations, models


class Migration(migrations.Migration):
    """Decisions keep how many failed attempts were left, so that whoever asks is told the same."""

    dependencies = [
        ("recognition", "0007_lease_number"),
    ]

    operations = [
        migrations.AddField(
            model_name="decision",
            name="attempts_left",
            field=models.PositiveIntegerField(null=True),
        ),
    ]
