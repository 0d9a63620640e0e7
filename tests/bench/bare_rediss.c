/* bare_redis with hiredis' TLS part, and so OpenSSL, linked in: what a program costs that can speak rediss:// too, even
 * where it does not (it does if REDIS_TLS is set). */
#define WITH_TLS
#include "bare_redis.c"
