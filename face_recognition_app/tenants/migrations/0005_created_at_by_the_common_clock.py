# The time of a key's creation comes from the clock that all processes agree on (database/clock.py).

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tenants", "0004_covered_faces")]

    operations = [
        # The column stays as it is.
        migrations.SeparateDatabaseAndState(
            state_operations=[migrations.AlterField("apikey", "created_at", models.DateTimeField())]
        )
    ]
