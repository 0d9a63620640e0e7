from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("orders", "0001_initial")]

    operations = [
        migrations.AddField("order", "state", models.CharField(default="new", max_length=10)),
        migrations.AddField(
            "order",
            "packed_by",
            models.CharField(blank=True, default="", max_length=100),
            preserve_default=False,
        ),
    ]
