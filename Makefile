# SPDX-License-Identifier: Apache-2.0
#
# Stator: `make help` lists the targets and the variables.
#
#   include/ futures/ core/ lib/ ──► build/libstator.{so,a}
#   tools/cli/                   ──► build/stator
#   tests/ docs/examples/        ──► build/tests/ build/bench/ build/docs/
#
# Objects live in build/obj/<compiler>[-<sanitizer>]/, a folder for each kind,
# so that a change of CC or SAN rebuilds nothing twice. What is linked lives in
# build/ itself and is linked again when the kind changes (build/stamp/kind).

MAKEFLAGS += --no-builtin-rules
.DELETE_ON_ERROR:
.SUFFIXES:
.SECONDARY:
.DEFAULT_GOAL := all

# ── what may be set ─────────────────────────────────────────────────────────

ifeq ($(origin CC),default)
CC := gcc
endif
ifeq ($(origin CXX),default)
CXX := g++
endif
AR      ?= ar
LD      ?= ld
OBJCOPY ?= objcopy
CFLAGS  ?= -O2 -g
SAN     ?=
PREFIX  ?= /usr/local
LIBDIR  ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
BINDIR  ?= $(PREFIX)/bin
DESTDIR ?=
V       ?= 0

comma := ,
SANS  := address thread undefined address,undefined
ifneq ($(SAN),)
ifeq ($(filter $(SAN),$(SANS)),)
$(error SAN=$(SAN): choose one of $(SANS))
endif
endif

Q   := $(if $(filter 1,$(V)),,@)
say  = @$(if $(filter 1,$(V)),:,printf '  %-6s %s\n' $(1) $(2))

# ── one place for the version ───────────────────────────────────────────────

number   = $(or $(shell sed -n \
    's/^.define STATOR_VERSION_$(1)  *\([0-9][0-9]*\).*/\1/p' \
    include/stator/version.h 2>/dev/null),$(2))
MAJOR   := $(call number,MAJOR,0)
VERSION := $(MAJOR).$(call number,MINOR,1).$(call number,MICRO,0)
SONAME  := libstator.so.$(MAJOR)
REAL    := libstator.so.$(VERSION)

# ── flags ───────────────────────────────────────────────────────────────────

pkg = $(shell pkg-config $(1) 2>/dev/null)

# -isystem: the warnings of other people's headers are not ours to fix.
DRIVER_CFLAGS := $(patsubst -I%,-isystem %, \
    $(call pkg,--cflags libmongoc-1.0 libbson-1.0))
DRIVER_LIBS   := $(call pkg,--libs libmongoc-1.0 libbson-1.0)
BSON_LIBS     := $(call pkg,--libs libbson-1.0)
URCU_LIBS     := $(call pkg,--libs liburcu-cds)
# What a server may compress an answer with: the driver's own three.
PACK_LIBS     := -lsnappy -lzstd -lz
CHECK_LIBS    := $(call pkg,--libs check)
UV_LIBS       := $(call pkg,--libs libuv)
CLI_LIBS      := -lcsv -lm

WARN      := -Wall -Wextra -Wpedantic -Werror
SANFLAGS  := $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer) \
    $(if $(findstring undefined,$(SAN)),-fno-sanitize-recover=undefined)
BASE      := -std=c11 -D_GNU_SOURCE -pthread -fPIC -fvisibility=hidden
ALL_CFLAGS = $(BASE) $(WARN) $(CFLAGS) $(SANFLAGS) $(CPPFLAGS)
LINK       = $(CC) -pthread $(CFLAGS) $(SANFLAGS) $(LDFLAGS) -Wl,--as-needed
# A sanitized library finds its run-time in the program that loads it.
NO_UNDEFINED := $(if $(SAN),,-Wl$(comma)-z$(comma)defs)

KIND := $(notdir $(firstword $(CC)))$(if $(SAN),-$(subst $(comma),+,$(SAN)))
OBJ  := build/obj/$(KIND)

# ── what there is ───────────────────────────────────────────────────────────

LIB_SRC     := $(sort $(wildcard futures/*.c core/*.c lib/*.c))
FUTURES_SRC := $(filter futures/%,$(LIB_SRC))
CLI_SRC     := $(sort $(wildcard tools/cli/*.c))
EXAMPLES    := $(sort $(wildcard docs/examples/*.c))
BENCHES     := $(sort $(wildcard tests/bench/bench_*.c))

TESTS_ALL     := $(sort $(wildcard tests/*/*.c tests/*/*/*.c))
TESTS_SRC     := $(foreach f,$(TESTS_ALL),$(if $(filter test_%,$(notdir $f)),$f))
FUT_TESTS_SRC := $(filter tests/futures/%,$(TESTS_SRC))
TORTURE_SRC   := $(filter tests/torture/%,$(TESTS_ALL))
DB_TESTS_SRC  := $(filter-out $(FUT_TESTS_SRC) $(TORTURE_SRC),$(TESTS_SRC))
# These have a place of their own; all else below tests/ supports the tests.
ALONE_SRC     := tests/harness/main.c tests/harness/mongoc_log.c \
    tests/wire/main.c tests/fuzz/fuzz_guard.c tests/soak/main.c
SUPPORT_SRC   := $(filter-out $(TESTS_SRC) $(ALONE_SRC) $(TORTURE_SRC) \
    tests/bench/%,$(TESTS_ALL))
VERIFIERS     := $(sort $(wildcard tests/verify/*.cpp))
BENCH_SUPPORT := $(filter-out $(BENCHES),$(wildcard tests/bench/*.c))

obj = $(patsubst %.c,$(OBJ)/%.o,$(1))
all_src := $(LIB_SRC) $(CLI_SRC) $(EXAMPLES) $(TESTS_ALL)

LIBS_OUT     := build/libstator.so build/libstator.a
CLI_OUT      := $(if $(CLI_SRC),build/stator)
TESTS_OUT    := $(if $(FUT_TESTS_SRC),build/tests/check_futures) \
    $(if $(DB_TESTS_SRC),build/tests/check_stator) \
    $(if $(wildcard tests/wire/main.c),build/tests/wire-server)
EXAMPLES_OUT := $(patsubst docs/examples/%.c,build/docs/%,$(EXAMPLES))
BENCHES_OUT  := $(patsubst tests/bench/%.c,build/bench/%,$(BENCHES))
VERIFIERS_OUT := $(patsubst tests/verify/%.cpp,build/verify/%,$(VERIFIERS))

# ── targets that people type ────────────────────────────────────────────────

.PHONY: all run test check tests examples benches objects bench lint install
.PHONY: coverage cover memcheck analyzed tidied
.PHONY: uninstall setup clean distclean help FORCE
.PHONY: verify verifiers torture fuzz soak

all: $(LIBS_OUT) $(CLI_OUT) ; @:
tests: $(TESTS_OUT) ; @:
examples: $(EXAMPLES_OUT) ; @:
benches: $(BENCHES_OUT) ; @:
verifiers: $(VERIFIERS_OUT) ; @:
objects: $(call obj,$(all_src)) ; @:
analyzed: $(call obj,$(LIB_SRC)) ; @:
tidied: $(patsubst %.c,$(OBJ)/%.tidy,$(LIB_SRC) $(CLI_SRC)) ; @:

# The set-up may install the very packages whose flags were asked for above:
# what needs them is built by a make of its own, afterwards.
jobs   = $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc))
remake = $(MAKE) --no-print-directory $(jobs)

run:
	$(Q)tools/setup run
	$(Q)$(remake) all
	$(Q)tools/run

test:
	$(Q)tools/setup test
	$(Q)$(remake) check

check: all tests examples
	$(Q)SAN=$(SAN) CC='$(CC)' tools/test

bench:
	$(Q)tools/setup bench
	$(Q)$(remake) build/tests/wire-server benches
	$(Q)tests/bench/run

verify:
	$(Q)tools/setup verify
	$(Q)$(remake) verifiers
	$(Q)tests/verify/run

# Replies, led by coverage to what no server should send.
fuzz:
	$(Q)tools/setup fuzz
	$(Q)$(remake) CC=clang SAN= KIND=fuzz CFLAGS='-O1 -g $(FUZZED)' \
	    build/fuzz/fuzz_guard
	$(Q)tests/fuzz/run

# Every call of the library's own that can fail does so once, at each place.
torture:
	$(Q)tools/setup test
	$(Q)$(remake) build/tests/torture
	$(Q)build/tests/torture

# A mixed load through proxies that break connections.
soak:
	$(Q)tools/setup test
	$(Q)$(remake) build/tests/soak
	$(Q)tools/with-server build/tests/soak

# Every suite under valgrind; `tools/memcheck SUITE..` for some.  An ordinary
# build: a sanitizer and valgrind do not go together.
memcheck:
	$(Q)tools/setup test memcheck
	$(Q)$(remake) SAN= tests
	$(Q)tools/memcheck

lint:
	$(Q)tools/setup lint
	$(Q)$(remake) all
	$(Q)tools/lint

# Instrumented objects in a folder of their own; what is linked is linked again
# by the next make of another kind.  gcov is gcc's.
COVERED := build/obj/coverage
COVERAGE_LINE   ?= 95
COVERAGE_BRANCH ?= 85
COVER   := gcovr -r . --object-directory $(COVERED) --gcov-executable gcov \
    -f futures/ -f core/ -f lib/ --exclude-unreachable-branches

coverage:
	$(Q)tools/setup coverage
	$(Q)$(remake) CC=gcc SAN= KIND=coverage \
	    CFLAGS='-O0 -g --coverage -fprofile-update=atomic' all tests \
	    build/tests/torture
	$(Q)find $(COVERED) -name '*.gcda' -delete
	$(Q)tools/with-server $(MAKE) --no-print-directory cover

# Each program runs even if one fails; then the report, then the failure.
cover:
	$(Q)failed=0; export CK_TIMEOUT_MULTIPLIER=$${CK_TIMEOUT_MULTIPLIER:-2}; \
	for t in check_futures torture check_stator; do \
	    build/tests/$$t >build/log/cover-$$t.log 2>&1 || failed=1; \
	    grep '^[0-9]*%: Checks' build/log/cover-$$t.log | tail -n 1; \
	done; \
	$(COVER) --csv $(COVERED)/cover.csv $(COVERED) && \
	$(COVER) --txt $(COVERED)/cover.txt $(COVERED) && \
	awk -F, 'function row(name, l, lc, b, bc) { \
	        printf "%-28s %5d %6.1f %% %7d %6.1f %%\n", name, l, \
	            l ? 100 * lc / l : 100, b, b ? 100 * bc / b : 100 } \
	    NR == 1 { print "file                         lines  covered" \
	        "  branches covered"; next } \
	    { row($$1, $$2, $$3, $$5, $$6); L += $$2; LC += $$3; B += $$5; \
	        BC += $$6 } \
	    END { row("all", L, LC, B, BC); \
	        if (100 * LC < $(COVERAGE_LINE) * L || \
	            100 * BC < $(COVERAGE_BRANCH) * B) { \
	            print "coverage: below $(COVERAGE_LINE) % of lines or " \
	                "$(COVERAGE_BRANCH) % of branches"; exit 1 } }' \
	    $(COVERED)/cover.csv || failed=1; \
	echo 'not covered, by line: $(COVERED)/cover.txt'; exit $$failed

setup:
	$(Q)tools/setup run test

clean:
	$(Q)rm -rf build/obj build/tests build/bench build/docs build/readme \
	    build/verify build/fuzz build/stator build/libstator* build/stamp/kind \
	    build/stamp/tools

distclean:
	$(Q)rm -rf build

help:
	@sed -n 's/^#: \{0,1\}//p' Makefile

#: Targets
#:   all        the library and the command line (the default)
#:   run        set up, build, load a real data set, show the demonstration
#:   test       set up, build, run every test
#:   check      as test, without the set-up
#:   lint       gcc and its analyzer, clang, clang-tidy, cppcheck, headers,
#:              layers, exports, contracts, text, scripts
#:   coverage   run the tests instrumented, print lines and branches covered;
#:              fails below COVERAGE_LINE (95) or COVERAGE_BRANCH (85) percent
#:   memcheck   run the tests under valgrind's memcheck
#:   bench      measure the library beside plain driver threads
#:   verify     model-check the state machine of futures and operations
#:   fuzz       feed replies of any kind to what guards the driver
#:   torture    let every call that can fail fail once, at each place
#:   soak       ten minutes of load, faults and cancels; is anything lost?
#:   install    library, headers, stator.pc and the command line
#:   uninstall  take them away again
#:   setup      only install what run and test need
#:   clean      remove what was built; distclean: the set-up's work too
#:   help       this text
#:
#: Variables
#:   CC=clang             the compiler (gcc)
#:   CFLAGS='-O0 -g'      optimisation and debugging (-O2 -g)
#:   SAN=address          or thread, undefined, address,undefined
#:   V=1                  show each command
#:   PREFIX= DESTDIR=     where install puts things (/usr/local)
#:   LIBDIR= INCLUDEDIR= BINDIR=   its folders, below PREFIX unless set
#:   MONGODB_URI=         a server of yours; else mongod, else the embedded one
#:   FUZZ_SECONDS=60      how long fuzz goes on
#:   SOAK_SECONDS=600     how long a soak lasts (in the tests: 60)
#:   CK_RUN_SUITE=future  one suite; CK_RUN_CASE, CK_FORK, CK_VERBOSITY likewise

# ── the library ─────────────────────────────────────────────────────────────

build/libstator.so: build/$(SONAME)
	$(Q)ln -sf $(SONAME) $@

build/$(SONAME): build/$(REAL)
	$(Q)ln -sf $(REAL) $@

build/$(REAL): $(call obj,$(LIB_SRC)) lib/stator.map build/stamp/kind
	$(call say,LD,$@)
	$(Q)$(LINK) -shared -Wl,-soname,$(SONAME) $(NO_UNDEFINED) \
	    -Wl,--version-script,lib/stator.map -o $@ $(filter %.o,$^) \
	    $(DRIVER_LIBS) $(URCU_LIBS) $(PACK_LIBS)

build/libstator.a: $(call obj,$(LIB_SRC)) build/stamp/kind
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $(filter %.o,$^)

# ── the command line ────────────────────────────────────────────────────────

build/stator: $(call obj,$(CLI_SRC)) build/libstator.so
	$(call say,LD,$@)
	$(Q)$(LINK) -Wl,-rpath,'$$ORIGIN' -o $@ $(filter %.o,$^) \
	    -Lbuild -lstator $(DRIVER_LIBS) $(CLI_LIBS)

# The installed one must not look for its library in a build tree.
$(OBJ)/stator: $(call obj,$(CLI_SRC)) build/libstator.so
	$(Q)$(LINK) -Wl,-rpath,'$$ORIGIN/../lib' -o $@ $(filter %.o,$^) \
	    -Lbuild -lstator $(DRIVER_LIBS) $(CLI_LIBS)

# ── tests, examples, benchmarks ─────────────────────────────────────────────

$(OBJ)/libsupport.a: $(call obj,$(SUPPORT_SRC))
	$(Q)rm -f $@ && $(AR) rcs $@ $(filter %.o,$^)

# No driver here: a reference to it from futures/ does not link.
build/tests/check_futures: $(call obj,$(FUT_TESTS_SRC) $(FUTURES_SRC) \
    tests/harness/main.c) $(OBJ)/libsupport.a build/stamp/kind
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(LINK) -o $@ $(filter %.o,$^) \
	    $(OBJ)/libsupport.a $(CHECK_LIBS) $(BSON_LIBS) $(URCU_LIBS)

build/tests/check_stator: $(call obj,$(DB_TESTS_SRC) $(LIB_SRC) \
    tests/harness/main.c $(wildcard tests/harness/mongoc_log.c)) \
    $(OBJ)/libsupport.a build/stamp/kind
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(LINK) -o $@ $(filter %.o,$^) \
	    $(OBJ)/libsupport.a $(CHECK_LIBS) $(DRIVER_LIBS) $(URCU_LIBS) \
	    $(PACK_LIBS) $(UV_LIBS)

# The library, with other names for what can fail: see tests/torture/fail.h.
TORTURED := malloc calloc realloc aligned_alloc strdup free eventfd write \
    pthread_create

$(OBJ)/tortured.o: $(call obj,$(LIB_SRC)) build/stamp/kind
	$(Q)$(LD) -r -o $@ $(filter %.o,$^) && $(OBJCOPY) \
	    $(foreach f,$(TORTURED),--redefine-sym $f=torture_$f) $@

build/tests/torture: $(call obj,$(TORTURE_SRC) tests/harness/main.c \
    $(wildcard tests/harness/mongoc_log.c)) $(OBJ)/tortured.o \
    $(OBJ)/libsupport.a build/stamp/kind
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(LINK) -o $@ $(filter %.o,$^) \
	    $(OBJ)/libsupport.a $(CHECK_LIBS) $(DRIVER_LIBS) $(URCU_LIBS) \
	    $(PACK_LIBS) $(UV_LIBS)

# What is fuzzed needs no driver: the guard reads bytes.
FUZZED := -fsanitize=fuzzer-no-link,address,undefined \
    -fno-sanitize-recover=undefined -fno-omit-frame-pointer

build/fuzz/fuzz_guard: $(call obj,$(wildcard core/guard*.c tests/fuzz/*.c))
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) -fsanitize=fuzzer,address,undefined -o $@ \
	    $^ $(BSON_LIBS) $(PACK_LIBS)

build/tests/soak: $(call obj,tests/soak/main.c $(LIB_SRC)) \
    $(OBJ)/libsupport.a build/stamp/kind
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(LINK) -o $@ $(filter %.o,$^) \
	    $(OBJ)/libsupport.a $(CHECK_LIBS) $(DRIVER_LIBS) $(URCU_LIBS) \
	    $(PACK_LIBS)

build/tests/wire-server: $(OBJ)/tests/wire/main.o $(OBJ)/libsupport.a \
    build/stamp/kind
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(LINK) -o $@ $< $(OBJ)/libsupport.a $(BSON_LIBS)

build/bench/%: $(OBJ)/tests/bench/%.o $(call obj,$(BENCH_SUPPORT)) \
    $(OBJ)/libsupport.a build/libstator.a build/stamp/kind
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(LINK) -o $@ $(filter %.o,$^) \
	    $(OBJ)/libsupport.a build/libstator.a $(DRIVER_LIBS) $(URCU_LIBS) \
	    $(PACK_LIBS) -lm

# The kernel's calls alone: no library, no driver.
build/bench/bench_interrupt: $(call obj,tests/bench/bench_interrupt.c \
    tests/bench/meter.c) build/stamp/kind
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(LINK) -o $@ $(filter %.o,$^)

# The model checker's headers are C++98, and so is what includes them.
build/verify/%: tests/verify/%.cpp tests/verify/relacy.h futures/state.h
	$(call say,CXX,$@)
	$(Q)mkdir -p $(@D) && $(CXX) -std=gnu++98 -O2 -Wall -Wextra -Werror -I. \
	    -o $@ $<

# docs/examples/futures_*.c show the futures alone: they get no driver.
build/docs/futures_%: $(OBJ)/docs/examples/futures_%.o \
    $(call obj,$(FUTURES_SRC)) build/stamp/kind
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(LINK) -o $@ $(filter %.o,$^) $(BSON_LIBS) \
	    $(URCU_LIBS)

build/docs/%: $(OBJ)/docs/examples/%.o build/libstator.so build/stamp/kind
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(LINK) -Wl,-rpath,'$$ORIGIN/..' -o $@ \
	    $(filter %.o,$^) -Lbuild -lstator $(DRIVER_LIBS) $(UV_LIBS)

# ── objects ─────────────────────────────────────────────────────────────────

# The command line and the examples see what a user sees, and no more.
$(OBJ)/tools/% $(OBJ)/docs/%: INCLUDES := -Iinclude
INCLUDES := -I. -Iinclude

$(OBJ)/%.o: %.c $(OBJ)/flags | build/stamp/tools
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D) && $(CC) $(ALL_CFLAGS) $(INCLUDES) \
	    $(DRIVER_CFLAGS) -MMD -MP -c -o $@ $<

-include $(patsubst %.c,$(OBJ)/%.d,$(all_src))

# What clang-tidy has nothing to say of.  The object knows the headers.
$(OBJ)/%.tidy: %.c $(OBJ)/%.o .clang-tidy
	$(call say,TIDY,$<)
	$(Q)out=$$(clang-tidy --quiet $< -- $(BASE) $(INCLUDES) \
	    $(DRIVER_CFLAGS) 2>&1) || { printf '%s\n' "$$out"; exit 1; }; touch $@

# Written only when its text changes, so that make compares contents, not ages.
define keep
	$(Q)mkdir -p $(@D) && printf '%s\n' $(1) | cmp -s - $@ || \
	    printf '%s\n' $(1) >$@
endef

$(OBJ)/flags: FORCE
	$(call keep,'$(CC) $(ALL_CFLAGS) $(DRIVER_CFLAGS)')

# The sources' names too: what a file that has gone left behind must go.
build/stamp/kind: FORCE
	$(call keep,'$(KIND) $(LDFLAGS) $(all_src)')

# A compiler or a header that is missing is named before the first error.
build/stamp/tools: tools/setup
	$(Q)tools/setup --check build && mkdir -p $(@D) && touch $@

# ── install ─────────────────────────────────────────────────────────────────

HEADERS := $(patsubst include/%,%,$(sort $(wildcard \
    include/stator/*.h include/stator/*.hpp include/stator/adapters/*.h)))

install: all $(if $(CLI_SRC),$(OBJ)/stator)
	$(call say,INST,$(DESTDIR)$(PREFIX))
	$(Q)set -e; \
	install -d '$(DESTDIR)$(LIBDIR)/pkgconfig' '$(DESTDIR)$(BINDIR)' \
	    '$(DESTDIR)$(INCLUDEDIR)/stator/adapters'; \
	install -m 755 build/$(REAL) '$(DESTDIR)$(LIBDIR)/$(REAL)'; \
	ln -sf $(REAL) '$(DESTDIR)$(LIBDIR)/$(SONAME)'; \
	ln -sf $(SONAME) '$(DESTDIR)$(LIBDIR)/libstator.so'; \
	install -m 644 build/libstator.a '$(DESTDIR)$(LIBDIR)/libstator.a'; \
	for h in $(HEADERS); do \
	    install -m 644 "include/$$h" "$(DESTDIR)$(INCLUDEDIR)/$$h"; \
	done; \
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' \
	    -e 's|@INCLUDEDIR@|$(INCLUDEDIR)|' -e 's|@VERSION@|$(VERSION)|' \
	    lib/stator.pc.in >'$(DESTDIR)$(LIBDIR)/pkgconfig/stator.pc'; \
	chmod 644 '$(DESTDIR)$(LIBDIR)/pkgconfig/stator.pc'; \
	$(if $(CLI_SRC),install -m 755 $(OBJ)/stator '$(DESTDIR)$(BINDIR)/stator')

uninstall:
	$(Q)rm -f '$(DESTDIR)$(LIBDIR)/$(REAL)' '$(DESTDIR)$(LIBDIR)/$(SONAME)' \
	    '$(DESTDIR)$(LIBDIR)/libstator.so' '$(DESTDIR)$(LIBDIR)/libstator.a' \
	    '$(DESTDIR)$(LIBDIR)/pkgconfig/stator.pc' \
	    '$(DESTDIR)$(BINDIR)/stator'
	$(Q)rm -rf '$(DESTDIR)$(INCLUDEDIR)/stator'
