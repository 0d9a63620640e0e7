#include "file_state_kit.h"

#include "unit.h"

#include <string.h>

struct backend_config kit_config;
struct holder kit_holder;

void kit_reset(void)
{
    kit_holder = (struct holder){
        .nonce = "0123456789abcdef0123456789abcdef", .host = "here", .container = "c1", .root = "r1", .pid = 1};
    kit_config = (struct backend_config){.target = "v1", .command = "true", .version = "0", .holder = &kit_holder};
}

cJSON *kit_gate(void)
{
    struct err err;
    kit_reset();
    cJSON *gate = file_state_read("/nowhere/lockstep-unit/gate.json", &err);
    assert_non_null(gate);
    return gate;
}

struct look kit_look(const cJSON *gate, const struct look_ask *ask)
{
    struct look look;
    if (!kit_config.target)
        kit_reset();
    file_state_look(gate, &kit_config, ask, &look);
    return look;
}

int kit_mark(cJSON *gate, const char *target, uint64_t token, int attempt, bool repeat)
{
    struct backend_config config = kit_config;
    config.target = target;
    return file_state_mark(gate, &config, &(struct mark){.token = token, .attempt = attempt, .repeat = repeat});
}

int kit_end(cJSON *gate, uint64_t token, enum run_state ended, int status, const char *output)
{
    return file_state_end(gate, &(struct ending){.token = token,
                                                 .state = ended,
                                                 .exit_status = status,
                                                 .last_line = "last",
                                                 .output = output,
                                                 .output_length = strlen(output)});
}

void kit_run(cJSON *gate, const char *target, int attempt, enum run_state ended, int status)
{
    uint64_t token = kit_look(gate, &(struct look_ask){.own = 0}).last.token + 1;
    assert_int_equal(kit_mark(gate, target, token, attempt, false), 1);
    assert_int_equal(kit_end(gate, token, ended, status, "some\noutput\n"), 1);
}

void kit_set(cJSON *gate, uint64_t token, const char *member, double number)
{
    cJSON *run;
    cJSON_ArrayForEach(run, cJSON_GetObjectItem(gate, "runs"))
    {
        if ((uint64_t)cJSON_GetObjectItem(run, "token")->valuedouble == token) {
            cJSON_DeleteItemFromObject(run, member);
            cJSON_AddNumberToObject(run, member, number);
        }
    }
}
