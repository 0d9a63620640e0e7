"""lockstep with each real tool: the user has said LOCKSTEP_TOOL, and nothing else."""

import os

import pytest

from kit.project import OLDER, OTHER
from tools import CHECK, HEAD, LAST, SET

ROUNDS = int(os.environ.get("LOCKSTEP_TOOL_ROUNDS") or (2 if "debug" in os.environ.get("LOCKSTEP_BIN", "") else 20))
NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
APP = "the app runs"
USAGE, CANNOT_GO_ON = 64, 125


def passes(replica):
    replica.expect_exit(0, 180)
    assert replica.stdout == APP, replica.story()
    return replica


def fails(replica, status):
    replica.expect_exit(status, 180)
    assert not replica.stdout, replica.story()
    return replica


def words(replica, level):
    return "\n".join(event["message"] for event in replica.events if event["level"] == level and "message" in event)


def assert_passes_without_tool(project, replica, event):
    """It passes and says `event`; the tool is not started."""
    before = project.started()
    passes(replica)
    assert replica.saw(event), replica.story()
    assert not replica.saw("migrating"), replica.story()
    assert project.started() == before, "the tool was started"


@pytest.fixture
def applied(project, start):
    """applied(): a project whose image has started once, on a database that was empty."""
    def create(query=""):
        made = project(query)
        if query:
            made.database.query("CREATE SCHEMA tenant AUTHORIZATION app")
        passes(start(made))
        made.assert_applied_once()
        return made
    return create


def test_five_replicas_on_an_empty_database(project, start, cluster):
    project = project()
    for _ in range(max(1, ROUNDS // 10) if project.tool.slow else ROUNDS):
        project.use(cluster.database())
        for replica in [start(project) for _ in range(5)]:
            passes(replica)
        assert len(project.started()) == 1, f"the tool was started {len(project.started())} times"
        project.assert_applied_once()


def test_a_second_start_does_not_start_the_tool(applied, start):
    project = applied()
    assert_passes_without_tool(project, start(project), "satisfied")


def test_a_newer_image_applies_what_is_new_once(applied, start):
    project = applied()
    project.add_migration()
    for replica in [start(project) for _ in range(3)]:
        passes(replica)
    assert len(project.started()) == 2
    project.assert_applied_once()


def test_a_database_that_is_ahead(applied, start):
    project = applied()
    project.add_migration()
    passes(start(project))
    project.without_newest()
    assert_passes_without_tool(project, start(project), "satisfied" if project.tool.compare == CHECK else "ahead")


def test_a_database_of_another_branch(applied, start):
    project = applied()
    gone = project.migrations[-1]
    project.diverge()
    if project.tool.compare == HEAD:  # the table does not tell this from a database that is ahead
        assert_passes_without_tool(project, start(project), "ahead")
        return
    status, said = project.tool.diverged
    replica = start(project)
    (fails(replica, status) if status else passes(replica))
    assert len(project.started()) == 2
    assert said in "\n".join(event["line"] for event in replica.saw("output"))
    assert project.journal()[OTHER.name] == (status == 0)
    if project.tool.compare == SET:
        assert project.shown(gone) in words(replica, "warning"), replica.story()


def test_a_migration_that_comes_late(applied, start):
    project = applied()
    project.back_date()
    replica = start(project)
    if len(set(project.keys())) < len(project.keys()):
        fails(replica, USAGE)
    elif project.tool.back_dated == "refused":
        replica.wait_exit(180)
        assert replica.wait_exit() in (1, 2) and replica.saw("failed"), replica.story()
    elif project.tool.compare == LAST:  # the tool does not look at it, and so does lockstep
        assert_passes_without_tool(project, replica, "satisfied")
    else:
        passes(replica)
        assert project.journal()[OLDER.name] == 1
        assert_passes_without_tool(project, start(project), "satisfied")


@pytest.mark.tools(lambda tool: tool.dirty != "failed")
def test_a_migration_that_fails_ends_with_the_tools_status(applied, start):
    project = applied()
    status = project.fail().status
    replica = fails(start(project), status)
    assert replica.saw("failed", status=status), replica.story()
    project.heal()
    passes(start(project))
    assert project.key(project.migrations[-1]) in project.history()


@pytest.mark.tools(lambda tool: tool.dirty)
def test_what_only_a_person_can_repair(applied, start):
    project = applied()
    failed = project.fail() if project.tool.dirty == "failed" else project.kill()
    assert failed.status != 0
    before = project.started()
    replica = fails(start(project), CANNOT_GO_ON)
    assert project.started() == before, "the tool was started"
    error = words(replica, "error")
    remedy = project.tool.repair.replace("node_modules/.bin/", "").replace("{key}", "").split(" -d ")[0].strip()
    assert remedy in error, f"{remedy} is not in: {error}"
    if project.tool.dirty == "failed":
        assert project.key(project.migrations[-1]) in error, error
        assert "division by zero" in error, error
    project.heal()
    assert project.repair().status == 0
    passes(start(project))
    assert project.key(project.migrations[-1]) in project.history()


def test_things_beside_the_migrations(project, start):
    project = project()
    project.noise()
    passes(start(project))
    project.assert_applied_once()
    assert_passes_without_tool(project, start(project), "satisfied")


@pytest.mark.tools(lambda tool: tool.movable)
def test_a_history_table_of_another_name(project, start):
    project = project()
    project.other_table()
    passes(start(project))
    project.assert_applied_once()
    assert_passes_without_tool(project, start(project), "satisfied")


@pytest.mark.tools(lambda tool: tool.tenant)
def test_a_history_table_in_another_schema(tool, applied, start):
    project = applied(tool.tenant)
    assert not project.database.query("SELECT 1 FROM pg_tables WHERE schemaname = 'public'")
    assert_passes_without_tool(project, start(project), "satisfied")


@pytest.mark.parametrize("mode", [0, 0o644], ids=["closed", "listed"])
@pytest.mark.tools(lambda tool: tool.compare != CHECK)
def test_a_folder_that_cannot_be_read(mode, project, start):
    project = project()
    unread = project.folder / project.tool.reads if project.tool.reads else project.directory
    unread.chmod(mode if unread.is_dir() else 0)
    replica = fails(start(project, inside=NOBODY), USAGE)
    assert (project.tool.reads or project.tool.directory) in words(replica, "error"), replica.story()
    assert not project.started()


@pytest.mark.tools(lambda tool: tool.name == "yoyo")
def test_several_folders(project, start):
    project = project()
    (project.folder / "more").mkdir()
    newest = project.path(project.migrations[-1])
    newest.rename(project.folder / "more" / newest.name)
    (project.folder / "yoyo.ini").write_text("[DEFAULT]\nsources = %(here)s/migrations\n    ./more\n")
    passes(start(project))
    assert project.keys() == [project.key(migration) for migration in project.migrations]
    assert_passes_without_tool(project, start(project), "satisfied")


@pytest.mark.tools(lambda tool: tool.double)
def test_two_files_with_one_id(project, start):
    project = project()
    project.double()
    replica = start(project)
    if project.tool.double == "applied":
        passes(replica)
        assert_passes_without_tool(project, start(project), "satisfied")
    else:
        fails(replica, USAGE)
        assert not project.started()
        assert project.shown(project.migrations[-1]) in words(replica, "error"), replica.story()


@pytest.mark.tools(lambda tool: tool.many)
def test_five_thousand_migrations(project, start):
    project = project()
    project.many(5000)
    passes(start(project))
    assert len(project.history()) == 5003
    assert_passes_without_tool(project, start(project), "satisfied")
