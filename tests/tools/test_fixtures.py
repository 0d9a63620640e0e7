"""What the rows of tools.py say about each tool, seen with the tool by itself, without lockstep."""

import pytest

from kit.project import OLDER, OTHER


def ok(done):
    assert done.status == 0, done.output


def fails(done, status, words):
    assert done.status == status, done.output
    assert words in done.output, done.output


def applied(project):
    ok(project.run())
    project.assert_applied_once()
    return project


def test_applies_each_migration_once(project):
    project = applied(project())
    assert len(project.started()) == 1
    ok(project.check())
    ok(project.run())
    project.assert_applied_once()


def test_a_newer_image_applies_only_the_new_one(project):
    project = applied(project())
    project.add_migration()
    ok(project.run())
    project.assert_applied_once()


def test_a_database_that_is_ahead(project):
    project = applied(project())
    project.add_migration()
    ok(project.run())
    history = project.history()
    project.without_newest()
    fails(project.run(), *project.tool.ahead)
    assert project.history() == history


def test_a_database_of_another_branch(project):
    project = applied(project())
    history = project.history()
    project.diverge()
    done = project.run()
    fails(done, *project.tool.diverged)
    assert project.history() == history or (done.status == 0 and project.key(OTHER) in project.history())
    assert (done.status == 0) == (project.journal()[OTHER.name] == 1)


def test_a_migration_that_comes_late(project):
    project = applied(project())
    project.back_date()
    done = project.run()
    assert (done.status == 0) == (project.tool.back_dated != "refused"), done.output
    assert project.journal()[OLDER.name] == (project.tool.back_dated == "applied")


def test_a_migration_that_fails(project):
    project = applied(project())
    history = project.history()
    assert project.fail().status != 0
    assert project.history() == history
    if project.tool.dirty == "failed":
        project.heal()
        fails(project.run(), 1, project.tool.dirty_says)
        ok(project.repair())
    else:
        assert project.run().status != 0
    project.heal()
    ok(project.run())
    assert project.tool.same(project, project.history())


def test_a_tool_that_is_killed(project):
    project = applied(project())
    history = project.history()
    assert project.kill().status == -9
    assert project.history() == history
    project.heal()
    if project.tool.dirty:
        fails(project.run(), 1, project.tool.dirty_says)
        ok(project.repair())
    ok(project.run())
    assert project.tool.same(project, project.history())


def test_things_beside_the_migrations(project):
    project = project()
    project.noise()
    applied(project)


@pytest.mark.tools(lambda tool: tool.movable)
def test_a_history_table_of_another_name(project):
    project = project()
    project.other_table()
    applied(project)
    ok(project.run())
    project.assert_applied_once()


@pytest.mark.tools(lambda tool: tool.tenant)
def test_a_history_table_in_another_schema(tool, project):
    project = project(tool.tenant)
    project.database.query("CREATE SCHEMA tenant AUTHORIZATION app")
    applied(project)
    assert not project.database.query("SELECT 1 FROM pg_tables WHERE schemaname = 'public'")


@pytest.mark.tools(lambda tool: tool.double)
def test_two_files_with_one_id(project):
    project = project()
    project.double()
    assert (project.run().status == 0) == (project.tool.double == "applied")


@pytest.mark.tools(lambda tool: tool.many)
def test_five_thousand_migrations(project):
    project = project()
    project.many(5000)
    ok(project.run())
    assert len(project.history()) == 5003
