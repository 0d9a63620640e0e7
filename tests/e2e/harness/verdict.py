"""How a replica that could not go on has ended: with the right status, and one line that says why."""


def error_of(replica, status=125):
    """The message of its last event, which is its only error."""
    replica.expect_exit(status)
    errors = [event for event in replica.events if event["level"] == "error"]
    assert len(errors) == 1 and errors[0] is replica.events[-1] and errors[0]["event"] == "error", replica.story()
    assert errors[0]["code"] == status and "\n" not in errors[0]["message"], replica.story()
    return errors[0]["message"]


def warnings_of(replica):
    return [event["message"] for event in replica.events if event["level"] == "warning"]


def assert_says(message, *words):
    """Each of `words` is in it; of a tuple, one is enough."""
    for word in words:
        alternatives = word if isinstance(word, tuple) else (word,)
        assert any(alternative in message for alternative in alternatives), f"{alternatives} not in {message!r}"


def assert_refused(stage, url, *words, **kwargs):
    """Whoever looks and whoever starts ends at once (--connect-timeout is a minute), with these words and no second try."""
    for verb in ("check", "migrate"):
        replica = stage.start(url=url, verb=verb, **kwargs)
        replica.wait_exit(30)
        assert_says(error_of(replica), *words)
        assert not replica.saw("unavailable"), replica.story()


def assert_tried_again(stage, url, *words, looks=True, **kwargs):
    """Whoever starts tries again until --connect-timeout, and says why once. `looks`: looking is refused too, and that at once."""
    look = stage.start(url=url, verb="check", **kwargs)
    look.wait_exit(30)
    if looks:
        assert_says(error_of(look), *words)
    else:
        assert look.wait_exit() == 1, look.story()
    replica = stage.start("--connect-timeout", "1s", url=url, verb="migrate", **kwargs)
    assert_says(error_of(replica), "--connect-timeout", *words)
    [warning] = warnings_of(replica)
    assert_says(warning, "trying again", *words)
