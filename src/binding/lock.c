/***
One run at a time over files that several could change; the Lua face is tcpki.lock.
@module tcpki.lock
*/
#include "../pki/lock.h"

#include "core.h"

static void release(void *object) {
    pki_lock_release(object);
}

box_kind box_lock = {"tcpki.lock", release, 0};

static int lock_take(lua_State *L) {
    pki_fault fault;
    const char *path = check_path(L, 1);
    const char *purpose = check_text(L, 2, NULL);
    void **box = box_push(L, &box_lock);
    pki_begin(&fault);
    pki_lock *lock = pki_lock_take(path, purpose, &fault);
    if (lock == NULL) {
        return fault_push(L, &fault, path);
    }
    box_fill(box, &box_lock, lock);
    return 1;
}

/***
Releases the lock, which the end of its scope (`local held <close>`), its collection and the end of
the process, even by a kill, do as well. What is released already stays so.
@function lock:release
*/
static int lock_release(lua_State *L) {
    return box_close(L, &box_lock);
}

static int lock_tostring(lua_State *L) {
    void **box = luaL_checkudata(L, 1, box_lock.name);
    lua_pushfstring(L, "%s (%s)", box_lock.name, *box == NULL ? "released" : pki_lock_path(*box));
    return 1;
}

static const luaL_Reg functions[] = {{"take", lock_take}, {NULL, NULL}};

static const luaL_Reg methods[] = {{"release", lock_release}, {NULL, NULL}};

static const luaL_Reg metamethods[] = {
    {"__gc", lock_release}, {"__close", lock_release}, {"__tostring", lock_tostring}, {NULL, NULL}};

void lock_open(lua_State *L) {
    box_register(L, &box_lock, methods, metamethods);
    luaL_newlib(L, functions);
}
