#include "times.h"

struct times times_from_lease(int64_t lease)
{
    return (struct times){
        .lease = lease,
        .heartbeat = lease / 12,
        .deadline = lease * 4 / 10,
        .grace = lease * 4 / 10,
        .kill = lease / 10,
        .quarantine = lease + 1000,
    };
}
