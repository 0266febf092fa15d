/*
** What a C programmer would write on libcrypto to read the blocks of a PEM text, or its
** certificates: the other side of bench/pem.lua. A wrong count throws, so that no figure stands for
** work that was not done.
*/
#include <lauxlib.h>
#include <lua.h>
#include <openssl/err.h>
#include <openssl/pem.h>

/* Each object is freed when the next one has been read; the end of the text is an error. */
static lua_Integer read_blocks(BIO *text) {
    char *label = NULL;
    char *headers = NULL;
    unsigned char *der = NULL;
    long length = 0;
    lua_Integer count = 0;
    while (PEM_read_bio(text, &label, &headers, &der, &length) == 1) {
        OPENSSL_free(label);
        OPENSSL_free(headers);
        OPENSSL_free(der);
        count++;
    }
    return count;
}

static lua_Integer read_certificates(BIO *text) {
    X509 *certificate = NULL;
    lua_Integer count = 0;
    while ((certificate = PEM_read_bio_X509(text, NULL, NULL, NULL)) != NULL) {
        X509_free(certificate);
        count++;
    }
    return count;
}

static int repeat(lua_State *L, lua_Integer (*read)(BIO *)) {
    size_t length = 0;
    const char *text = luaL_checklstring(L, 1, &length);
    lua_Integer expected = luaL_checkinteger(L, 2);
    for (lua_Integer n = luaL_checkinteger(L, 3); n > 0; n--) {
        BIO *bio = BIO_new_mem_buf(text, (int)length);
        lua_Integer count = read(bio);
        BIO_free(bio);
        ERR_clear_error();
        if (count != expected) {
            return luaL_error(L, "%d of %d blocks", (int)count, (int)expected);
        }
    }
    return 0;
}

/* blocks(text, count, n) */
static int armour_blocks(lua_State *L) {
    return repeat(L, read_blocks);
}

/* certificates(text, count, n) */
static int armour_certificates(lua_State *L) {
    return repeat(L, read_certificates);
}

static const luaL_Reg functions[] = {
    {"blocks", armour_blocks}, {"certificates", armour_certificates}, {NULL, NULL}};

int luaopen_armour(lua_State *L);

int luaopen_armour(lua_State *L) {
    luaL_newlib(L, functions);
    return 1;
}
