from django.http import JsonResponse

from .models import Order


def orders(request):
    rows = Order.objects.order_by("id").values("id", "item", "quantity", "state", "packed_by")
    return JsonResponse(list(rows), safe=False)
