#include "user.h"

#include "unit.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define GROUPS_MAX 4

static void make_files(void)
{
    unit_file("passwd",
              "root:x:0:0:root:/root:/bin/sh\n"
              "app:x:1000:1001::/home/app:/bin/sh\n"
              "\n"
              "half:x\n"
              "app:x:7:7::/second:/bin/sh\n"
              "twin:x:1000:9::/twin:/bin/sh\n"
              "1234:x:55:56::/number:/bin/sh\n"
              "homeless:x:60:60:::/bin/sh\n"
              "minus:x:4294967295:1::/minus:/bin/sh\n"
              "minus-group:x:61:4294967295::/minus:/bin/sh\n"
              "last:x:62:62::/last:/bin/sh",
              0644);
    unit_file("group",
              "root:x:0:\n"
              "app:x:1001:\n"
              "users:x:100:root,app,twin\n"
              "apps:x:101:apps\n"
              "wheel:x:10:app\n"
              "77:x:78:app\n"
              "app:x:9:\n"
              "minus:x:4294967295:\n",
              0644);
}

static const struct {
    const char *spec;
    unsigned uid, gid;
    const char *home;
    unsigned groups[GROUPS_MAX]; /* ended by 0 */
} found[] = {
    {"app", 1000, 1001, "/home/app", {100, 10, 78}},
    {"1000", 1000, 1001, "/home/app", {100, 10, 78}},
    {"00001000", 1000, 1001, "/home/app", {100, 10, 78}},
    {"twin", 1000, 9, "/twin", {100}},
    {"root", 0, 0, "/root", {100}},
    {"0", 0, 0, "/root", {100}},
    {"last", 62, 62, "/last", {0}},
    {"homeless", 60, 60, "/", {0}},
    {"1234", 1234, UINT_MAX, "/", {0}}, /* the number, not the name; and the group stays ours */
    {"55", 55, 56, "/number", {0}},
    {"2147483647", INT_MAX, UINT_MAX, "/", {0}},
    {"app:users", 1000, 100, "/home/app", {0}},
    {"app:app", 1000, 1001, "/home/app", {0}},
    {"app:77", 1000, 77, "/home/app", {0}},
    {"app:78", 1000, 78, "/home/app", {0}},
    {"app:0", 1000, 0, "/home/app", {0}},
    {"1234:5678", 1234, 5678, "/", {0}},
    {"1234:wheel", 1234, 10, "/", {0}},
    {"1234:2147483647", 1234, INT_MAX, "/", {0}},
};

static void users_are_found(void **state)
{
    (void)state;
    make_files();
    for (size_t i = 0; i < UNIT_COUNT(found); i++) {
        const char *row = found[i].spec;
        struct user user;
        struct err err = {.text = ""};
        size_t groups = 0;
        int result = user_find(&user, ".", found[i].spec, "--user", &err);
        CHECK_TEXT(row, result == 0 ? "" : err.text, "");
        CHECK_NUMBER(row, user.uid, found[i].uid);
        CHECK_NUMBER(row, user.gid, found[i].gid == UINT_MAX ? getgid() : found[i].gid);
        CHECK_NUMBER(row, user.keeps_group, found[i].gid == UINT_MAX);
        CHECK_TEXT(row, user_home(&user), found[i].home);
        while (groups < GROUPS_MAX && found[i].groups[groups])
            groups++;
        CHECK_NUMBER(row, user.group_count, groups);
        for (size_t n = 0; n < groups; n++)
            CHECK_NUMBER(row, user.groups[n], found[i].groups[n]);
        user_free(&user);
    }
}

static void what_is_no_user_is_told(void **state)
{
    static const struct {
        const char *spec, *says;
    } rows[] = {
        {"", "lacks the user"},
        {":", "lacks the user"},
        {":app", "lacks the user"},
        {"app:", "lacks the group"},
        {"nobody", "\"nobody\" is neither a user of /etc/passwd nor a number from 0 to 2147483647"},
        {"half", "\"half\" is neither a user"},
        {"0day", "\"0day\" is neither a user"},
        {"-1", "\"-1\" is neither a user"},
        {"+1", "\"+1\" is neither a user"},
        {" 1", "\" 1\" is neither a user"},
        {"1 ", "\"1 \" is neither a user"},
        {"0x10", "\"0x10\" is neither a user"},
        {"2147483648", "\"2147483648\" is neither a user"},
        {"4294967295", "is neither a user"},
        {"4294967296", "is neither a user"},
        {"18446744073709551616", "is neither a user"},
        {"99999999999999999999999", "is neither a user"},
        {"app:nobody", "\"nobody\" is neither a group of /etc/group nor a number from 0 to 2147483647"},
        {"app:-1", "\"-1\" is neither a group"},
        {"app:4294967295", "is neither a group"},
        {"app:app:app", "\"app:app\" is neither a group"},
        {"app:users,wheel", "\"users,wheel\" is neither a group"},
        {"minus", "4294967295"}, /* the kernel would take it for "stay root" */
        {"minus-group", "4294967295"},
        {"app:minus", "4294967295"},
        {"postgres://u:secret@h/d", "--user: what stands there"},
        {"root://u:secret@h/d", "--user: what stands there"},
    };
    (void)state;
    make_files();
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct user user;
        struct err err = {.code = ERR_NONE};
        CHECK_NUMBER(rows[i].spec, user_find(&user, ".", rows[i].spec, "--user", &err), -1);
        CHECK_NUMBER(rows[i].spec, err.code, ERR_USAGE);
        if (!strstr(err.text, rows[i].says))
            print_error("\"%s\" does not say \"%s\"\n", err.text, rows[i].says);
        CHECK(rows[i].spec, strstr(err.text, rows[i].says));
        CHECK(rows[i].spec, !strchr(err.text, '\n') && !strstr(err.text, "secret"));
        user_free(&user);
    }
}

static void numbers_need_no_files(void **state)
{
    struct user user;
    struct err err;
    (void)state;
    assert_int_equal(user_find(&user, "nowhere", "12:34", "--user", &err), 0);
    assert_int_equal(user.uid, 12);
    assert_int_equal(user.gid, 34);
    assert_string_equal(user_home(&user), "/");
    user_free(&user);
    assert_int_equal(user_find(&user, "nowhere", "root", "--user", &err), -1);
    assert_int_equal(user_find(&user, "nowhere", "12:root", "--user", &err), -1);
}

static void many_groups(void **state)
{
    char line[64];
    struct user user;
    struct err err;
    (void)state;
    unit_file("passwd", "app:x:1000:1000::/:\n", 0644);
    FILE *file = fopen("group", "we");
    for (int i = 0; i < 500; i++) {
        snprintf(line, sizeof line, "g%d:x:%d:a,b,app,c\n", i, 5000 + i);
        fputs(line, file);
    }
    fclose(file);
    assert_int_equal(user_find(&user, ".", "app", "--user", &err), 0);
    assert_int_equal(user.group_count, 500);
    assert_int_equal(user.groups[499], 5499);
    user_free(&user);
}

static void nobody_named_changes_nothing(void **state)
{
    struct user user;
    struct err err;
    (void)state;
    assert_int_equal(user_find(&user, ".", NULL, "--user", &err), 0);
    assert_int_equal(user_check(&user, true, "--user", &err), 0);
    assert_int_equal(user_may_execute(&user, "/nowhere"), 0);
    assert_int_equal(user_become(&user), 0);
    assert_null(user_home(&user));
    user_free(&user);
}

/* Who is root may become anybody, and nobody else may: the same questions in a child that has become somebody. */
static int as_somebody(void)
{
    struct user us, root;
    struct err err;
    if (user_find(&us, ".", "12:34", "--user", &err) != 0 || user_become(&us) != 0)
        return 1;
    if (getuid() != 12 || getegid() != 34 || getgroups(0, NULL) != 0)
        return 2;
    if (user_check(&us, true, "--user", &err) != 0 || !us.is_us || user_become(&us) != 0)
        return 3;
    if (user_find(&root, ".", "0", "--user", &err) != 0 || user_check(&root, true, "--user", &err) == 0)
        return 4;
    if (err.code != ERR_SYSTEM || !strstr(err.text, "cannot become 0") || !strstr(err.text, "as root"))
        return 5;
    user_free(&root);
    return 0;
}

static void becoming_one_is_for_good(void **state)
{
    int status;
    struct user user;
    struct err err = {.text = ""};
    (void)state;
    assert_int_equal(chmod(".", 0755), 0);
    unit_file("ours", "#!/bin/sh\n", 0700);
    unit_file("everyones", "#!/bin/sh\n", 0755);
    assert_int_equal(user_find(&user, ".", "12:34", "--user", &err), 0);
    assert_int_equal(user_check(&user, true, "--user", &err), 0);
    assert_int_equal(user_may_execute(&user, "./everyones"), 0);
    assert_int_not_equal(user_may_execute(&user, "./ours"), 0);
    assert_int_not_equal(user_may_execute(&user, "./nowhere"), 0);
    user_free(&user);
    pid_t pid = fork();
    if (pid == 0)
        _exit(as_somebody());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

int unit_user(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_IN_DIRECTORY(users_are_found),
        UNIT_IN_DIRECTORY(what_is_no_user_is_told),
        UNIT_IN_DIRECTORY(numbers_need_no_files),
        UNIT_IN_DIRECTORY(many_groups),
        cmocka_unit_test(nobody_named_changes_nothing),
        UNIT_IN_DIRECTORY(becoming_one_is_for_good),
    };
    return UNIT_RUN("user", tests);
}
