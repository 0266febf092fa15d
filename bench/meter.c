/*
** The clocks of the comparison, and programs as children: what Lua's own os.clock and os.execute
** are too coarse for.
*/
#define _GNU_SOURCE /* wait4 */
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <lua.h>
#include <spawn.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static double seconds_of(clockid_t clock) {
    struct timespec now;
    (void)clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* cpu() -> seconds of all threads of this process */
static int meter_cpu(lua_State *L) {
    lua_pushnumber(L, seconds_of(CLOCK_PROCESS_CPUTIME_ID));
    return 1;
}

/* wall() -> seconds on a clock that nobody sets */
static int meter_wall(lua_State *L) {
    lua_pushnumber(L, seconds_of(CLOCK_MONOTONIC));
    return 1;
}

/* run{program, argument, ...} -> status, cpu, wall; its input and output are /dev/null */
static int meter_run(lua_State *L) {
    enum { ARGUMENTS = 32 };
    char *arguments[ARGUMENTS + 1];
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    int count = (int)lua_rawlen(L, 1);
    luaL_argcheck(L, count > 0 && count <= ARGUMENTS, 1, "from 1 to 32 words expected");
    luaL_checkstack(L, ARGUMENTS + 4, NULL);
    for (int i = 0; i < count; i++) {
        (void)lua_rawgeti(L, 1, i + 1);
        arguments[i] = (char *)luaL_checkstring(L, -1);
    }
    arguments[count] = NULL;
    posix_spawn_file_actions_t actions;
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    (void)posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    (void)posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    pid_t child = 0;
    double start = seconds_of(CLOCK_MONOTONIC);
    const char *program = luaL_checkstring(L, 2); /* the first word, which stays on the stack */
    int error = posix_spawnp(&child, program, &actions, NULL, arguments, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    if (error != 0) {
        return luaL_error(L, "%s: %s", program, strerror(error));
    }
    int status = 0;
    struct rusage used;
    while (wait4(child, &status, 0, &used) < 0 && errno == EINTR) {}
    double wall = seconds_of(CLOCK_MONOTONIC) - start;
    lua_pushinteger(L, WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    lua_pushnumber(L, (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                          (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
    lua_pushnumber(L, wall);
    return 3;
}

static const luaL_Reg functions[] = {
    {"cpu", meter_cpu}, {"wall", meter_wall}, {"run", meter_run}, {NULL, NULL}};

int luaopen_meter(lua_State *L);

int luaopen_meter(lua_State *L) {
    luaL_newlib(L, functions);
    return 1;
}
