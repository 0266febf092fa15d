/*
** Runs Lua code while memory runs out: every request is made to fail in turn, first, second,
** third …, until the code passes. Built with the address sanitizer.
**
**   host load MODULE        a new state requires MODULE; Lua's allocator fails from the n-th on
**   host lua SCRIPT         the cases of SCRIPT, likewise
**   host libcrypto SCRIPT   the cases of SCRIPT; libcrypto's allocator fails once, at the n-th
**
** CASE in the environment names the only one to run; SHARE=1/2 and SHARE=2/2 halve them.
**
** A script returns a list of cases, { name, function }, and a field `live`: a function that gives
** the number of objects alive. After each failure nothing may be left: no object, no byte of
** libcrypto's. What a failed request may lead to is one error that says so.
*/
#include <fcntl.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <openssl/crypto.h>
#include <sanitizer/lsan_interface.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Enough for any case; a case that never passes is a case that swallows failures. */
enum { MOST_FAILURES = 100000, MOST_PROBLEMS = 10, HANG_SECONDS = 30 };

/* ---- an allocator that fails ---------------------------------------------------------------- */

typedef struct budget {
    bool armed;
    bool once;   /* fail one request, or all from there on */
    long before; /* requests that still pass */
    long failed;
    long blocks; /* outstanding */
} budget;

static budget lua_budget;
static budget crypto_budget = {.once = true};

static void arm(budget *account, long requests) {
    account->before = requests;
    account->failed = 0;
    account->armed = true;
}

static bool refuses(budget *account) {
    if (!account->armed || account->before-- > 0) {
        return false;
    }
    if (account->once && account->failed > 0) {
        return false;
    }
    account->failed++;
    return true;
}

static void *lua_allocate(void *context, void *block, size_t old_size, size_t new_size) {
    (void)context;
    if (new_size == 0) {
        lua_budget.blocks -= block != NULL;
        free(block);
        return NULL;
    }
    /* Lua relies on it that shrinking succeeds. */
    if ((block == NULL || new_size > old_size) && refuses(&lua_budget)) {
        return NULL;
    }
    void *result = realloc(block, new_size);
    lua_budget.blocks += block == NULL && result != NULL;
    return result;
}

static void *crypto_allocate(size_t size, const char *file, int line) {
    (void)file;
    (void)line;
    if (size == 0 || refuses(&crypto_budget)) {
        return NULL;
    }
    void *result = malloc(size);
    crypto_budget.blocks += result != NULL;
    return result;
}

static void crypto_release(void *block, const char *file, int line) {
    (void)file;
    (void)line;
    crypto_budget.blocks -= block != NULL;
    free(block);
}

static void *crypto_reallocate(void *block, size_t size, const char *file, int line) {
    if (block == NULL) {
        return crypto_allocate(size, file, line);
    }
    if (size == 0) {
        crypto_release(block, file, line);
        return NULL;
    }
    return refuses(&crypto_budget) ? NULL : realloc(block, size);
}

/* What is outstanding, without what each thread keeps: its error queue, its random generator. */
static long crypto_blocks(void) {
    OPENSSL_thread_stop();
    return crypto_budget.blocks;
}

/* More blocks may also be a cache that grew; the sanitizer knows what nobody points to. */
static bool is_leaked(void) {
    return __lsan_do_recoverable_leak_check() != 0;
}

/* ---- one state, one script ------------------------------------------------------------------ */

static long problems;

static void problem(const char *name, long request, const char *what) {
    problems++;
    printf("%s, request %ld: %s\n", name, request, what);
}

static lua_State *new_state(void) {
    lua_State *L = lua_newstate(lua_allocate, NULL);
    if (L == NULL) {
        fprintf(stderr, "no memory for a Lua state\n");
        exit(2);
    }
    luaL_openlibs(L);
    return L;
}

static void fail(lua_State *L, const char *script) {
    fprintf(stderr, "%s: %s\n", script, luaL_tolstring(L, -1, NULL));
    exit(2);
}

static long live(lua_State *L) {
    lua_gc(L, LUA_GCCOLLECT);
    lua_gc(L, LUA_GCCOLLECT); /* the first one ran the finalizers */
    lua_getfield(L, 1, "live");
    if (lua_pcall(L, 0, 1, 0) != LUA_OK) {
        fail(L, "live");
    }
    long count = (long)lua_tointeger(L, -1);
    lua_pop(L, 1);
    return count;
}

/* Leaves the script's table at index 1; returns the number of its cases. */
static lua_Integer load_script(lua_State *L, const char *script) {
    if (luaL_dofile(L, script) != LUA_OK) {
        fail(L, script);
    }
    lua_settop(L, 1);
    luaL_checktype(L, 1, LUA_TTABLE);
    return luaL_len(L, 1);
}

/* Pushes the function of a case; its name lives as long as the table. */
static const char *push_case(lua_State *L, lua_Integer index) {
    lua_geti(L, 1, index);
    lua_geti(L, -1, 1);
    const char *name = lua_tostring(L, -1);
    lua_pop(L, 1);
    lua_geti(L, -1, 2);
    lua_remove(L, -2);
    return name;
}

static int run_case(lua_State *L, lua_Integer index) {
    push_case(L, index);
    return lua_pcall(L, 0, 0, 0);
}

/* Twice without a failure: caches fill, and what stays outstanding is not a leak. */
static const char *warm_up(lua_State *L, lua_Integer index) {
    const char *name = push_case(L, index);
    lua_pop(L, 1);
    for (int i = 0; i < 2; i++) {
        if (run_case(L, index) != LUA_OK) {
            fail(L, name);
        }
        live(L);
    }
    return name;
}

/* ---- Lua's allocator ------------------------------------------------------------------------ */

static bool is_memory_error(lua_State *L, int status) {
    /* `require` wraps the error of the file that it loads into one of its own. */
    const char *message = lua_tostring(L, -1);
    return status == LUA_ERRMEM ||
           (message != NULL && strstr(message, "not enough memory") != NULL);
}

static void exhaust_lua(lua_State *L, lua_Integer index) {
    const char *name = warm_up(L, index);
    long objects = live(L);
    long blocks = crypto_blocks();
    long worst = problems + MOST_PROBLEMS;
    for (long request = 0; request < MOST_FAILURES && problems < worst; request++) {
        push_case(L, index);
        arm(&lua_budget, request);
        int status = lua_pcall(L, 0, 0, 0);
        lua_budget.armed = false;
        bool passed = status == LUA_OK;
        if (!passed && !is_memory_error(L, status)) {
            problem(name, request, luaL_tolstring(L, -1, NULL));
        }
        lua_settop(L, 1);
        if (live(L) != objects) {
            problem(name, request, "an object is left");
            objects = live(L);
        }
        if (crypto_blocks() > blocks && is_leaked()) {
            problem(name, request, "memory of libcrypto is left");
        }
        blocks = crypto_budget.blocks;
        if (passed && lua_budget.failed == 0) {
            printf("%-40s %6ld failures\n", name, request);
            return;
        }
        if (passed) {
            problem(name, request, "passed without memory");
        }
    }
    problem(name, 0, "given up");
}

static const char *module_to_load;

static int open_module(lua_State *L) {
    luaL_openlibs(L);
    lua_getglobal(L, "require");
    lua_pushstring(L, module_to_load);
    lua_call(L, 1, 0);
    return 0;
}

static void exhaust_load(const char *module) {
    module_to_load = module;
    for (long request = 0; request < MOST_FAILURES && problems < MOST_PROBLEMS; request++) {
        lua_State *L = lua_newstate(lua_allocate, NULL);
        if (L == NULL) {
            problem(module, request, "no Lua state");
            return;
        }
        lua_pushcfunction(L, open_module);
        arm(&lua_budget, request);
        int status = lua_pcall(L, 0, 0, 0);
        lua_budget.armed = false;
        if (status != LUA_OK && !is_memory_error(L, status)) {
            problem(module, request, luaL_tolstring(L, -1, NULL));
        }
        lua_close(L);
        if (lua_budget.blocks != 0) {
            problem(module, request, "memory of Lua is left");
            lua_budget.blocks = 0;
        }
        if (status == LUA_OK && lua_budget.failed == 0) {
            printf("require %-32s %6ld failures\n", module, request);
            return;
        }
    }
    problem(module, 0, "given up");
}

/* ---- libcrypto's allocator ------------------------------------------------------------------ */

enum {
    CHILD_PASSED = 10,
    CHILD_UNTOUCHED,
    CHILD_FAULT,
    CHILD_OTHER_FAULT,
    CHILD_WRONG,
    CHILD_LEAK
};

/* In a child, so that a crash within libcrypto is one finding and not the end of the run. */
static int child_run(lua_State *L, lua_Integer index, long request) {
    long objects = live(L);
    long blocks = crypto_blocks();
    push_case(L, index);
    arm(&crypto_budget, request);
    int status = lua_pcall(L, 0, 0, 0);
    crypto_budget.armed = false;
    int outcome = CHILD_PASSED;
    if (crypto_budget.failed == 0) {
        outcome = CHILD_UNTOUCHED;
    } else if (status != LUA_OK && lua_type(L, -1) == LUA_TTABLE) {
        lua_getfield(L, -1, "code");
        const char *code = lua_tostring(L, -1);
        outcome =
            code != NULL && strcmp(code, "out_of_memory") == 0 ? CHILD_FAULT : CHILD_OTHER_FAULT;
        if (outcome == CHILD_OTHER_FAULT) {
            fprintf(stderr, "%s\n", luaL_tolstring(L, -2, NULL));
        }
    } else if (status != LUA_OK && !is_memory_error(L, status)) {
        fprintf(stderr, "not a fault: %s\n", luaL_tolstring(L, -1, NULL));
        return CHILD_WRONG;
    }
    if (outcome == CHILD_UNTOUCHED && status != LUA_OK) {
        fprintf(stderr, "fails untouched: %s\n", luaL_tolstring(L, -1, NULL));
        return CHILD_WRONG;
    }
    lua_settop(L, 1);
    if (live(L) != objects) {
        fprintf(stderr, "an object is left\n");
        return CHILD_WRONG;
    }
    return crypto_blocks() > blocks && is_leaked() ? CHILD_LEAK : outcome;
}

static const char *report_path;

/* Whether the child's report names a defect of OpenSSL's that is written down. */
static bool is_known(const char *defects, char *which, size_t size) {
    static char report[1 << 20];
    FILE *file = fopen(report_path, "r");
    if (file == NULL) {
        return false;
    }
    size_t length = fread(report, 1, sizeof report - 1, file);
    fclose(file);
    report[length] = '\0';
    file = fopen(defects, "r");
    if (file == NULL) {
        return false;
    }
    bool known = false;
    char line[512];
    while (!known && fgets(line, sizeof line, file) != NULL) {
        char *colon = strchr(line, ':');
        if (line[0] == '#' || colon == NULL) {
            continue;
        }
        *colon = '\0';
        char frame[sizeof line + 8];
        snprintf(frame, sizeof frame, " in %s ", line);
        known = strstr(report, frame) != NULL;
        if (known) {
            snprintf(which, size, "%s", line);
        }
    }
    fclose(file);
    return known;
}

static void show_report(void) {
    FILE *file = fopen(report_path, "r");
    if (file == NULL) {
        return;
    }
    char line[512];
    for (int i = 0; i < 60 && fgets(line, sizeof line, file) != NULL; i++) {
        printf("    %s", line);
    }
    fclose(file);
}

static void exhaust_libcrypto(lua_State *L, lua_Integer index, const char *defects) {
    const char *name = warm_up(L, index);
    long counts[CHILD_LEAK + 1] = {0};
    long known = 0;
    long worst = problems + MOST_PROBLEMS;
    for (long request = 0; request < MOST_FAILURES && problems < worst; request++) {
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            int report = open(report_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
            dup2(report, STDERR_FILENO);
            alarm(HANG_SECONDS);
            _exit(child_run(L, index, request));
        }
        int status = 0;
        if (child < 0 || waitpid(child, &status, 0) < 0) {
            perror("fork");
            exit(2);
        }
        int outcome = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
        if (outcome == CHILD_UNTOUCHED) {
            printf("%-40s %6ld failures: %ld out_of_memory, %ld other faults, %ld absorbed, "
                   "%ld known defects of OpenSSL\n",
                   name, request, counts[CHILD_FAULT], counts[CHILD_OTHER_FAULT],
                   counts[CHILD_PASSED], known);
            return;
        }
        char which[512];
        if (outcome == CHILD_PASSED || outcome == CHILD_FAULT || outcome == CHILD_OTHER_FAULT) {
            counts[outcome]++;
        } else if (outcome != CHILD_WRONG && is_known(defects, which, sizeof which)) {
            known++;
        } else {
            problem(name, request,
                    outcome == CHILD_LEAK                                ? "memory is left"
                    : WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM ? "a hang"
                    : outcome == CHILD_WRONG                             ? "a wrong outcome"
                                                                         : "a crash");
            show_report();
        }
    }
    problem(name, 0, "given up");
}

typedef struct share {
    long part;
    long of;
} share;

/* "1/2": all of it where nothing is said. */
static share read_share(const char *text) {
    share own = {.part = 1, .of = 1};
    if (text != NULL) {
        char *end = NULL;
        own.part = strtol(text, &end, 10);
        own.of = *end == '/' ? strtol(end + 1, &end, 10) : 0;
        if (*end != '\0' || own.of < 1 || own.part < 1 || own.part > own.of) {
            (void)fprintf(stderr, "SHARE=%s is no share\n", text);
            exit(2);
        }
    }
    return own;
}

int main(int count, char **arguments) {
    if (count != 3 && !(count == 5 && strcmp(arguments[1], "libcrypto") == 0)) {
        fprintf(stderr, "usage: host load MODULE | lua SCRIPT | libcrypto SCRIPT DEFECTS REPORT\n");
        return 2;
    }
    const char *mode = arguments[1];
    if (CRYPTO_set_mem_functions(crypto_allocate, crypto_reallocate, crypto_release) != 1) {
        fprintf(stderr, "libcrypto has allocated already\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (strcmp(mode, "load") == 0) {
        exhaust_load(arguments[2]);
    } else {
        lua_State *L = new_state();
        lua_Integer cases = load_script(L, arguments[2]);
        const char *only = getenv("CASE");
        share own = read_share(getenv("SHARE"));
        for (lua_Integer i = 1; i <= cases; i++) {
            const char *name = push_case(L, i);
            lua_pop(L, 1);
            if ((only != NULL && strcmp(only, name) != 0) || i % own.of != own.part % own.of) {
                continue;
            }
            if (strcmp(mode, "lua") == 0) {
                exhaust_lua(L, i);
            } else {
                report_path = arguments[4];
                exhaust_libcrypto(L, i, arguments[3]);
            }
        }
        lua_close(L);
        if (lua_budget.blocks != 0) {
            problem(arguments[2], 0, "memory of Lua is left at the end");
        }
    }
    printf("%s %s: %ld problems\n", mode, arguments[2], problems);
    return problems == 0 ? 0 : 1;
}
