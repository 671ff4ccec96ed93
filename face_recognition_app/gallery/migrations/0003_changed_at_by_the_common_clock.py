# The time of a change comes from the clock that all processes agree on (database/clock.py).

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("gallery", "0002_template_changes")]

    operations = [
        # The column stays as it is.
        migrations.SeparateDatabaseAndState(
            state_operations=[migrations.AlterField("templatechange", "changed_at", models.DateTimeField())]
        )
    ]
