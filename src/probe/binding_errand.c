#include "binding_errand.h"

#include <errno.h>
#include <lauxlib.h>
#include <poll.h>

#include "box.h"
#include "clock.h"
#include "errand.h"
#include "push.h"
#include "trace.h"

#define ERRAND "tcpki.probe.errand"

/*
** errand(client, "wait", seconds) or errand(client, "system_info"|..., subject or nil, seconds):
** the same as client:wait and client:ask, begun and not waited for. The client must not be closed,
** nor used otherwise, before the errand is.
*/
static int errand_open(lua_State *L) {
    static const char *const methods[] = {"system_info", "describe_namespace", "health", "wait",
                                          NULL};
    rpc_channel *channel = box_check(L, CLIENT);
    int what = luaL_checkoption(L, 2, NULL, methods);
    bool is_wait = methods[what + 1] == NULL;
    const char *subject = is_wait ? NULL : luaL_optstring(L, 3, NULL);
    double seconds = luaL_checknumber(L, is_wait ? 3 : 4);
    box *made = box_new(L, ERRAND);
    box_fill(L, made,
             is_wait ? errand_wait(channel, seconds)
                     : errand_ask(channel, (temporal_method)what, subject, seconds));
    return 1;
}

/* errand:wait(seconds) -> what client:wait or client:ask gives | nil while it is under way */
static int errand_result(lua_State *L) {
    errand *running = box_check(L, ERRAND);
    if (!waker_wait(errand_done(running), luaL_checknumber(L, 2))) {
        luaL_pushfail(L);
    } else if (!errand_is_question(running)) {
        push_state(L, errand_state(running));
    } else if (errand_answer(running) != NULL) {
        push_answer(L, errand_answer(running));
    } else {
        return luaL_error(L, "not enough memory");
    }
    return 1;
}

static int errand_close(lua_State *L) {
    errand_end(box_empty(L, 1, ERRAND));
    return 0;
}

static const waker *waker_at(lua_State *L, int index) {
    const box *trace_box = luaL_testudata(L, index, TRACE);
    const box *errand_box = luaL_testudata(L, index, ERRAND);
    const box *waited = trace_box != NULL ? trace_box : errand_box;
    if (waited == NULL || waited->held == NULL) {
        luaL_error(L, "an open errand or trace expected");
        return NULL;
    }
    return trace_box != NULL ? trace_done(waited->held) : errand_done(waited->held);
}

/* any({ errand or trace, ... }, seconds): until one of them is over; of none it is a pause */
static int any(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    double seconds = luaL_checknumber(L, 2);
    size_t count = (size_t)lua_rawlen(L, 1);
    struct pollfd *waited = lua_newuserdatauv(L, (count + 1) * sizeof *waited, 0);
    for (size_t i = 0; i < count; i++) {
        (void)lua_rawgeti(L, 1, (lua_Integer)i + 1);
        waited[i] = (struct pollfd){.fd = waker_at(L, -1)->ends[0], .events = POLLIN};
        lua_pop(L, 1);
    }
    double deadline = clock_now() + seconds;
    while (poll(waited, (nfds_t)count, clock_milliseconds_until(deadline)) < 0 && errno == EINTR) {}
    return 0;
}

static const luaL_Reg errand_methods[] = {
    {"wait", errand_result},
    {"close", errand_close},
    {NULL, NULL},
};
static const luaL_Reg functions[] = {
    {"errand", errand_open},
    {"any", any},
    {NULL, NULL},
};

void binding_errand(lua_State *L) {
    box_register(L, ERRAND, errand_methods, errand_close);
    luaL_setfuncs(L, functions, 0);
}
