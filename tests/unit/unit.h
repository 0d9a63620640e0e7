/* The unit tests: what every file of tests/unit/ shares, and the groups that tests/unit/unit.c runs. */
#ifndef LOCKSTEP_UNIT_H
#define LOCKSTEP_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Each runs the groups of one file and returns how many of their tests failed. */
int unit_command(void);
int unit_digest(void);
int unit_environment(void);
int unit_err(void);
int unit_file_state(void);
int unit_file_state_end(void);
int unit_gate_hold(void);
int unit_gate_lease(void);
int unit_gate_record(void);
int unit_gate_signal(void);
int unit_gate_time(void);
int unit_gate_wait(void);
int unit_launch(void);
int unit_mask(void);
int unit_migrations_faults(void);
int unit_migrations_files(void);
int unit_migrations_lists(void);
int unit_options(void);
int unit_options_files(void);
int unit_options_lock(void);
int unit_redis_client(void);
int unit_redis_error(void);
int unit_redis_link(void);
int unit_redis_link_end(void);
int unit_redis_url(void);
int unit_tail(void);
int unit_target(void);
int unit_times(void);
int unit_tool(void);
int unit_tool_config(void);
int unit_url(void);
int unit_url_dialect(void);
int unit_url_drivers(void);
int unit_url_secret(void);
int unit_user(void);
int unit_verdict(void);

/* Runs one group and adds it to the closing line; returns how many of its tests failed. */
int unit_run(const char *group, const struct CMUnitTest tests[], size_t count);

#define UNIT_COUNT(array)      (sizeof(array) / sizeof((array)[0]))
#define UNIT_RUN(group, tests) unit_run(group, tests, UNIT_COUNT(tests))

/* A test that begins in an empty temporary directory, which is removed after it. */
#define UNIT_IN_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, unit_enter_directory, unit_leave_directory)

int unit_enter_directory(void **state);
int unit_leave_directory(void **state);

/* Makes the file `path` of `content` with `mode`. */
void unit_file(const char *path, const char *content, unsigned mode);

/* Fail the running test, naming the table's `row`, unless ... */
#define CHECK(row, condition)             unit_check((row), #condition, (condition), __FILE__, __LINE__)
#define CHECK_TEXT(row, actual, expected) unit_check_text((row), #actual, (actual), (expected), __FILE__, __LINE__)
#define CHECK_NUMBER(row, actual, expected)                                                                            \
    unit_check_number((row), #actual, (int64_t)(actual), (int64_t)(expected), __FILE__, __LINE__)

/* ... `said` has no part of `secret` that is long enough to be no accident. */
#define CHECK_NO_PART(row, said, secret) unit_check_no_part((row), (said), (secret), __FILE__, __LINE__)

void unit_check(const char *row, const char *condition, bool holds, const char *file, int line);
void unit_check_text(const char *row, const char *what, const char *actual, const char *expected, const char *file,
                     int line); /* NULL equals NULL only */
void unit_check_number(const char *row, const char *what, int64_t actual, int64_t expected, const char *file, int line);
void unit_check_no_part(const char *row, const char *said, const char *secret, const char *file, int line);

#endif
