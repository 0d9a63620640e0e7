"""examples/go: Go and dbmate on Postgres, in an image that has no shell."""

from harness.examples import assert_migrates_once


def test_go(new_example):
    example = new_example("go")
    assert_migrates_once(example, lambda answer: [order["item"] for order in answer] == ["lamp", "chair", "table"],
                         worker_says="shipped order 3")
    assert all(order["shipped"] for order in example.get("api"))
