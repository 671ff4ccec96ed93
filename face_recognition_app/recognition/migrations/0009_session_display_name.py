from django.db import migrations, models


class Migration(migrations.Migration):
    """The database has a default of its own, so that workers of the older version go on making sessions."""

    dependencies = [("recognition", "0008_attempts_left")]

    operations = [
        migrations.AddField(
            "session",
            "display_name",
            models.CharField(max_length=200, blank=True, default="", db_default=""),
        ),
    ]
