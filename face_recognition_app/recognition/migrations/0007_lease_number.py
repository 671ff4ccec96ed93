from django.db import migrations, models


class Migration(migrations.Migration):
    """`fence` is called `lease_number`. Its column stays, so that workers of the older version go on."""

    dependencies = [
        ("recognition", "0006_attempts_have_weights"),
    ]

    operations = [
        migrations.AlterField(
            model_name="session",
            name="fence",
            field=models.PositiveBigIntegerField(db_column="fence", default=0),
        ),
        migrations.RenameField(model_name="session", old_name="fence", new_name="lease_number"),
    ]
