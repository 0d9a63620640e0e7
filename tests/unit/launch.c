#include "launch.h"

#include "exitcodes.h"
#include "unit.h"

#include <elf.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A 64-bit ELF file that asks for `interpreter`; NULL = static. */
static void make_elf(const char *path, const char *interpreter)
{
    Elf64_Ehdr header = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64},
                         .e_phoff = sizeof header,
                         .e_phentsize = sizeof(Elf64_Phdr),
                         .e_phnum = 1};
    Elf64_Phdr segment = {.p_type = interpreter ? PT_INTERP : PT_LOAD, .p_offset = sizeof header + sizeof segment};
    segment.p_filesz = interpreter ? strlen(interpreter) + 1 : 0;
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fwrite(&header, sizeof header, 1, file);
    fwrite(&segment, sizeof segment, 1, file);
    fwrite(interpreter ? interpreter : "", 1, segment.p_filesz, file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0755), 0);
}

static void make_programs(void)
{
    unit_file("script", "#!/bin/sh\nexit 0\n", 0755);
    unit_file("script-argument", "#! /bin/sh -e\nexit 0\n", 0755);
    unit_file("no-interpreter", "#!/nowhere/python\n", 0755);
    unit_file("crlf", "#!/bin/sh\r\nexit 0\r\n", 0755);
    unit_file("crlf-argument", "#!/bin/sh -e\r\nexit 0\r\n", 0755);
    unit_file("cr-below", "#!/bin/sh\nprintf 'a\r\n'\n", 0755);
    unit_file("plain", "#!/bin/sh\n", 0644);
    unit_file("text", "echo hello\n", 0755);
    unit_file("empty", "", 0755);
    make_elf("static", NULL);
    make_elf("dynamic", "/bin/sh");
    make_elf("no-loader", "/nowhere/ld.so");
    assert_int_equal(mkdir("directory", 0755), 0);
    assert_int_equal(symlink("script", "link"), 0);
    assert_int_equal(symlink("nowhere", "dangling"), 0);
}

static void by_path(void **state)
{
    static const struct {
        const char *row, *name;
        int status;
        const char *says;
    } rows[] = {
        {"script", "./script", 0, ""},
        {"script with an argument", "./script-argument", 0, ""},
        {"link", "./link", 0, ""},
        {"static ELF", "./static", 0, ""},
        {"dynamic ELF", "./dynamic", 0, ""},
        {"carriage return below the first line", "./cr-below", 0, ""},
        {"missing", "./nowhere", EXIT_NOT_FOUND, "not found"},
        {"missing directory", "/nowhere/x", EXIT_NOT_FOUND, "not found"},
        {"below a file", "./script/x", EXIT_NOT_FOUND, "not found"},
        {"dangling link", "./dangling", EXIT_NOT_FOUND, "not found"},
        {"directory", "./directory", EXIT_NOT_EXECUTABLE, "directory"},
        {"not executable", "./plain", EXIT_NOT_EXECUTABLE, "ermission"},
        {"script without its interpreter", "./no-interpreter", EXIT_NOT_FOUND, "/nowhere/python"},
        {"ELF without its loader", "./no-loader", EXIT_NOT_FOUND, "/nowhere/ld.so"},
        {"CRLF script", "./crlf", EXIT_NOT_EXECUTABLE, "carriage return"},
        {"CRLF script with an argument", "./crlf-argument", EXIT_NOT_EXECUTABLE, "carriage return"},
        {"text", "./text", EXIT_NOT_EXECUTABLE, "#!"},
        {"empty file", "./empty", EXIT_NOT_EXECUTABLE, "#!"},
    };
    static char *const environment[] = {NULL};
    (void)state;
    make_programs();
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        char path[LAUNCH_PATH_CAPACITY] = "";
        struct err err = {.text = ""};
        CHECK_NUMBER(rows[i].row, launch_find(rows[i].name, environment, path, &err), rows[i].status);
        if (rows[i].status == 0)
            CHECK_TEXT(rows[i].row, path, rows[i].name);
        else
            CHECK(rows[i].row, strstr(err.text, rows[i].says) && strstr(err.text, rows[i].name));
    }
}

static void by_search(void **state)
{
    static const struct {
        const char *row, *path, *name;
        int status;
        const char *found;
    } rows[] = {
        {"first directory", "PATH=one:two", "both", 0, "one/both"},
        {"second directory", "PATH=one:two", "second", 0, "two/second"},
        {"missing directory", "PATH=/nowhere:two", "second", 0, "two/second"},
        {"not executable, then executable", "PATH=one:two", "plain-first", 0, "two/plain-first"},
        {"directory, then executable", "PATH=one:two", "directory-first", 0, "two/directory-first"},
        {"not executable only", "PATH=one", "plain-first", EXIT_NOT_EXECUTABLE, NULL},
        {"not executable, then missing", "PATH=one:/nowhere", "plain-first", EXIT_NOT_EXECUTABLE, NULL},
        {"nowhere", "PATH=one:two", "here", EXIT_NOT_FOUND, NULL},
        {"empty element in front", "PATH=:one", "here", 0, "here"},
        {"empty element in the middle", "PATH=one::two", "here", 0, "here"},
        {"empty element at the end", "PATH=one:", "here", 0, "here"},
        {"nothing but an empty element", "PATH=", "here", 0, "here"},
        {"no PATH", "HOME=/", "sh", 0, NULL},
        {"no PATH, not there", "HOME=/", "here", EXIT_NOT_FOUND, NULL},
        {"another variable's name", "XPATH=one", "both", EXIT_NOT_FOUND, NULL},
        {"empty name", "PATH=one", "", EXIT_NOT_FOUND, NULL},
    };
    (void)state;
    assert_int_equal(mkdir("one", 0755) | mkdir("two", 0755) | mkdir("one/directory-first", 0755), 0);
    unit_file("one/both", "#!/bin/sh\n", 0755);
    unit_file("two/both", "#!/bin/sh\n", 0755);
    unit_file("two/second", "#!/bin/sh\n", 0755);
    unit_file("one/plain-first", "#!/bin/sh\n", 0644);
    unit_file("two/plain-first", "#!/bin/sh\n", 0755);
    unit_file("two/directory-first", "#!/bin/sh\n", 0755);
    unit_file("here", "#!/bin/sh\n", 0755);
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        char *environment[] = {(char *)(uintptr_t)rows[i].path, NULL};
        char path[LAUNCH_PATH_CAPACITY] = "";
        struct err err = {.text = ""};
        CHECK_NUMBER(rows[i].row, launch_find(rows[i].name, environment, path, &err), rows[i].status);
        if (rows[i].found)
            CHECK_TEXT(rows[i].row, path, rows[i].found);
        CHECK(rows[i].row, rows[i].status == 0 || err.text[0]);
    }
}

int unit_launch(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_IN_DIRECTORY(by_path),
        UNIT_IN_DIRECTORY(by_search),
    };
    return UNIT_RUN("launch", tests);
}
