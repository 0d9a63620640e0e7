/* What the tests of the readers of migrations share. */
#ifndef LOCKSTEP_MIGRATIONS_KIT_H
#define LOCKSTEP_MIGRATIONS_KIT_H

#include "migrations.h"

/* Makes an empty file, or one of `content`, with the folders above it. */
void kit_make(const char *path);
void kit_make_of(const char *path, const char *content);

/* Makes the `count` empty files at most, up to a NULL. */
void kit_make_all(const char *const files[], size_t count);

/* Leaves the test's directory for a new, empty one. */
void kit_fresh_directory(void);

/* Reads what the preset `tool` finds here and writes the ids, with a blank behind each, in their order. */
void kit_ids(const char *row, const char *tool, const char *folder, char *ids, size_t capacity);

/* Reads, expects it to fail with ERR_USAGE, and writes the message to `text`. */
void kit_refusal(const char *row, const char *tool, const char *folder, char text[512]);

#endif
