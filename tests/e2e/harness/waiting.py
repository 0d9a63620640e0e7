"""Waiting for facts instead of sleeping."""

import time

PATIENCE = 60.0  # seconds; no test depends on the speed of the machine, so this is only the price of a failure


def eventually(condition, timeout=PATIENCE, what=None, every=0.02):
    """Polls condition() until it is true and returns its value; fails after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout:.0f} s: {what or getattr(condition, '__name__', condition)}")
        time.sleep(every)


def lasting(seconds):
    """Lets `seconds` pass. Only for faults whose meaning is their duration (a pause longer than the lease)."""
    time.sleep(seconds)


def boottime_ns():
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)
