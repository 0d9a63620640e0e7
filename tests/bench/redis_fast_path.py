"""What a restart costs on Redis when the version is already there: whole processes, from start to end. In a pair both sides
end in the exec of the same app, or neither does: `lockstep check` against a program that asks once and exits."""

import programs
from redis_server import PASSWORD, USER

ROUNDS, ROUNDS_CLI, SECONDS = 800, 100, 40


def measure(server):
    """Results of a race, each (wall, CPU), by (side, ends in the app, with a password)."""
    contenders = {}
    for password in (False, True):
        gate = programs.environment(LOCKSTEP_LOCK=server.url(password), LOCKSTEP_NAME="default", LOCKSTEP_TARGET="v1")
        bare, cli = programs.environment(**server.variables(password)), programs.environment(REDISCLI_AUTH=PASSWORD)
        login = ["--user", USER] if password else []
        words = {
            ("lockstep", True): ([programs.LOCKSTEP, "--migrate", "false", "--", programs.APP], gate),
            ("lockstep", False): ([programs.LOCKSTEP, "check"], gate),
            ("bare", True): ([programs.BARE_REDIS, "look", "default", "v1", programs.APP], bare),
            ("bare", False): ([programs.BARE_REDIS, "ask", "default", "v1"], bare),
            ("bare with TLS", True): ([programs.BARE_REDISS, "look", "default", "v1", programs.APP], bare),
            ("redis-cli", False): (["/usr/bin/redis-cli", "-p", server.port, *login, "GET", "nothing"],
                                   cli if password else programs.environment()),
        }
        for (side, executes), (argv, env) in words.items():
            contenders[side, executes, password] = lambda argv=argv, env=env: programs.timed(argv, env)
    for contender in contenders.values():
        contender()
    return programs.race(contenders, {key: ROUNDS_CLI if key[0] == "redis-cli" else ROUNDS for key in contenders}, SECONDS)
