"""examples/django: Django itself says whether something is pending."""

from harness.examples import assert_migrates_once


def test_django(new_example):
    example = new_example("django")
    assert_migrates_once(example, lambda answer: [order["item"] for order in answer] == ["teapot", "cup", "spoon"],
                         worker_says="packed order 3")
    assert all(order["state"] == "packed" for order in example.get("api"))
