from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("recognition", "0011_session_consent")]

    operations = [
        migrations.AddField(
            "session", "begun_by", models.CharField(blank=True, db_default="", default="", max_length=36)
        ),
    ]
