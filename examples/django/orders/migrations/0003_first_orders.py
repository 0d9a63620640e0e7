from django.db import migrations


def add_first_orders(apps, schema_editor):
    Order = apps.get_model("orders", "Order")
    Order.objects.bulk_create(
        [Order(item="teapot"), Order(item="cup", quantity=4), Order(item="spoon", quantity=4)]
    )


class Migration(migrations.Migration):
    dependencies = [("orders", "0002_order_state_order_packed_by")]

    operations = [migrations.RunPython(add_first_orders, migrations.RunPython.noop)]
