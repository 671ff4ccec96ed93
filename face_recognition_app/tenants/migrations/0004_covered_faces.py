# Whether people with a covered mouth or nose may be recognised. Nobody's choice so far was yes.

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tenants", "0003_several_keys_with_scopes")]

    operations = [
        migrations.AddField(
            "tenant",
            "covered_faces",
            models.BooleanField(default=False, help_text="Whether masked people may be recognised."),
        ),
    ]
