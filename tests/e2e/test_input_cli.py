"""Bad input: exit 64 and one line that names the option or variable, what was wrong and what would be right.

Nothing here needs a server; whatever is wrong is found before anything is connected to or migrated."""
import json
import subprocess

import pytest

from pidns import BIN, LONG, actor, base_env, tool, gate, spawn  # noqa: F401 (fixtures)

OPTIONS = {
    "--name": "LOCKSTEP_NAME", "--lock": "LOCKSTEP_LOCK", "--database": "LOCKSTEP_DATABASE",
    "--migrate": "LOCKSTEP_MIGRATE", "--target": "LOCKSTEP_TARGET", "--target-files": "LOCKSTEP_TARGET_FILES",
    "--wait-timeout": "LOCKSTEP_WAIT_TIMEOUT", "--connect-timeout": "LOCKSTEP_CONNECT_TIMEOUT",
    "--migrate-timeout": "LOCKSTEP_MIGRATE_TIMEOUT", "--stop-grace": "LOCKSTEP_STOP_GRACE", "--lease": "LOCKSTEP_LEASE",
    "--retries": "LOCKSTEP_RETRIES", "--retry-delay": "LOCKSTEP_RETRY_DELAY", "--max-attempts": "LOCKSTEP_MAX_ATTEMPTS",
    "--on-failure": "LOCKSTEP_ON_FAILURE", "--unset": "LOCKSTEP_UNSET", "--log-format": "LOCKSTEP_LOG_FORMAT",
    "--log-level": "LOCKSTEP_LOG_LEVEL", "--schema": "LOCKSTEP_SCHEMA",
}
VERBS = ["run", "migrate", "wait", "check", "schema"]


def call(*words, env=None, **options):
    return subprocess.run([BIN, *map(str, words)], env=env or base_env(), stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=LONG, check=False, errors="surrogateescape", **options)


def refused(done, *said):
    """The contract of a usage error: 64, nothing on stdout, exactly one line on stderr that says all of these."""
    lines = done.stderr.splitlines()
    assert done.returncode == 64, (done.returncode, lines)
    assert done.stdout == ""
    assert len(lines) == 1 and done.stderr.endswith("\n"), lines
    assert lines[0].startswith("lockstep: error: ")
    for word in said:
        alternatives = word if isinstance(word, tuple) else (word,)
        assert any(a in lines[0] for a in alternatives), f"{alternatives} not in {lines[0]!r}"


@pytest.fixture
def good(tmp_path):
    """Options with which everything would be right; a case adds what is wrong."""
    return ["--lock", f"file:{tmp_path}/gate", "--target", "v1", "--migrate", "true"]


@pytest.fixture
def gone(tmp_path):
    """After the test: nothing was migrated."""
    marker = tmp_path / "migrated"
    yield f"touch {marker}"
    assert not marker.exists()


# --- words ------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("word", ["--no-such-option", "--lok", "--locks=file:/x", "-x", "-n", "--lease3s", "--Lock", "---"])
def test_unknown_option(word, good):
    """Bad input: an unknown option, before, between and after known ones. Options may not be abbreviated into it."""
    refused(call(*good, word, "true"), word.partition("=")[0])
    refused(call("migrate", word, *good), word.partition("=")[0])


@pytest.mark.parametrize("option", OPTIONS)
def test_option_without_value(option, good):
    """Bad input: the last word is an option that wants a value."""
    refused(call("check", *good, option), option)


@pytest.mark.parametrize("words", [[], ["run"], ["--"], ["run", "--"]], ids=repr)
def test_run_without_command(words, good):
    """Bad input: verb without what it needs: `run` needs a COMMAND."""
    head = words[:1] if words[:1] == ["run"] else []
    refused(call(*head, *good, *words[len(head):]), "COMMAND")


def test_nothing_at_all():
    """Bad input: no arguments, no environment: 64 and one line, not a page."""
    refused(call())


@pytest.mark.parametrize("verb", ["run", "migrate"])
def test_missing_migrate(verb, tmp_path):
    """Bad input: verbs that may migrate need --migrate; the message names flag and variable."""
    refused(call(verb, "--lock", f"file:{tmp_path}", "--target", "v1", *(["true"] if verb == "run" else [])),
            "--migrate", "LOCKSTEP_MIGRATE")


@pytest.mark.parametrize("verb", ["wait", "check"])
def test_migrate_is_not_needed(verb, tmp_path):
    """DESIGN 1: `wait`, `check` need no --migrate: they fail or end for other reasons only."""
    done = call(verb, "--lock", f"file:{tmp_path}/gate", "--target", "v1", "--wait-timeout", "50ms")
    assert done.returncode == {"wait": 124, "check": 1}[verb], done.stderr


@pytest.mark.parametrize("verb", ["migrate", "check", "schema"])
def test_command_where_none_belongs(verb, good):
    """Bad input: these verbs take no COMMAND; a typo must not be swallowed."""
    refused(call(verb, *good, "server.js"), "server.js")


# --- targets ----------------------------------------------------------------------------------------------------

def test_two_targets_as_flags(good, tmp_path, gone):
    """Bad input: two targets, --target and --target-files."""
    (tmp_path / "1.sql").write_text("")
    refused(call(*good, "--migrate", gone, "--target-files", tmp_path / "*.sql", "true"), "--target", "--target-files")


def test_two_targets_as_variables(good, tmp_path, gone):
    """Bad input: two targets, both from the environment."""
    (tmp_path / "1.sql").write_text("")
    env = base_env(LOCKSTEP_TARGET="v1", LOCKSTEP_TARGET_FILES=f"{tmp_path}/*.sql")
    refused(call("--lock", f"file:{tmp_path}/gate", "--migrate", gone, "true", env=env),
            ("--target", "LOCKSTEP_TARGET"), ("--target-files", "LOCKSTEP_TARGET_FILES"))


@pytest.mark.parametrize("flag", ["--target", "--target-files"])
def test_two_targets_as_flag_and_variable(flag, tmp_path, gone):
    """Bad input: two targets, one as a flag and the other as a variable: a flag wins over its own variable only."""
    (tmp_path / "1.sql").write_text("")
    values = {"--target": "v1", "--target-files": f"{tmp_path}/*.sql"}
    other = "--target-files" if flag == "--target" else "--target"
    env = base_env(**{OPTIONS[other]: values[other]})
    refused(call("--lock", f"file:{tmp_path}/gate", "--migrate", gone, flag, values[flag], "true", env=env), flag,
            (other, OPTIONS[other]))


def test_no_target(tmp_path, gone):
    """Bad input: no target at all (and nothing that could be detected): the message says what to add."""
    refused(call("--lock", f"file:{tmp_path}/gate", "--migrate", gone, "true", cwd=tmp_path), "--target")


@pytest.mark.parametrize("value", [""], ids=["empty"])
def test_empty_target(value, tmp_path, gone):
    """Bad input: an empty --target is no version."""
    refused(call("--lock", f"file:{tmp_path}/gate", "--migrate", gone, "--target", value, "true"), "--target")


def test_target_files_without_a_match(tmp_path, gone):
    """Bad input: --target-files matching nothing (a COPY that was forgotten) must not become "the empty version"."""
    done = call("--lock", f"file:{tmp_path}/gate", "--migrate", gone, "--target-files", f"{tmp_path}/none/*.sql", "true")
    refused(done, "--target-files", f"{tmp_path}/none/*.sql")


def test_one_of_two_globs_without_a_match(tmp_path, gone):
    """Bad input: the same for the second of two."""
    (tmp_path / "1.sql").write_text("")
    done = call("--lock", f"file:{tmp_path}/gate", "--migrate", gone, "--target-files", f"{tmp_path}/*.sql",
                "--target-files", f"{tmp_path}/none/*.sql", "true")
    refused(done, "--target-files", f"{tmp_path}/none/*.sql")


# --- values -----------------------------------------------------------------------------------------------------

DURATIONS = ["--wait-timeout", "--connect-timeout", "--migrate-timeout", "--stop-grace", "--lease", "--retry-delay"]
BAD_DURATIONS = ["", " ", "soon", "-1s", "-0.5", "10 s", "10sec", "1d", "1h30m x", "0x10", "1e3", "5S", "ms", "s",
                 "99999999999999999999", "9223372036854775807h", "nan", "inf", "1,5s", "٣s", "10s\n5s"]


@pytest.mark.parametrize("value", BAD_DURATIONS, ids=repr)
def test_bad_duration(value, good, gone):
    """Bad input: what is no duration, for one option as flag and for one as variable; the message quotes an example
    of what would be right (for an empty one it is enough to say that a value is missing)."""
    done = call(*good, "--migrate", gone, "--wait-timeout", value, "true")
    refused(done, "--wait-timeout", ("10s", "30s", "500ms", "1h") if value else "--wait-timeout")
    if value:  # an empty variable is how compose files spell "not set"
        refused(call(*good, "--migrate", gone, "true", env=base_env(LOCKSTEP_STOP_GRACE=value)), "LOCKSTEP_STOP_GRACE")


@pytest.mark.parametrize("option", DURATIONS)
def test_bad_duration_of_every_option(option, good, gone):
    """Bad input: every option that is a duration checks it, as flag and as variable."""
    refused(call(*good, "--migrate", gone, option, "soon", "true"), option, "soon")
    variable = OPTIONS[option]
    refused(call(*good, "--migrate", gone, "true", env=base_env(**{variable: "soon"})), variable, "soon")


@pytest.mark.parametrize("value", ["500ms", "30s", "10m", "1h", "2", "0"])
def test_good_duration(value, good):
    """DESIGN 1: 500ms 30s 10m 1h, a bare number is seconds."""
    assert call(*good, "--wait-timeout", value, "true").returncode == 0


@pytest.mark.parametrize("option", ["--retries", "--max-attempts"])
@pytest.mark.parametrize("value", ["", "x", "-1", "1.5", "2x", " 3 ", "0x1", "99999999999999999999", "+1x"], ids=repr)
def test_bad_integer(option, value, good, gone):
    """Bad input: what is no number of times."""
    refused(call(*good, "--migrate", gone, option, value, "true"), option)
    refused(call(*good, "--migrate", gone, "true", env=base_env(**{OPTIONS[option]: value or " "})), OPTIONS[option])


@pytest.mark.parametrize("value", ["2s", "2999ms", "0", "1", "1ms"])
def test_lease_too_short(value, good, gone):
    """Bad input: --lease is at least 3s, and the message says so."""
    refused(call(*good, "--migrate", gone, "--lease", value, "true"), "--lease", ("3s", "3000ms", "3 s"))


@pytest.mark.parametrize("option, value, right", [
    ("--on-failure", "ignore", "start"), ("--on-failure", "", "start"), ("--on-failure", "Exit", "exit"),
    ("--log-format", "xml", "json"), ("--log-format", "JSON", "json"), ("--log-format", "", "json"),
    ("--log-level", "loud", "debug"), ("--log-level", "warn ", "warning"), ("--log-level", "", "info"),
], ids=repr)
def test_bad_word(option, value, right, good, gone):
    """Bad input: a value that is none of the few right ones; the message lists them."""
    refused(call(*good, "--migrate", gone, option, value, "true"), option, right if value else option)
    if value:
        refused(call(*good, "--migrate", gone, "true", env=base_env(**{OPTIONS[option]: value})), OPTIONS[option], right)


@pytest.mark.parametrize("value", ["", " ", "a b", "a/b", "../x", "ü", "a" * 41, "a\nb", "a;b", "a'b", "{x}"], ids=repr)
def test_bad_name(value, good, gone):
    """Bad input: a gate's name is 1 to 40 of [A-Za-z0-9._-] (it becomes a file, a key, a channel)."""
    refused(call(*good, "--migrate", gone, "--name", value, "true"), "--name")
    if value.strip():
        refused(call(*good, "--migrate", gone, "true", env=base_env(LOCKSTEP_NAME=value)), "LOCKSTEP_NAME")


@pytest.mark.parametrize("value", ["a", "A-b_c.9", "a" * 40, "..a", "-x"], ids=repr)
def test_good_name(value, good):
    """The other side of that rule."""
    assert call(*good, "--name", value, "true").returncode == 0


# --- URLs -------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("url", ["mysql://u:pw9@h/db", "POSTGRES-QL+foo://u:pw9@h/db", "prisma://u:pw9@h/db", "postgre://u:pw9@h/db", "http://h/",
                                 "bareword", "://h", "postgres:u:pw9@h/db", "//h/db", "file", "/var/lib/x", "sqlite:x",
                                 "jdbc:mysql://h/db", "file://", "file://host/dir", "file:"], ids=repr)
def test_unknown_scheme(url):
    """Bad input: a --lock whose scheme nobody knows: libpq would take the whole string as a database's name. The
    message says which ones there are, and never the password. (`file://HOST/DIR` names another host: refused, too.)"""
    done = call("check", "--lock", url, "--target", "v1")
    refused(done, "--lock", ("postgres://", "file:"))
    assert "pw9" not in done.stderr


def test_unknown_scheme_in_a_variable(gone):
    """Bad input: the same, named by its variable."""
    env = base_env(LOCKSTEP_LOCK="mysql://u:pw9@h/db")
    done = call("--target", "v1", "--migrate", gone, "true", env=env)
    refused(done, "LOCKSTEP_LOCK")
    assert "pw9" not in done.stderr


@pytest.mark.parametrize("url", ["postgres://h:port/db", "postgres://h:0/db", "postgres://h:70000/db", "postgres://[::1/db",
                                 "postgres://u:a%00b@h/db", "postgres://h/db?connect_timeout",
                                 "postgres://h/db?password=x&no_such_parameter=1", "Host=h;no_such_item"], ids=repr)
def test_malformed_postgres_url(url, gone):
    """Bad input: right scheme, wrong rest: a configuration error at once, not a server that is waited for."""
    done = call("--lock", url, "--target", "v1", "--migrate", gone, "--connect-timeout", "500ms", "true")
    refused(done, "--lock")


# --- --migrate: exec form and shell form ------------------------------------------------------------------------

@pytest.mark.parametrize("value", ['["a"', '["a",', '["a", 1]', "[]", '["a"] x', '["a", null]', '[["a"]]',
                                   "['a']", '["a" "b"]', '["a\\q"]'], ids=repr)
def test_malformed_exec_form(value, tmp_path):
    """Bad input: malformed JSON in exec form for --migrate must not be handed to a shell as a command."""
    base = ["--lock", f"file:{tmp_path}/gate", "--target", "v1"]
    refused(call(*base, "--migrate", value, "true"), "--migrate")
    refused(call(*base, "true", env=base_env(LOCKSTEP_MIGRATE=value)), "LOCKSTEP_MIGRATE")


@pytest.mark.parametrize("value", ["", "   "], ids=repr)
def test_empty_migrate(value, tmp_path):
    """Bad input: an empty command is none."""
    refused(call("--lock", f"file:{tmp_path}/gate", "--target", "v1", "--migrate", value, "true"), "--migrate")


def output_of(gate, spawn, migrate, **options):
    replica = spawn(gate.argv(migrate, verb="migrate"), **options)
    assert replica.finish() == 0, replica.log()
    return [e["line"] for e in replica.events("output")]


@pytest.mark.parametrize("space", ["", " ", "\n  "], ids=repr)
def test_exec_form(space, gate, spawn):
    """DESIGN 1: a JSON array is exactly argv: no shell, no expansion, escapes decoded, empty words kept; white space
    around it is JSON's."""
    words = ["a", "b c", "", "$HOME", "*", "'q'", 'd"q', "é", "\\n", "-x", ";true"]
    assert output_of(gate, spawn, space + actor("args", *words) + space) == [f"[{w}]" for w in words]


def test_exec_form_with_escapes(gate, spawn):
    """DESIGN 1: JSON's escapes, surrogate pairs included."""
    text = json.dumps([tool("actor"), "args", "𝄞é\t"], ensure_ascii=True)
    assert "\\ud834" in text
    assert output_of(gate, spawn, text) == ["[𝄞é\t]"]


def test_shell_form(gate, spawn):
    """DESIGN 1: anything else runs by /bin/sh -c: words, quotes, variables, several commands."""
    script = f"""X='b c'; {tool("actor")} args a "$X" $X && echo $0-$#"""
    said = output_of(gate, spawn, script)
    assert said[:-1] == ["[a]", "[b c]", "[b]", "[c]"]
    assert said[-1].endswith("-0")


def test_shell_form_that_begins_with_a_bracket(gate, spawn, tmp_path):
    """DESIGN 1: anything that is no JSON array runs by the shell, but what begins with [ is more likely a broken array:
    it is refused, and the message says how to write the shell's [ instead; which works."""
    refused(call("--lock", f"file:{tmp_path}/gate", "--target", "v1", "--migrate", "[ -d / ] && echo yes", "true"),
            "--migrate", "test")
    assert output_of(gate, spawn, "test -d / && echo yes") == ["yes"]


# --- *_FILE -----------------------------------------------------------------------------------------------------

FILED = ["LOCKSTEP_LOCK", "LOCKSTEP_DATABASE", "DATABASE_URL"]


@pytest.mark.parametrize("name", FILED)
def test_both_value_and_file(name, tmp_path, gone, good):
    """Bad input: NAME and NAME_FILE both set is an error, as in the docker-library's images; the value is not said."""
    (tmp_path / "secret").write_text("postgres://u:pw9@h/db")
    env = base_env(**{name: "postgres://u:pw9@h/db", f"{name}_FILE": str(tmp_path / "secret")})
    options = good[2:] if name == "LOCKSTEP_LOCK" else good
    done = call(*options, "--migrate", gone, "true", env=env)
    refused(done, f"{name}_FILE")
    assert "pw9" not in done.stderr


@pytest.mark.parametrize("name", FILED)
@pytest.mark.parametrize("kind", ["missing", "directory", "empty"])
def test_unreadable_file(name, kind, tmp_path, gone, good):
    """Bad input: a NAME_FILE that cannot be read (or holds nothing): the message names the variable and the path."""
    path = tmp_path / "secret"
    if kind == "directory":
        path.mkdir()
    elif kind == "empty":
        path.write_text("\n\n")
    options = good[2:] if name == "LOCKSTEP_LOCK" else good
    done = call(*options, "--migrate", gone, "true", env=base_env(**{f"{name}_FILE": str(path)}))
    refused(done, f"{name}_FILE", str(path))


def test_lock_from_a_file(tmp_path):
    """DESIGN 1: the trailing newlines of a file are cut, as `$(< file)` does."""
    (tmp_path / "lock").write_text(f"file:{tmp_path}/gate\n\n")
    done = call("--target", "v1", "--migrate", "true", "true", env=base_env(LOCKSTEP_LOCK_FILE=str(tmp_path / "lock")))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "gate" / "default.json").exists()


# --- the right way ----------------------------------------------------------------------------------------------

def test_help():
    """--help: on stdout, exit 0, and it lists every verb, option and variable."""
    done = call("--help")
    assert (done.returncode, done.stderr) == (0, "")
    missing = [word for pair in OPTIONS.items() for word in pair if word not in done.stdout]
    assert not missing
    assert [verb for verb in VERBS if verb not in done.stdout] == []


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_a_verb(verb):
    """--help after a verb is help, too, and needs nothing else."""
    done = call(verb, "--help")
    assert (done.returncode, done.stderr) == (0, "") and "--lock" in done.stdout


def test_version():
    """--version: one line on stdout, exit 0."""
    done = call("--version")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert len(lines) == 1 and lines[0].startswith("lockstep ") and any(c.isdigit() for c in lines[0])


@pytest.mark.parametrize("verb", VERBS)
def test_program_named_like_a_verb(verb, good, tmp_path):
    """DESIGN 1: a program that is named like a verb goes after `--`."""
    (tmp_path / verb).write_text("#!/bin/sh\necho program $0 $1\n")
    (tmp_path / verb).chmod(0o755)
    env = base_env(PATH=f"{tmp_path}:/usr/bin:/bin")
    done = call(*good, "--", verb, "x", env=env)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["program", f"{tmp_path}/{verb}", "x"]
    assert call("run", *good, "--", verb, "x", env=env).stdout.split() == ["program", f"{tmp_path}/{verb}", "x"]


@pytest.mark.parametrize("form", ["separate", "equals"])
def test_flag_wins_over_variable(form, tmp_path):
    """DESIGN 1: every option is also a variable; the flag wins."""
    env = base_env(LOCKSTEP_NAME="from-variable", LOCKSTEP_LOCK=f"file:{tmp_path}/a", LOCKSTEP_TARGET="v1",
                   LOCKSTEP_MIGRATE="exit 3")
    words = {"--name": "from-flag", "--lock": f"file:{tmp_path}/b", "--migrate": "true"}
    argv = [w for pair in words.items() for w in ([*pair] if form == "separate" else ["=".join(pair)])]
    done = call(*argv, "true", env=env)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "b" / "from-flag.json").exists() and not (tmp_path / "a").exists()


def test_flag_wins_over_a_bad_variable(good):
    """The flag wins also when the variable's value would be refused: it is not looked at."""
    assert call(*good, "--lease", "5s", "true", env=base_env(LOCKSTEP_LEASE="5s")).returncode == 0


def test_variables_alone_are_enough(tmp_path):
    """DESIGN 1: CMD ["bun","server.js"] with nothing but ENV."""
    env = base_env(LOCKSTEP_LOCK=f"file:{tmp_path}/a", LOCKSTEP_TARGET="v1", LOCKSTEP_MIGRATE="true")
    done = call("echo", "app", env=env)
    assert (done.returncode, done.stdout) == (0, "app\n"), done.stderr


def test_database_variable_before_database_url(tmp_path, gone):
    """DESIGN 1: LOCKSTEP_DATABASE, then DATABASE_URL; and --lock's default is --database if that is Postgres."""
    env = base_env(LOCKSTEP_DATABASE="postgres://u:pw9@127.0.0.1:1/first",
                   DATABASE_URL="postgres://u:pw9@127.0.0.1:2/second")
    done = call("check", "--target", "v1", "--log-format", "json", "--log-level", "debug", env=env)
    assert done.returncode == 125
    starting = [json.loads(x) for x in done.stderr.splitlines() if '"starting"' in x]
    assert "127.0.0.1:1" in starting[0]["lock"] or "first" in starting[0]["lock"]
    assert "pw9" not in done.stderr


# --- JSON -------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("how", ["flag", "variable"])
@pytest.mark.parametrize("words", [["--lease", "1s"], ["--no-such"], ["--lock", "bareword"], ["--name", "a b"],
                                   ["--wait-timeout", 'qu"ote\\'], ["--wait-timeout", "\x01\x1b[31m"]], ids=repr)
def test_error_is_an_object_in_json(words, how, good, gone):
    """Logs: with --log-format json the usage error is one JSON object a line as well: time, level, event, message."""
    env = base_env(LOCKSTEP_LOG_FORMAT="json") if how == "variable" else base_env()
    flag = ["--log-format", "json"] if how == "flag" else []
    done = call(*flag, *good, "--migrate", gone, *words, "true", env=env)
    assert done.returncode == 64
    (line,) = done.stderr.splitlines()
    said = json.loads(line)
    assert (said["level"], said["event"], said["code"]) == ("error", "error", 64)
    assert words[0] in said["message"] and said["time"].endswith("Z")


@pytest.mark.parametrize("variable, value", [("LOCKSTEP_NAME", "a b"), ("LOCKSTEP_WAIT_TIMEOUT", "soon"),
                                             ("LOCKSTEP_RETRIES", "x"), ("LOCKSTEP_LOG_LEVEL", "loud")])
def test_error_of_a_variable_is_an_object_in_json(variable, value, good, gone):
    """Logs: the same when both come by variables, whatever the order in which they are read."""
    done = call(*good, "--migrate", gone, "true", env=base_env(LOCKSTEP_LOG_FORMAT="json", **{variable: value}))
    assert done.returncode == 64
    (line,) = done.stderr.splitlines()
    assert variable in json.loads(line)["message"]


@pytest.mark.parametrize("value", [b"\xff\xfe", b"a\nb", b"\x1b[31mred", b"a\rb"], ids=repr)
def test_odd_bytes_in_a_value_stay_one_line(value, good, gone):
    """Bad input: whatever bytes the value has, the error is one line, and the terminal is not driven by it."""
    argv = [BIN.encode(), *(w.encode() for w in good), b"--migrate", gone.encode(), b"--lease", value, b"true"]
    done = subprocess.run(argv, env=base_env(), stdin=subprocess.DEVNULL, capture_output=True, timeout=LONG,
                          check=False)
    assert done.returncode == 64
    assert done.stderr.count(b"\n") == 1 and done.stderr.endswith(b"\n")
    assert b"\x1b" not in done.stderr and b"\r" not in done.stderr


def test_schema_verb_needs_no_server():
    """DESIGN 1: `lockstep schema` prints the DDL on stdout, also without any lock or target."""
    done = call("schema")
    assert done.returncode == 0, done.stderr
    assert "create table" in done.stdout.lower() and "lockstep" in done.stdout


@pytest.mark.parametrize("value", ["", "a b; drop", 'a"b', "x" * 63], ids=repr)
def test_odd_schema_name_is_quoted_or_refused(value):
    """Bad input: a --schema that is no plain name is refused, or comes out quoted: never as SQL."""
    done = call("schema", "--schema", value)
    if done.returncode == 0:
        assert '"' + value.replace('"', '""') + '"' in done.stdout and len(value) <= 63
    else:
        refused(done, "--schema")


def test_file_gate_in_a_place_that_cannot_be(tmp_path, gone):
    """A file gate whose directory is a file: 125 or 64, one line, and it names the path."""
    (tmp_path / "plain").write_text("")
    done = call("--lock", f"file:{tmp_path}/plain", "--target", "v1", "--migrate", gone, "true")
    assert done.returncode in (64, 125)
    assert f"{tmp_path}/plain" in done.stderr
