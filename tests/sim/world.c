#include "world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void world_begin(struct world *world, uint64_t seed)
{
    /* The heap is left as it is: clearing it for each of thousands of seeds would cost more than running them. */
    world->now = 1000000;
    world->random = seed;
    world->ordered = 0;
    world->count = 0;
    world->hash = 0xcbf29ce484222325ULL;
    world->violated = false;
    world->violation[0] = '\0';
}

/* splitmix64: neighbouring seeds give unrelated streams. */
static uint64_t draw(struct world *world)
{
    uint64_t z = world->random += 0x9E3779B97F4A7C15ULL;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
}

int64_t world_below(struct world *world, int64_t bound)
{
    uint64_t drawn = draw(world) >> 1;
    return bound > 0 ? (int64_t)(drawn % (uint64_t)bound) : 0;
}

int64_t world_between(struct world *world, int64_t low, int64_t high)
{
    return low + world_below(world, high - low + 1);
}

bool world_chance(struct world *world, int percent)
{
    return world_below(world, 100) < percent;
}

static bool earlier(const struct world_event *a, const struct world_event *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void swap(struct world_event *a, struct world_event *b)
{
    struct world_event kept = *a;
    *a = *b;
    *b = kept;
}

void world_at(struct world *world, int64_t at, world_fire *fire, int who, uint32_t stamp)
{
    if (world->count == WORLD_EVENTS_MAX) {
        fprintf(stderr, "sim: more than %d things are to come\n", WORLD_EVENTS_MAX);
        abort();
    }
    int i = world->count++;
    world->heap[i] = (struct world_event){
        .at = at < world->now ? world->now : at,
        .order = world->ordered++,
        .fire = fire,
        .who = who,
        .stamp = stamp,
    };
    for (; i > 0 && earlier(&world->heap[i], &world->heap[(i - 1) / 2]); i = (i - 1) / 2)
        swap(&world->heap[i], &world->heap[(i - 1) / 2]);
}

static struct world_event take_first(struct world *world)
{
    struct world_event first = world->heap[0];
    world->heap[0] = world->heap[--world->count];
    for (int i = 0;;) {
        int least = i;
        for (int child = 2 * i + 1; child <= 2 * i + 2; child++)
            if (child < world->count && earlier(&world->heap[child], &world->heap[least]))
                least = child;
        if (least == i)
            return first;
        swap(&world->heap[i], &world->heap[least]);
        i = least;
    }
}

bool world_next(struct sim *sim, struct world *world)
{
    if (world->count == 0)
        return false;
    struct world_event event = take_first(world);
    world->now = event.at;
    event.fire(sim, &event);
    return true;
}

void world_trace(struct world *world, const char *format, ...)
{
    char line[512];
    int length = snprintf(line, sizeof line, "%9lld ", (long long)world->now);
    va_list args;
    va_start(args, format);
    vsnprintf(line + length, sizeof line - (size_t)length, format, args);
    va_end(args);
    if (world->hashing)
        for (const char *c = line; *c; c++)
            world->hash = (world->hash ^ (unsigned char)*c) * 0x100000001B3ULL;
    if (world->printing)
        puts(line);
}

void world_violated(struct world *world, const char *invariant, const char *format, ...)
{
    if (world->violated)
        return; /* what follows from the first one would only hide it */
    world->violated = true;
    int length = snprintf(world->violation, sizeof world->violation, "%s: at %lld: ", invariant, (long long)world->now);
    va_list args;
    va_start(args, format);
    vsnprintf(world->violation + length, sizeof world->violation - (size_t)length, format, args);
    va_end(args);
    if (world->printing || world->hashing)
        world_trace(world, "VIOLATION %s", world->violation);
}
