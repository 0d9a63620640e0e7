/* sim SEEDS [FIRST] | --replay N | --self-test, each with --broken=RULE, --stats */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BROKEN_SEEDS_MAX  20000 /* within so many a broken rule must be found */
#define COVERAGE_SEEDS    4000
#define DETERMINISM_SEEDS 50

static struct sim sim; /* too large for a stack */
static struct coverage coverage[PLACES];

static const char *const broken_names[] = {
    [BROKEN_NONE] = "none",     [BROKEN_QUARANTINE] = "quarantine", [BROKEN_MEMBERSHIP] = "membership",
    [BROKEN_STICKY] = "sticky", [BROKEN_RECREATE] = "recreate",     [BROKEN_BLIND] = "blind",
    [BROKEN_FORGET] = "forget", [BROKEN_FAILOVER] = "failover",     [BROKEN_RUNS] = "runs",
    [BROKEN_FENCE] = "fence",   [BROKEN_SECONDS] = "seconds",
};

void sim_run(struct sim *s, uint64_t seed, enum broken broken)
{
    world_begin(&s->world, seed);
    for (int i = 0; i < COMMANDS_MAX; i++)
        s->commands[i] = (struct command){.alive = false};
    scenario_draw(s, seed, broken);
    s->coverage = &coverage[s->scenario.place];
    net_begin(&s->net);
    server_begin(s);
    TRACE(s, "seed %llu: %s%s, %d replicas, lease %lld%s%s", (unsigned long long)seed, s->server.place->name,
          s->scenario.fresh ? ", fresh" : "", s->scenario.replicas, (long long)s->scenario.lease,
          s->scenario.calm ? ", calm" : "", s->scenario.rolling ? ", rolling" : "");
    checker_begin(s);
    replicas_begin(s);
    faults_begin(s);
    ending_watch(s);
    while (!s->world.violated && world_next(s, &s->world))
        ;
    if (!s->world.violated)
        ending_of_world(s);
}

static void report(uint64_t seed, enum broken broken)
{
    printf("seed %llu: %s\n", (unsigned long long)seed, sim.world.violation);
    printf("  replay: sim --replay %llu", (unsigned long long)seed);
    if (broken != BROKEN_NONE)
        printf(" --broken=%s", broken_names[broken]);
    putchar('\n');
}

static int run_seeds(uint64_t count, uint64_t first, enum broken broken)
{
    uint64_t failed = 0;
    for (uint64_t seed = first; seed < first + count; seed++) {
        sim_run(&sim, seed, broken);
        if (sim.world.violated) {
            failed++;
            report(seed, broken);
        }
    }
    return failed ? (int)(failed > INT32_MAX ? INT32_MAX : failed) : 0;
}

static int replay(uint64_t seed, enum broken broken)
{
    sim.world.printing = true;
    sim_run(&sim, seed, broken);
    if (sim.world.violated)
        report(seed, broken);
    return sim.world.violated;
}

static void print_stats(enum place_kind kind)
{
    const struct coverage *met = &coverage[kind];
    printf("%s: %llu steps, %llu commands, %llu passed, %llu overlaps of paused containers, longest end %lld s\n",
           kind == PLACE_REDIS ? "redis" : "postgres", (unsigned long long)met->steps, (unsigned long long)met->started,
           (unsigned long long)met->passed, (unsigned long long)met->excused, (long long)met->longest / 1000);
    for (int event = 0; event <= EVENT_ERROR; event++)
        if (met->said[event])
            printf("  said %-12s %llu\n", sim_said_name((enum event)event), (unsigned long long)met->said[event]);
    for (int reason = 0; reason <= GATE_STOPPED; reason++)
        printf("  failed %-12s %llu\n", sim_reason_name((enum gate_reason)reason),
               (unsigned long long)met->reasons[reason]);
    for (int what = 0; what < FORGETTINGS && kind == PLACE_REDIS; what++)
        printf("  forgot %-12s %llu\n", sim_forgotten_name((enum forgetting)what),
               (unsigned long long)met->forgotten[what]);
}

/* ---- the test of the test --------------------------------------------------------------------------------------- */

static bool finds(enum broken broken)
{
    for (uint64_t seed = 1; seed <= BROKEN_SEEDS_MAX; seed++) {
        sim_run(&sim, seed, broken);
        if (!sim.world.violated)
            continue;
        printf("broken %s: found by seed %llu: %s\n", broken_names[broken], (unsigned long long)seed,
               sim.world.violation);
        return true;
    }
    printf("broken %s: NOT found within %d seeds\n", broken_names[broken], BROKEN_SEEDS_MAX);
    return false;
}

static bool deterministic(void)
{
    sim.world.hashing = true;
    bool same = true;
    for (uint64_t seed = 1; seed <= DETERMINISM_SEEDS && same; seed++) {
        sim_run(&sim, seed, BROKEN_NONE);
        uint64_t hash = sim.world.hash;
        sim_run(&sim, seed, BROKEN_NONE);
        same = hash == sim.world.hash;
        if (!same)
            printf("determinism: seed %llu runs differently the second time\n", (unsigned long long)seed);
    }
    sim.world.hashing = false;
    if (same)
        printf("determinism: %d seeds replay exactly\n", DETERMINISM_SEEDS);
    return same;
}

/* Every kind of trouble and every way to end must have come up. */
static bool covers(enum place_kind kind)
{
    static const enum event wanted[] = {
        EVENT_SATISFIED, EVENT_AHEAD,     EVENT_WAITING,  EVENT_LOCKED,      EVENT_QUARANTINE,
        EVENT_TAKEOVER,  EVENT_MIGRATING, EVENT_MIGRATED, EVENT_FAILED,      EVENT_LOST,
        EVENT_BACKOFF,   EVENT_PASSING,   EVENT_STOPPING, EVENT_INTERRUPTED, EVENT_PROGRESS,
    };
    const struct coverage *met = &coverage[kind];
    bool all = true;
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
        if (met->said[wanted[i]] == 0) {
            printf("coverage: %s never comes up\n", sim_said_name(wanted[i]));
            all = false;
        }
    for (int reason = 0; reason <= GATE_STOPPED; reason++)
        if (met->reasons[reason] == 0 && reason != GATE_LOST_AGAIN) { /* too rare for a few seeds */
            printf("coverage: nobody ever fails with: %s\n", sim_reason_name((enum gate_reason)reason));
            all = false;
        }
    for (int what = 0; what < FORGETTINGS && kind == PLACE_REDIS; what++)
        if (met->forgotten[what] == 0) {
            printf("coverage: nobody ever forgets %s\n", sim_forgotten_name((enum forgetting)what));
            all = false;
        }
    return all;
}

static bool covers_all(void)
{
    memset(coverage, 0, sizeof coverage);
    bool all = run_seeds(COVERAGE_SEEDS, 1, BROKEN_NONE) == 0;
    for (int kind = 0; kind < PLACES; kind++)
        all &= covers((enum place_kind)kind);
    if (all)
        printf("coverage: %d seeds meet every kind of trouble at every place\n", COVERAGE_SEEDS);
    return all;
}

static int self_test(void)
{
    int passed = 0, total = BROKENS - 1 + 2;
    for (int broken = BROKEN_NONE + 1; broken < BROKENS; broken++)
        passed += finds((enum broken)broken);
    passed += deterministic();
    passed += covers_all();
    printf("%d passed, %d failed\n", passed, total - passed);
    return passed != total;
}

static int usage(void)
{
    fputs("usage: sim [--broken=RULE] [--stats] SEEDS [FIRST]\n"
          "       sim [--broken=RULE] --replay N\n"
          "       sim --self-test\n"
          "rules:",
          stderr);
    for (int broken = BROKEN_NONE; broken < BROKENS; broken++)
        fprintf(stderr, " %s", broken_names[broken]);
    fputc('\n', stderr);
    return 64;
}

static bool broken_named(const char *name, enum broken *broken)
{
    for (int i = BROKEN_NONE; i < BROKENS; i++)
        if (strcmp(name, broken_names[i]) == 0) {
            *broken = (enum broken)i;
            return true;
        }
    return false;
}

int main(int argc, char **argv)
{
    enum broken broken = BROKEN_NONE;
    bool stats = false, replaying = false;
    uint64_t numbers[2] = {0, 1};
    int given = 0;
    for (int i = 1; i < argc; i++) {
        char *end;
        if (strcmp(argv[i], "--self-test") == 0)
            return self_test();
        if (strcmp(argv[i], "--stats") == 0)
            stats = true;
        else if (strcmp(argv[i], "--replay") == 0)
            replaying = true;
        else if (strncmp(argv[i], "--broken=", 9) == 0 && broken_named(argv[i] + 9, &broken))
            continue;
        else if (given < 2 && (numbers[given++] = strtoull(argv[i], &end, 10), *end == '\0' && end != argv[i]))
            continue;
        else
            return usage();
    }
    if (given == 0)
        return usage();
    if (replaying)
        return replay(numbers[0], broken);
    int failed = run_seeds(numbers[0], numbers[1], broken);
    for (int kind = 0; kind < PLACES && stats; kind++)
        print_stats((enum place_kind)kind);
    printf("%llu passed, %d failed\n", (unsigned long long)numbers[0] - (unsigned long long)failed, failed);
    return failed != 0;
}
