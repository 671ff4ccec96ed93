from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("audit", "0002_heads_of_tenants")]

    operations = [
        migrations.AddField("audithead", "begun", models.PositiveBigIntegerField(default=0, db_default=0)),
    ]
