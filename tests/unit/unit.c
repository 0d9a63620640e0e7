#include "unit.h"

#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int passed, failed;
static char directory[64];
static int former_directory = -1;

int unit_run(const char *group, const struct CMUnitTest tests[], size_t count)
{
    int wrong = _cmocka_run_group_tests(group, tests, count, NULL, NULL);
    failed += wrong;
    passed += (int)count - wrong;
    return wrong;
}

int unit_enter_directory(void **state)
{
    (void)state;
    strcpy(directory, "/tmp/lockstep-unit-XXXXXX");
    former_directory = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return former_directory >= 0 && mkdtemp(directory) && chdir(directory) == 0 ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void)status, (void)kind, (void)where;
    return remove(path);
}

int unit_leave_directory(void **state)
{
    (void)state;
    int back = fchdir(former_directory);
    close(former_directory);
    return nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS) | back;
}

void unit_file(const char *path, const char *content, unsigned mode)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(content, 1, strlen(content), file), strlen(content));
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, (mode_t)mode), 0);
}

void unit_check(const char *row, const char *condition, bool holds, const char *file, int line)
{
    if (holds)
        return;
    print_error("row \"%s\": not so: %s\n", row, condition);
    _fail(file, line);
}

void unit_check_text(const char *row, const char *what, const char *actual, const char *expected, const char *file,
                     int line)
{
    if (actual && expected ? strcmp(actual, expected) == 0 : actual == expected)
        return;
    print_error("row \"%s\": %s is \"%s\", not \"%s\"\n", row, what, actual ? actual : "(null)",
                expected ? expected : "(null)");
    _fail(file, line);
}

void unit_check_number(const char *row, const char *what, int64_t actual, int64_t expected, const char *file, int line)
{
    if (actual == expected)
        return;
    print_error("row \"%s\": %s is %" PRId64 ", not %" PRId64 "\n", row, what, actual, expected);
    _fail(file, line);
}

void unit_check_no_part(const char *row, const char *said, const char *secret, const char *file, int line)
{
    char piece[4]; /* shorter ones are in every message by accident */
    for (const char *part = secret; strlen(part) >= sizeof piece - 1; part++) {
        snprintf(piece, sizeof piece, "%s", part);
        if (!strstr(said, piece))
            continue;
        print_error("row \"%s\": \"%s\" has \"%s\"\n", row, said, piece);
        _fail(file, line);
    }
}

/* What a callback has left behind on the stack is found too. */
const char *__asan_default_options(void);

const char *__asan_default_options(void)
{
    return "detect_stack_use_after_return=1";
}

int main(void)
{
    int (*const groups[])(void) = {
        unit_url,
        unit_url_secret,
        unit_url_dialect,
        unit_url_drivers,
        unit_mask,
        unit_options,
        unit_options_files,
        unit_options_lock,
        unit_command,
        unit_environment,
        unit_launch,
        unit_tail,
        unit_err,
        unit_digest,
        unit_target,
        unit_times,
        unit_file_state,
        unit_file_state_end,
        unit_gate_wait,
        unit_gate_time,
        unit_gate_hold,
        unit_gate_lease,
        unit_gate_signal,
        unit_gate_record,
        unit_redis_url,
        unit_redis_error,
        unit_redis_link,
        unit_redis_link_end,
        unit_redis_client,
        unit_user,
        unit_tool,
        unit_tool_config,
        unit_migrations_faults,
        unit_migrations_files,
        unit_migrations_lists,
        unit_verdict,
    };
    for (size_t i = 0; i < UNIT_COUNT(groups); i++)
        groups[i]();
    fflush(stderr);
    printf("%d passed, %d failed\n", passed, failed);
    fflush(stdout);
    if (failed)
        _exit(EXIT_FAILURE); /* what a failed test leaves behind is no leak worth a report */
    return EXIT_SUCCESS;
}
