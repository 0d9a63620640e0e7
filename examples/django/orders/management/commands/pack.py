import socket
import time

from django.core.management.base import BaseCommand
from django.db import transaction

from orders.models import Order


class Command(BaseCommand):
    help = "Packs new orders, one after the other, for ever"

    def handle(self, *args, **options):
        while True:
            if not self.pack_one():
                time.sleep(1)

    @transaction.atomic
    def pack_one(self):
        order = Order.objects.select_for_update(skip_locked=True).filter(state="new").order_by("id").first()
        if order is None:
            return False
        order.state = "packed"
        order.packed_by = socket.gethostname()
        order.save()
        self.stdout.write(f"packed order {order.id}: {order.quantity} x {order.item}")
        return True
