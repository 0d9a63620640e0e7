"""examples/rails: Rails on Postgres."""

from harness.examples import assert_migrates_once

BOOKS = ["Emma", "Middlemarch", "Walden"]


def test_rails(new_example):
    example = new_example("rails")
    assert_migrates_once(example, lambda answer: [book["title"] for book in answer] == BOOKS, worker_says="3 books")
