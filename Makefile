# tcpki. `make help` lists what it can do; variables that may be set are in the first block.

BUILD    ?= build
PROBE    ?= auto
WERROR   ?= no
SANITIZE ?=
DEPS     ?= yes
V        ?= 0
CFLAGS   ?= -O2 -g
LUA      ?= $(firstword $(shell command -v lua5.4 lua54 lua) lua5.4)
PROTOC_C ?= protoc-c
PKG_CONFIG ?= pkg-config
PREFIX   ?= /usr/local
LUADIR   ?= $(PREFIX)/share/lua/5.4
LIBDIR   ?= $(PREFIX)/lib/lua/5.4
FUZZ_SECONDS ?= 60
# Where headers and libraries are, when the compiler does not find them by itself:
# LUA_INCDIR OPENSSL_INCDIR OPENSSL_LIBDIR GRPC_INCDIR GRPC_LIBDIR PROTOBUF_C_INCDIR PROTOBUF_C_LIBDIR

ifeq ($(origin CC),default)
CC = gcc
endif

# V=1 shows the commands.
Q = $(if $(filter 1,$(V)),,@echo "  $(@:$(BUILD)/%=%)";)

# ---- flags -----------------------------------------------------------------------------------

WARNINGS  = -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror=implicit-function-declaration
ifeq ($(WERROR),yes)
WARNINGS += -Werror
endif

LUA_PC   := $(firstword $(foreach name,lua5.4 lua-5.4 lua54 lua,\
              $(shell $(PKG_CONFIG) --exists $(name) 2>/dev/null && echo $(name))))
LUA_FLAGS     := $(if $(LUA_INCDIR),-I$(LUA_INCDIR),$(shell $(PKG_CONFIG) --cflags $(LUA_PC) 2>/dev/null))
OPENSSL_FLAGS := $(if $(OPENSSL_INCDIR),-I$(OPENSSL_INCDIR),$(shell $(PKG_CONFIG) --cflags libssl 2>/dev/null))
OPENSSL_LINK  := $(if $(OPENSSL_LIBDIR),-L$(OPENSSL_LIBDIR),$(shell $(PKG_CONFIG) --libs-only-L libssl 2>/dev/null))
# No pkg-config for gRPC: its private requirements take it half a second, and -lgrpc -lgpr is enough.
GRPC_FLAGS    := $(addprefix -I,$(GRPC_INCDIR) $(PROTOBUF_C_INCDIR))
GRPC_LINK     := $(addprefix -L,$(GRPC_LIBDIR) $(PROTOBUF_C_LIBDIR))

SANITIZER = $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer)
COMPILE   = $(CC) -std=c11 -D_POSIX_C_SOURCE=200809L -fPIC -fvisibility=hidden -MMD -MP \
            $(CFLAGS) $(SANITIZER) -Isrc $(CPPFLAGS)

ifeq ($(shell uname -s),Darwin)
SHARED = $(CC) -bundle -undefined dynamic_lookup $(CFLAGS) $(SANITIZER) $(LDFLAGS)
else
SHARED = $(CC) -shared $(CFLAGS) $(SANITIZER) $(LDFLAGS)
# gRPC's threads outlive dlclose, which Lua calls at exit: the probe stays mapped. So does a
# sanitizer build, or LeakSanitizer could no longer name the frames of a leak.
PIN    = -Wl,-z,nodelete
endif

# ---- what is built ---------------------------------------------------------------------------

CORE          = $(BUILD)/tcpki/core.so
CORE_OBJECTS  = $(patsubst src/%.c,$(BUILD)/objects/%.o,$(wildcard src/pki/*.c src/binding/*.c))
PROBE_CORE    = $(BUILD)/tcpki/probe/core.so
PROBE_OBJECTS = $(patsubst src/%.c,$(BUILD)/objects/%.o,$(wildcard src/probe/*.c))
MESSAGES      = $(BUILD)/generated/messages.pb-c

ifeq ($(PROBE),auto)
PROBE_FOUND := $(shell printf '\043include <grpc/grpc.h>\n\043include <protobuf-c/protobuf-c.h>\n' \
                 | $(CC) $(GRPC_FLAGS) -E -x c - >/dev/null 2>&1 && command -v $(PROTOC_C) >/dev/null \
                 && echo yes || echo no)
else
PROBE_FOUND := $(PROBE)
endif

.PHONY: build core probe deps demo test test-server test-istio test-readers test-producers test-stacks test-interop test-install conformance bench lint format docs asan stress oom \
        fuzz install clean help
.DEFAULT_GOAL := build

build: core $(if $(filter yes,$(PROBE_FOUND)),probe,no-probe)  ## the two modules, in $(BUILD)/tcpki
core: $(CORE)
probe: $(PROBE_CORE)

.PHONY: no-probe
no-probe:
	@echo "tcpki.probe is not built: no gRPC core, protobuf-c or $(PROTOC_C) found" \
	      "(Debian: libgrpc-dev libprotobuf-c-dev protobuf-c-compiler; PROBE=yes to insist)"

# A change of compiler or flags rebuilds; an unchanged command line does not touch the file.
FLAGS = $(BUILD)/flags
.PHONY: always
$(FLAGS): always
	@mkdir -p $(@D)
	@echo '$(COMPILE) $(WARNINGS) $(LUA_FLAGS) $(OPENSSL_FLAGS) $(GRPC_FLAGS) $(SHARED)' > $@.$$PPID
	@cmp -s $@.$$PPID $@ && rm $@.$$PPID || mv $@.$$PPID $@

$(BUILD)/headers: $(FLAGS)
	@printf '#include <lua.h>\n#if LUA_VERSION_NUM < 504\n#error\n#endif\n' \
	  | $(CC) $(LUA_FLAGS) -E -x c - >/dev/null 2>&1 || { \
	  echo "No headers of Lua 5.4 or later found: run 'make deps', or set LUA_INCDIR." >&2; exit 1; }
	@printf '#include <openssl/opensslv.h>\n#if OPENSSL_VERSION_MAJOR < 3\n#error\n#endif\n' \
	  | $(CC) $(OPENSSL_FLAGS) -E -x c - >/dev/null 2>&1 || { \
	  echo "No headers of OpenSSL 3 or later found: run 'make deps', or set OPENSSL_INCDIR." >&2; exit 1; }
	@touch $@

$(BUILD)/objects/pki/%.o: src/pki/%.c $(BUILD)/headers
	@mkdir -p $(@D)
	$(Q)$(COMPILE) $(WARNINGS) $(OPENSSL_FLAGS) -c -o $@ $<

$(BUILD)/objects/binding/%.o: src/binding/%.c $(BUILD)/headers
	@mkdir -p $(@D)
	$(Q)$(COMPILE) $(WARNINGS) $(LUA_FLAGS) $(OPENSSL_FLAGS) -c -o $@ $<

# Headers that are not ours are system headers: we do not answer for their warnings.
$(BUILD)/objects/probe/%.o: src/probe/%.c $(BUILD)/headers | $(MESSAGES).h
	@mkdir -p $(@D)
	$(Q)$(COMPILE) $(WARNINGS) $(LUA_FLAGS) $(OPENSSL_FLAGS) $(GRPC_FLAGS) -isystem $(BUILD)/generated -c -o $@ $<

$(MESSAGES).c: src/probe/messages.proto
	@mkdir -p $(@D)
	$(Q)$(PROTOC_C) --proto_path=src/probe --c_out=$(BUILD)/generated $<
$(MESSAGES).h: $(MESSAGES).c ;

$(MESSAGES).o: $(MESSAGES).c $(FLAGS)
	$(Q)$(COMPILE) $(GRPC_FLAGS) -w -c -o $@ $<

$(CORE): $(CORE_OBJECTS)
	@mkdir -p $(@D)
	$(Q)$(SHARED) $(if $(SANITIZE),$(PIN)) -o $@ $^ $(OPENSSL_LINK) -lcrypto

$(PROBE_CORE): $(PROBE_OBJECTS) $(MESSAGES).o
	@mkdir -p $(@D)
	$(Q)$(SHARED) $(PIN) -o $@ $^ $(GRPC_LINK) $(OPENSSL_LINK) -lgrpc -lgpr -lprotobuf-c -lssl -lcrypto -lpthread

# The mechanism alone, without Lua: for fuzz/.
$(BUILD)/pki.a: $(filter $(BUILD)/objects/pki/%,$(CORE_OBJECTS))
	$(Q)rm -f $@ && ar rcs $@ $^

-include $(CORE_OBJECTS:.o=.d) $(PROBE_OBJECTS:.o=.d) $(MESSAGES).d

# ---- what is run -----------------------------------------------------------------------------

# For Lua and its children, whatever their working directory.
PATHS  = BUILD="$(BUILD)" LUA="$(LUA)" LUA_PATH="$(CURDIR)/lua/?.lua;$(CURDIR)/lua/?/init.lua;;" \
         LUA_CPATH="$(CURDIR)/$(BUILD)/?.so;;"
BUSTED = $(PATHS) $(LUA) tools/busted.lua $(BUSTED_FLAGS)
# In a second make, because the flags above depend on what the first one installs.
AGAIN  = @$(MAKE) --no-print-directory
ifeq ($(DEPS),yes)
need   = @tools/deps $(1)
else
need   = @:
endif

deps:  ## install what is missing (Debian, Ubuntu; elsewhere: say what)
	$(call need,build probe test)

demo:  ## rotate a CA under a running frontend, and watch it
	$(call need,build probe)
	$(AGAIN) build PROBE=yes
	@$(PATHS) $(LUA) examples/rotate_and_probe.lua

test:  ## the suite that needs nothing but packages
	$(call need,build probe test)
	$(AGAIN) build PROBE=yes
	$(BUSTED)

test-server:  ## the specs that need the real Temporal server (builds it once, with Go)
	$(call need,build probe test server)
	$(AGAIN) build PROBE=yes
	@tools/counterparts server >/dev/null
	@tools/counterparts python >/dev/null
	$(BUSTED) --run=server

test-istio:  ## the specs that need Istio's own module (builds it once, with Go)
	$(call need,build probe test)
	$(AGAIN) build
	@tools/counterparts istiod >/dev/null
	$(BUSTED) --run=istio $(wildcard spec/istio_*_spec.lua)

test-readers:  ## what real readers make of mangled PEM, beside our verdicts (ALL=yes: every pair)
	$(call need,build probe test readers)
	$(AGAIN) build PROBE=yes
	@tools/counterparts readers >/dev/null
	@READERS_ALL=$(ALL) $(BUSTED) --run=readers spec/readers_spec.lua

test-producers:  ## certificates of other makers before us, and ours before linters and verifiers
	$(call need,build probe test producers)
	$(AGAIN) build
	@for counterpart in keyvault zlint pkilint step forge go certstrap; do tools/counterparts $$counterpart >/dev/null || exit 1; done
	$(BUSTED) --run=producers

test-stacks:  ## the diagnosis before servers of every TLS stack (STACKS_TIMES: rounds of the verdict)
	$(call need,build probe test server stacks)
	$(AGAIN) build PROBE=yes
	@for counterpart in server stacks; do tools/counterparts $$counterpart >/dev/null || exit 1; done
	@STACKS_TIMES=$(STACKS_TIMES) $(BUSTED) --run=stacks spec/stacks_spec.lua spec/probe_verifiers_spec.lua

test-interop:  ## what tcpki writes before nine other readers, and the reverse (INTEROP=write: docs/interop.md)
	$(call need,build probe test server readers interop)
	$(AGAIN) build
	@for counterpart in server python interop sdk; do tools/counterparts $$counterpart >/dev/null || exit 1; done
	@INTEROP=$(INTEROP) $(BUSTED) --run=interop spec/interop_spec.lua spec/sdk_spec.lua

test-install:  ## the rockspec: lint, make into a clean tree, load from it
	$(call need,build probe test install)
	$(BUSTED) --run=install

# The cases come beside the clone: they are too large to be in it.
CONFORMANCE ?= ../shared/conformance/x509-limbo.jsonl.xz

conformance:  ## chain:verify over x509-limbo and BetterTLS (CONFORMANCE=FILE)
	$(call need,build probe test)
	$(AGAIN) build
	$(PATHS) $(LUA) test/limbo/run.lua "$(CONFORMANCE)"

bench:  ## beside plain C and luaossl, as ratios
	$(call need,build probe bench)
	$(AGAIN) build PROBE=yes
	$(PATHS) bench/run

C_FILES = $(wildcard src/*/*.c src/*/*.h test/*/*.c test/*/*/*.c test/*/*/*.h fuzz/*.c fuzz/*.h tools/*/*.c bench/*.c)

lint:  ## luacheck, clang-format, clang-tidy
	$(call need,build probe lint)
	$(AGAIN) build PROBE=yes
	luacheck --quiet $(if $(CI),--no-color) .
	clang-format --dry-run -Werror $(C_FILES)
	tools/tidy $(BUILD)

format:  ## clang-format over our C
	clang-format -i $(C_FILES)

docs:  ## the reference, in build/docs
	$(call need,docs)
	ldoc --quiet .

asan:  ## the suite under ASan, UBSan and LSan
	$(call need,build probe test)
	$(AGAIN) sanitized PROBE=yes
	PATH="$(CURDIR)/tools/asan:$$PATH" $(MAKE) --no-print-directory busted BUILD=build/asan LUA=lua5.4

stress:  ## the suite with a full collection at every line of ours
	$(call need,build probe test)
	$(AGAIN) build PROBE=yes
	$(PATHS) tools/stress

oom:  ## every allocation made to fail, one after the other
	$(call need,build probe test)
	$(AGAIN) sanitized PROBE=yes
	$(AGAIN) build/asan/oom-host build/asan/oom-trace
	tools/oom

fuzz:  ## FUZZ_SECONDS in all over the parsers of src/pki, and what a server sends to a trace
	$(call need,build sanitize)
	tools/fuzz $(FUZZ_SECONDS)

.PHONY: busted sanitized
busted:
	$(BUSTED)

sanitized:
	$(AGAIN) build BUILD=build/asan SANITIZE=address,undefined CFLAGS="-O1 -g"
	@$(CC) -shared -fPIC -o build/asan/forget.so tools/asan/forget.c

build/asan/oom-host: test/oom/host.c
	@mkdir -p $(@D)
	$(CC) -std=c11 -D_POSIX_C_SOURCE=200809L $(WARNINGS) -O1 -g -fsanitize=address,undefined \
	  -fno-omit-frame-pointer $(LUA_FLAGS) $(OPENSSL_FLAGS) -o $@ $< \
	  $(shell $(PKG_CONFIG) --libs $(LUA_PC)) $(OPENSSL_LINK) -lcrypto

# The reading side of the probe, without gRPC core: also the sources of fuzz/trace.c.
READING = $(addprefix src/probe/,conversation.c record.c context.c http.c scheme.c)
build/asan/oom-trace: test/oom/trace.c fuzz/trace.c $(READING)
	$(CC) -std=c11 -D_POSIX_C_SOURCE=200809L $(WARNINGS) -O1 -g -fsanitize=address,undefined \
	  -fno-omit-frame-pointer -Isrc -Ifuzz $(OPENSSL_FLAGS) -Wl,--wrap=malloc -o $@ $^ $(OPENSSL_LINK) -lssl -lcrypto

install: build  ## into LUADIR and LIBDIR (PREFIX, DESTDIR)
	tools/install $(BUILD) $(DESTDIR)$(LUADIR) $(DESTDIR)$(LIBDIR) $(CORE) $(if $(filter yes,$(PROBE_FOUND)),$(PROBE_CORE))

clean:  ## all that was built
	rm -rf build

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*##  *\(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 16
