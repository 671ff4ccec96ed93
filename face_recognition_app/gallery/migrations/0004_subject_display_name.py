from django.db import migrations, models


class Migration(migrations.Migration):
    """The database has a default of its own, so that workers of the older version go on adding subjects."""

    dependencies = [("gallery", "0003_changed_at_by_the_common_clock")]

    operations = [
        migrations.AddField(
            "subject",
            "display_name",
            models.CharField(
                max_length=200, blank=True, default="", db_default="", help_text="The person's name, as it is shown."
            ),
        ),
    ]
