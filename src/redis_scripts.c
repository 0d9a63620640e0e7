#include "redis_scripts.h"

#include "digest.h"

#include <openssl/evp.h>
#include <string.h>

const char *const redis_key_names[REDIS_KEYS] = {
    [REDIS_KEY_LOCK] = "lock",       [REDIS_KEY_FENCE] = "fence",   [REDIS_KEY_GATE] = "gate",
    [REDIS_KEY_APPLIED] = "applied", [REDIS_KEY_RUNS] = "runs",     [REDIS_KEY_OUTPUTS] = "outputs",
    [REDIS_KEY_TARGETS] = "targets", [REDIS_KEY_TOKENS] = "tokens",
};

#define NAMES "local lock, fence, gate, applied, runs, outputs, targets, tokens = unpack(KEYS)\n"

#define NOW                                                                                                            \
    "local time = redis.call('TIME')\n"                                                                                \
    "local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))\n"

/* One line of INFO. */
#define INFO                                                                                                           \
    "local function info(section, name)\n"                                                                             \
    "  return string.match(redis.call('INFO', section), name .. ':([%w_-]+)')\n"                                       \
    "end\n"

/* Tells whoever listens that there is something to look at. */
#define WAKE(token) "redis.call('PUBLISH', string.gsub(lock, 'lock$', 'wake'), " token ")\n"

#define SERVER      "(info('replication', 'master_replid') or 'unknown')"

#define FIELD       "local function field(token, name) return redis.call('HGET', runs, token .. '.' .. name) end\n"

/* Older ended runs are forgotten: a container that restarts for weeks must not fill a Redis. */
#define KEEP_RUNS    "1000"
#define KEEP_OUTPUTS "20"

static const char *const texts[REDIS_SCRIPTS] = {
    /* Our own lock of before, whose reply or connection was lost, is ours to take again, with a new fence. A fence that
     * is not there was forgotten, as perhaps all else: no server is on record any more (see REDIS_LOOK). Then, or on
     * another server, which may have lost the last writes, the clock gives a number above all that came before (in ms:
     * more than one lock a second is possible, more than a thousand are not). */
    [REDIS_LOCK] =
        NAMES INFO NOW "local held = redis.call('GET', lock)\n"
                       "if held and string.sub(held, 1, #ARGV[1]) ~= ARGV[1] then return {0} end\n"
                       "local policy = info('memory', 'maxmemory_policy') or ''\n"
                       "if string.sub(policy, 1, 7) == 'allkeys' and ARGV[3] ~= '1' then return {-1, policy} end\n"
                       "local last = tonumber(redis.call('HGET', gate, 'token')) or 0\n"
                       "local before = tonumber(redis.call('GET', fence)) or -1\n"
                       "if before < last then redis.call('HDEL', gate, 'server') end\n"
                       "if redis.call('HGET', gate, 'server') ~= " SERVER " then\n"
                       "  redis.call('SET', fence, string.format('%.0f', math.max(before, last, tonumber(now))))\n"
                       "end\n"
                       "local mine = redis.call('INCR', fence)\n"
                       /* Who has no right to renew must hear of it before a command hangs on that. */
                       "redis.call('PEXPIRE', lock, ARGV[2])\n"
                       "redis.call('SET', lock, ARGV[1] .. ' ' .. string.format('%.0f', mine), 'PX', ARGV[2])\n"
                       "return {mine, policy}\n",

    [REDIS_LOOK] = NAMES INFO FIELD NOW
    "local known = redis.call('HMGET', gate, 'token', 'server')\n"
    "local last = known[1] or '0'\n"
    "local held, mine, changed = redis.call('GET', lock), false, true\n" /* without the lock nothing is vouched for */
    "if held and string.sub(held, 1, #ARGV[3]) == ARGV[3] then\n"
    "  local uptime = tonumber(info('server', 'uptime_in_seconds'))\n"
    "  mine = string.sub(held, #ARGV[3] + 2)\n"
    "  changed = known[2] ~= " SERVER " or (uptime and uptime * 1000 < tonumber(ARGV[4]))\n"
    "    or (known[1] and not field(last, 'state')) or false\n" /* the last run itself was forgotten */
    "end\n"
    "local stats = redis.call('HMGET', targets, 'failures:' .. ARGV[1], 'attempts:' .. ARGV[1],\n"
    "  'failed:' .. ARGV[1], 'not_before:' .. ARGV[1])\n"
    "local failed, left, tail = stats[3], false, false\n"
    "if stats[4] then left = string.format('%.0f', stats[4] - now) end\n"
    "if failed then tail = string.sub(redis.call('HGET', outputs, failed) or '', -8191) end\n"
    "local own = field(ARGV[2], 'state')\n"
    "if own == 'running' and ARGV[2] ~= last then own = 'lost' end\n" /* that it was the last one was forgotten */
    "return {last, mine, changed and '1', field(last, 'state'), field(last, 'target'), field(last, 'exit_status'),\n"
    "  field(last, 'host'), field(last, 'container'), field(last, 'pid'), field(last, 'holder'), field(last, 'root'),\n"
    "  field(last, 'started_at'), field(last, 'last_line'), stats[1], stats[2], left, own,\n"
    "  failed, failed and field(failed, 'exit_status'), tail}\n",

    [REDIS_MARK] = NAMES INFO FIELD NOW
    "if redis.call('GET', lock) ~= ARGV[1] then return 0 end\n"
    "local token, target = ARGV[2], ARGV[3]\n"
    "local last = redis.call('HGET', gate, 'token')\n"
    /* A retry in place, or only the reply to the first mark was lost; a run that was forgotten is written anew. */
    "local again = last == token and field(token, 'state')\n"
    "if again and (field(token, 'holder') ~= ARGV[10] or field(token, 'state') ~= 'running') then return 0 end\n"
    "if last and not again then\n"
    "  if tonumber(last) > tonumber(token) then return 0 end\n"
    "  if field(last, 'state') == 'running' then\n"
    "    redis.call('HSET', runs, last .. '.state', 'lost', last .. '.finished_at', now)\n"
    "    redis.call('HINCRBY', targets, 'failures:' .. field(last, 'target'), 1)\n"
    "  end\n"
    "end\n"
    "redis.call('HSET', targets, 'attempts:' .. target, ARGV[4])\n"
    "redis.call('HSET', runs, token .. '.attempt', ARGV[4], token .. '.beat_at', now)\n"
    "if not again then\n"
    "  redis.call('HSET', gate, 'token', token, 'server', " SERVER ")\n"
    "  redis.call('HSET', runs, token .. '.state', 'running', token .. '.target', target, token .. '.host', ARGV[5],\n"
    "    token .. '.container', ARGV[6], token .. '.pid', ARGV[7], token .. '.command', ARGV[8],\n"
    "    token .. '.lockstep_version', ARGV[9], token .. '.holder', ARGV[10], token .. '.root', ARGV[11],\n"
    "    token .. '.started_at', now)\n"
    "  redis.call('RPUSH', tokens, token)\n"
    "  local old = redis.call('LINDEX', tokens, -" KEEP_OUTPUTS " - 1)\n"
    "  if old then redis.call('HDEL', outputs, old) end\n"
    "  if redis.call('LLEN', tokens) > " KEEP_RUNS " then\n"
    "    old = redis.call('LPOP', tokens)\n"
    "    for _, name in ipairs({'attempt', 'beat_at', 'state', 'target', 'host', 'container', 'pid', 'command',\n"
    "        'lockstep_version', 'holder', 'root', 'started_at', 'finished_at', 'exit_status', 'last_line'}) do\n"
    "      redis.call('HDEL', runs, old .. '.' .. name)\n"
    "    end\n"
    "  end\n"
    "end\n" WAKE("token") "return 1\n",

    [REDIS_VOUCH] = NAMES INFO "if redis.call('GET', lock) ~= ARGV[1] then return 0 end\n"
                               "redis.call('HSET', gate, 'server', " SERVER ")\n" WAKE("''") "return 1\n",

    [REDIS_BEAT] = NAMES "if redis.call('GET', lock) ~= ARGV[1] then return 0 end\n"
                         "return redis.call('PEXPIRE', lock, ARGV[2])\n", /* never SET: a lost key is lost */

    [REDIS_PROGRESS] =
        NAMES NOW "if redis.call('GET', lock) ~= ARGV[1] then return 0 end\n"
                  "redis.call('HSET', runs, ARGV[2] .. '.last_line', ARGV[3], ARGV[2] .. '.beat_at', now)\n"
                  "return 1\n",

    /* not_before: DESIGN section 2, rule 8. The first write of a script is the only one that maxmemory refuses (Redis
     * source, scriptVerifyOOM), and never a PEXPIRE: the result of a migration must not be lost for want of memory. */
    [REDIS_END] =
        NAMES FIELD NOW "local token, state = ARGV[2], ARGV[3]\n"
                        "if redis.call('GET', lock) ~= ARGV[1] or redis.call('HGET', gate, 'token') ~= token\n"
                        "  or field(token, 'state') ~= 'running' then return 0 end\n"
                        "redis.call('PEXPIRE', lock, 1000)\n"
                        "local target = field(token, 'target')\n"
                        "redis.call('HSET', runs, token .. '.state', state, token .. '.exit_status', ARGV[4], token .. "
                        "'.last_line', ARGV[5],\n"
                        "  token .. '.finished_at', now)\n"
                        "redis.call('HSET', outputs, token, ARGV[6])\n"
                        "if state == 'failed' then\n"
                        "  local failures = redis.call('HINCRBY', targets, 'failures:' .. target, 1)\n"
                        "  local pause = math.min(1000 * 2 ^ math.min(failures, 20), 300000)\n"
                        "  redis.call('HSET', targets, 'failed:' .. target, token, 'not_before:' .. target,\n"
                        "    string.format('%.0f', now + pause))\n"
                        "elseif state == 'succeeded' then\n"
                        /* Only --applied-if comes back to such a target. */
                        "  redis.call('HDEL', targets, 'failures:' .. target, 'attempts:' .. target,\n"
                        "    'not_before:' .. target)\n"
                        "  if redis.call('HSETNX', applied, target, token) == 1 then\n"
                        "    redis.call('HSET', applied, '', token)\n"
                        "  end\n"
                        "end\n"
                        "redis.call('DEL', lock)\n" WAKE("token") "return 1\n",

    [REDIS_RELEASE] = NAMES "if redis.call('GET', lock) ~= ARGV[1] then return 0 end\n"
                            "redis.call('DEL', lock)\n" WAKE("''") "return 1\n",
};

const char *redis_script_text(enum redis_script script)
{
    return texts[script];
}

int redis_script_sha(enum redis_script script, char sha[41], struct err *err)
{
    unsigned char hash[EVP_MAX_MD_SIZE];
    if (EVP_Digest(texts[script], strlen(texts[script]), hash, NULL, EVP_sha1(), NULL) != 1)
        return err_set(err, ERR_SYSTEM, "libcrypto has no SHA-1");
    digest_hex(hash, 20, sha);
    return 0;
}
