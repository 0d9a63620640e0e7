/* The Lua scripts of the Redis meeting place: each does its part of the protocol as one fact. */
#ifndef LOCKSTEP_REDIS_SCRIPTS_H
#define LOCKSTEP_REDIS_SCRIPTS_H

#include "err.h"

/* All keys of a gate, given to every script: one hash slot, and nothing that is not declared. */
enum redis_key {
    REDIS_KEY_LOCK,    /* string "NONCE FENCE" with an expiry: the lease */
    REDIS_KEY_FENCE,   /* counter */
    REDIS_KEY_GATE,    /* hash: token of the last run, server = replication id at its mark */
    REDIS_KEY_APPLIED, /* hash: target -> token, "" -> the newest token */
    REDIS_KEY_RUNS,    /* hash: "TOKEN.state", "TOKEN.host", ... */
    REDIS_KEY_OUTPUTS, /* hash: token -> the end of the run's output */
    REDIS_KEY_TARGETS, /* hash: "failures:TARGET", "attempts:TARGET", "failed:TARGET", "not_before:TARGET" */
    REDIS_KEY_TOKENS,  /* list of the runs' tokens, the oldest first */
    REDIS_KEYS
};

enum redis_script {
    REDIS_LOCK,  /* nonce, lease ms, 1 = evicting servers too -> {fence or 0 = busy or -1 = evicts, policy} */
    REDIS_LOOK,  /* target, own token, nonce, quarantine ms -> an array, enum redis_look_item */
    REDIS_MARK,  /* value, token, target, attempt, host, container, pid, command, version, nonce, root -> 1, 0 = busy */
    REDIS_VOUCH, /* value -> 1, 0 = busy. A mark whose records are in another place */
    REDIS_BEAT,  /* value, lease ms -> 1, 0 = lost */
    REDIS_PROGRESS, /* value, token, last line */
    REDIS_END,      /* value, token, state, exit status, last line, output -> 1, 0 = lost */
    REDIS_RELEASE,  /* value */
    REDIS_SCRIPTS
};

/* What REDIS_LOOK answers, in order. Absent items are nil. Times are ms. */
enum redis_look_item {
    REDIS_LOOK_TOKEN,
    REDIS_LOOK_FENCE,
    REDIS_LOOK_CHANGED,
    REDIS_LOOK_STATE,
    REDIS_LOOK_TARGET,
    REDIS_LOOK_STATUS,
    REDIS_LOOK_HOST,
    REDIS_LOOK_CONTAINER,
    REDIS_LOOK_PID,
    REDIS_LOOK_HOLDER,
    REDIS_LOOK_ROOT,
    REDIS_LOOK_STARTED,
    REDIS_LOOK_LINE,
    REDIS_LOOK_FAILURES,
    REDIS_LOOK_ATTEMPTS,
    REDIS_LOOK_NOT_BEFORE, /* from now on */
    REDIS_LOOK_OWN,
    REDIS_LOOK_FAILED,
    REDIS_LOOK_FAILED_STATUS,
    REDIS_LOOK_TAIL,
    REDIS_LOOK_ITEMS
};

/* The names of the keys behind lockstep:{NAME}: in the scripts' order. */
extern const char *const redis_key_names[REDIS_KEYS];

/* The script's text. Static storage. */
const char *redis_script_text(enum redis_script script);

/* Writes what EVALSHA calls the script. -1 with ERR_SYSTEM if libcrypto has no SHA-1. */
int redis_script_sha(enum redis_script script, char sha[41], struct err *err);

#endif
