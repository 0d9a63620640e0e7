#include "command.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

static const char *const spelled[COMMANDS] = {
    [COMMAND_APPLIED_IF] = "--applied-if (LOCKSTEP_APPLIED_IF)",
    [COMMAND_BEFORE] = "--before (LOCKSTEP_BEFORE)",
    [COMMAND_MIGRATE] = "--migrate (LOCKSTEP_MIGRATE)",
    [COMMAND_AFTER] = "--after (LOCKSTEP_AFTER)",
};

const char *const command_names[COMMANDS] = {
    [COMMAND_APPLIED_IF] = "applied-if",
    [COMMAND_BEFORE] = "before",
    [COMMAND_MIGRATE] = "migrate",
    [COMMAND_AFTER] = "after",
};

static int copy_words(struct command *command, const cJSON *array, const char *what, struct err *err)
{
    int count = 0;
    const cJSON *word;
    cJSON_ArrayForEach(word, array)
    {
        if (!cJSON_IsString(word) || count == COMMAND_WORDS_MAX)
            return err_set(err, ERR_USAGE,
                           "%s: the JSON array may hold up to %d strings and nothing else; right would be "
                           "[\"npx\", \"prisma\", \"migrate\", \"deploy\"]",
                           what, COMMAND_WORDS_MAX);
        command->argv[count++] = strdup(word->valuestring);
    }
    if (count == 0)
        return err_set(err, ERR_USAGE, "%s: the JSON array is empty; its first word is the program", what);
    return 0;
}

int command_parse(struct command *command, enum command_kind kind, const char *text, struct err *err)
{
    const char *what = spelled[kind];
    *command = (struct command){.argv = {NULL}};
    text += strspn(text, " \t\r\n");
    if (!*text)
        return err_set(err, ERR_USAGE, "%s is blank; right would be a command", what);
    if (*text != '[') {
        command->argv[0] = strdup("/bin/sh");
        command->argv[1] = strdup("-c");
        command->argv[2] = strdup(text);
        return 0;
    }
    cJSON *array = cJSON_ParseWithOpts(text, NULL, 1);
    int result = cJSON_IsArray(array)
                     ? copy_words(command, array, what, err)
                     : err_set(err, ERR_USAGE,
                               "%s begins with [ but is not a JSON array; right would be [\"program\", "
                               "\"argument\"] with double quotes, or for the shell's [ the word test",
                               what);
    cJSON_Delete(array);
    if (result != 0)
        command_free(command);
    return result;
}

void command_free(struct command *command)
{
    for (char **word = command->argv; *word; word++)
        free(*word);
    command->argv[0] = NULL;
}
