"""The checker itself: a witness that never objects would prove nothing."""

import pytest

from harness.checker import Journal, assert_records_agree


@pytest.fixture
def journal(tmp_path):
    journal = Journal(tmp_path / "journal")

    def write(*lines):
        journal.path.write_text("".join(f"{line}\n" for line in lines))
        return journal
    return write


def test_two_commands_at_once_are_found(journal):
    """A last tick after the next command's start is an overlap, also when the later command has ended by then."""
    with pytest.raises(AssertionError):
        journal("start 100 1 1 1", "start 110 2 2 2", "tick 111 1 1 1").assert_no_overlap()
    with pytest.raises(AssertionError):
        journal("start 100 1 1 1", "tick 130 9 1 1", "start 110 2 2 2", "end 120 2 2 2").assert_no_overlap()
    journal("start 100 1 1 1", "tick 105 1 1 1", "start 110 2 2 2", "end 120 2 2 2").assert_no_overlap()


def test_a_token_that_goes_back_is_found(journal):
    with pytest.raises(AssertionError):
        journal("start 100 1 2 1", "start 110 2 1 2").assert_tokens_grow()


def test_an_app_before_the_version_is_found(journal):
    with pytest.raises(AssertionError):
        journal("start 100 1 1 1", "app 105 5 - 5", "end 110 1 1 1").assert_apps_after_success()
    with pytest.raises(AssertionError):
        journal("app 105 5 - 5").assert_apps_after_success()


def test_a_second_application_is_found(journal):
    with pytest.raises(AssertionError):
        journal("start 1 1 1 1", "end 2 1 1 1", "start 3 2 2 2", "end 4 2 2 2").assert_applied_once()


def test_a_success_that_was_none_is_found(journal):
    run = {"token": 1, "state": "succeeded", "exit_status": 0, "finished_at": "now"}
    assert_records_agree([run], journal("start 1 1 1 1", "end 2 1 1 1"))
    with pytest.raises(AssertionError):
        assert_records_agree([run], journal("start 1 1 1 1", "fail 2 1 1 1"))
    with pytest.raises(AssertionError):
        assert_records_agree([run | {"exit_status": 1}], journal("start 1 1 1 1", "end 2 1 1 1"))
    with pytest.raises(AssertionError):
        assert_records_agree([run, run], journal("start 1 1 1 1", "end 2 1 1 1"))
