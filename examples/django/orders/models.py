from django.db import models


class Order(models.Model):
    item = models.CharField(max_length=100)
    quantity = models.PositiveIntegerField(default=1)
    state = models.CharField(max_length=10, default="new")
    packed_by = models.CharField(max_length=100, blank=True)
