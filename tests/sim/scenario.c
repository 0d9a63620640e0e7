#include "scenario.h"

#include "sim.h"

static int64_t pick(struct world *world, const int64_t *choices, int count)
{
    return choices[world_below(world, count)];
}

#define PICK(world, ...)                                                                                               \
    pick(world, (const int64_t[]){__VA_ARGS__}, (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)))

static enum gate_mode draw_mode(struct world *world, bool calm)
{
    if (calm || world_chance(world, 85))
        return GATE_MODE_MIGRATE;
    return world_chance(world, 85) ? GATE_MODE_WAIT : GATE_MODE_CHECK;
}

/* One image, one configuration: replicas differ in what their orchestrator makes of them. */
static struct gate_config draw_config(struct world *world, const struct scenario *scenario)
{
    struct gate_config config = {
        .times = scenario->times,
        .wait_timeout = PICK(world, 0, 0, 3600000, 600000, 60000, 15000),
        .connect_timeout = PICK(world, 2000, 10000, 60000, 60000),
        .migrate_timeout = PICK(world, 0, 0, 0, scenario->lease, 2 * scenario->lease),
        .stop_grace = PICK(world, 300, 1000, 8000),
        .retry_delay = PICK(world, 0, 500, 5000),
        .poll = scenario->place == PLACE_REDIS ? 1000 : 2000,
        .retries = (int)PICK(world, 0, 0, 0, 1, 2),
        .max_attempts = (int)PICK(world, 0, 0, 0, 1, 2, 3, 5),
    };
    if (scenario->calm) {
        config.wait_timeout = 3600000;
        config.migrate_timeout = 0;
    }
    return config;
}

static void draw_replica(struct sim *sim, struct scenario_replica *replica, const struct gate_config *config)
{
    struct world *world = &sim->world;
    const struct scenario *scenario = &sim->scenario;
    *replica = (struct scenario_replica){
        .config = *config,
        .target = scenario->rolling ? (int)world_below(world, 2) : 0,
        .pid1 = world_chance(world, 70),
        .restarts = scenario->calm ? 0 : (int)world_below(world, 5),
        .start_at = world->now + world_below(world, world_chance(world, 70) ? 300 : 4 * scenario->lease),
        .clock_offset = world_below(world, 1000000000),
        .clock_ppm = world_between(world, -500, 500), /* two clocks: 0.001 of section 3 between them */
    };
    replica->config.mode = draw_mode(world, scenario->calm);
    /* Who never migrates may wait for ever if nobody is left who does. */
    if (replica->config.mode == GATE_MODE_WAIT && config->wait_timeout == 0)
        replica->config.wait_timeout = 1200000;
}

void scenario_draw(struct sim *sim, uint64_t seed, enum broken broken)
{
    struct world *world = &sim->world;
    struct scenario *scenario = &sim->scenario;
    *scenario = (struct scenario){
        .seed = seed,
        .broken = broken,
        .place = world_chance(world, 50) ? PLACE_REDIS : PLACE_POSTGRES,
        .calm = world_chance(world, 8),
        .rolling = world_chance(world, 30),
        .lease = PICK(world, 3000, 3000, 3000, 6000, 25000),
        .fail_percent = (int)PICK(world, 0, 0, 20, 60, 100),
        .ignore_percent = (int)PICK(world, 0, 30, 100),
        .asks_app = world_chance(world, 15),
        .straggle_percent = (int)PICK(world, 0, 20, 60),
        .replicas = (int)world_between(world, 2, REPLICAS_MAX),
    };
    scenario->fresh = scenario->place == PLACE_REDIS && world_chance(world, 40);
    scenario->old_target = scenario->rolling && !scenario->fresh && world_chance(world, 50);
    scenario->times = times_from_lease(scenario->lease);
    if (broken == BROKEN_QUARANTINE)
        scenario->times.quarantine = 0;
    scenario->command_max = PICK(world, 200, scenario->lease, 3 * scenario->lease, 10 * scenario->lease);
    scenario->faults_end = world->now + (scenario->calm ? 0 : world_between(world, 2, 12) * scenario->lease);
    if (scenario->calm)
        scenario->fail_percent = 0;
    struct gate_config config = draw_config(world, scenario);
    for (int slot = 0; slot < scenario->replicas; slot++)
        draw_replica(sim, &scenario->replica[slot], &config);
}
