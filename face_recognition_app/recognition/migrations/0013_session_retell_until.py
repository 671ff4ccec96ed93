from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("recognition", "0012_session_begun_by")]

    operations = [migrations.AddField("session", "retell_until", models.DateTimeField(null=True))]
