# harbor-pilot: `make help` lists what there is to type.
SHELL := /bin/bash
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all

BUILD   ?= build
ifeq ($(origin CC),default)
CC := gcc
endif
VERSION := $(shell cat VERSION)
COMMIT  := $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)

WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wvla -Wformat=2 \
            -Wnull-dereference -Wimplicit-fallthrough -Wswitch-enum
# -fcf-protection exists on x86 only; arm64 has its own
ARCH_HARDENING := $(if $(filter x86_64,$(shell uname -m)),-fcf-protection=full,-mbranch-protection=standard)
HARDENING := -D_FORTIFY_SOURCE=3 -fstack-protector-strong -fstack-clash-protection -fPIE \
             $(ARCH_HARDENING)
OPTIMISE ?= -O2 -g $(HARDENING)
# set by `make SANITIZE=address,undefined` and the like; such a build goes to a folder of its own
SANITIZE ?=
ifneq ($(SANITIZE),)
OPTIMISE := -O1 -g -fno-omit-frame-pointer -fsanitize=$(SANITIZE) -fno-sanitize-recover=all
endif
CFLAGS_ALL := -std=gnu17 -D_GNU_SOURCE -Isrc -I. $(WARNINGS) -Werror $(OPTIMISE) -MMD -MP $(CFLAGS)
LDFLAGS_ALL := $(if $(SANITIZE),-fsanitize=$(SANITIZE),-pie -Wl,-z,relro,-z,now -Wl,--as-needed) $(LDFLAGS)
LIBS := -lcurl -lmicrohttpd -lgnutls -lyaml -ljansson -lcrypto -lpthread

LIB_SOURCES := $(sort $(wildcard src/*/*.c) $(wildcard certs/*.c))
WEBHOOK_SOURCES := $(sort $(wildcard webhook/*.c webhook/*/*.c))
UNIT_SOURCES := $(sort $(wildcard tests/unit/*/*.c tests/unit/*/*/*.c))
FUZZ_SOURCES := $(sort $(wildcard tests/fuzz/fuzz_*.c))

LIB := $(BUILD)/libharbor-pilot.a
BINARY := $(BUILD)/harbor-pilot
object = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
UNIT_TESTS := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(UNIT_SOURCES))
FUZZ_REPLAYS := $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%-replay,$(FUZZ_SOURCES))

.PHONY: all help deps run test test-harbor check bench fuzz lint format model mutation man install clean unit \
	fuzz-replays fuzz-objects e2e hostile

PREFIX  ?= /usr/local
DESTDIR ?=

# for a recipe that needs a tool: where it is missing, the line that installs it
need = command -v $(1) >/dev/null || { echo '$(1) is missing. As root, type:' >&2; \
	bash tests/deps.sh line $(or $(2),test) >&2; exit 2; }

## make            build/harbor-pilot
all: $(BINARY)

help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST)

$(BUILD)/obj/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D); echo '  CC    $<'
	@$(CC) $(CFLAGS_ALL) -c -o $@ $<

# the version and commit are in one object only, made again when they change
$(BUILD)/obj/webhook/version.o: CFLAGS_ALL += -DHARBOR_PILOT_VERSION='"$(VERSION)"' \
	-DHARBOR_PILOT_COMMIT='"$(COMMIT)"'
$(BUILD)/obj/webhook/version.o: $(BUILD)/commit

# keep what was built on the way
.SECONDARY:

# files that change only when their content does
$(BUILD)/flags: FORCE
	@$(call need,$(firstword $(CC)),$(if $(findstring clang,$(CC)),test,build))
	@mkdir -p $(@D); echo '$(CC) $(CFLAGS_ALL)' | cmp -s - $@ || echo '$(CC) $(CFLAGS_ALL)' >$@
$(BUILD)/commit: FORCE
	@mkdir -p $(@D); echo '$(VERSION) $(COMMIT)' | cmp -s - $@ || echo '$(VERSION) $(COMMIT)' >$@
.PHONY: FORCE
FORCE:

$(LIB): $(call object,$(LIB_SOURCES))
	@rm -f $@
	@$(AR) rcs $@ $^

$(BINARY): $(call object,$(WEBHOOK_SOURCES)) $(LIB)
	@echo '  LINK  $@'
	@$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS)

$(BUILD)/unit/%: $(BUILD)/obj/tests/unit/%.o $(filter-out %/main.o,$(call object,$(WEBHOOK_SOURCES))) $(LIB)
	@mkdir -p $(@D)
	@echo '  LINK  $@'
	@$(CC) $(LDFLAGS_ALL) -o $@ $^ -lcmocka $(LIBS)
unit: $(UNIT_TESTS)

# a fuzz target linked with a main that feeds it files: the corpora as ordinary tests
$(BUILD)/fuzz/%-replay: $(BUILD)/obj/tests/fuzz/%.o $(BUILD)/obj/tests/fuzz/replay.o $(LIB)
	@mkdir -p $(@D)
	@echo '  LINK  $@'
	@$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS)
fuzz-replays: $(FUZZ_REPLAYS)
fuzz-objects: $(call object,$(FUZZ_SOURCES)) $(LIB)

## make deps       install the Debian packages that building needs (root), or print the line that does
deps:
	@bash tests/deps.sh build

## make run        the demonstration: serve the example policies and send real reviews (ONCE=1: then end)
run:
	@bash tests/deps.sh run
	@$(MAKE) --no-print-directory -j2 $(BINARY) >&2
	@ONCE=$(ONCE) HARBOR_PILOT=$(abspath $(BINARY)) BIND_ADDRESS=$(or $(BIND_ADDRESS),127.0.0.1:8443) \
		ADMIN_BIND_ADDRESS=$(or $(ADMIN_BIND_ADDRESS),127.0.0.1:8080) python3 tests/demo/demo.py

## make test       everything that can run here; the last line is `N passed, N failed, N skipped`
test:
	@bash tests/deps.sh test
	@BUILD=$(BUILD) /usr/bin/python3 tests/run.py test

## make e2e        tests/e2e in a real Kubernetes, which is built where it is not there yet: once, about 15 minutes, 7 GB.
##                 `make test` runs them where it is there, and builds it with E2E=1 or CI=true
e2e: $(BINARY)
	@bash tests/deps.sh test
	@E2E=1 HARBOR_PILOT=$(abspath $(BINARY)) /usr/bin/python3 -m pytest -v -rs -p no:cacheprovider tests/e2e

## make check      the part of it that takes two minutes
check:
	@bash tests/deps.sh test
	@BUILD=$(BUILD) /usr/bin/python3 tests/run.py check

## make test-harbor   tests/harbor on a real Harbor: HARBOR_URL=https://… HARBOR_USER=admin HARBOR_PASSWORD=… and,
##                 where needed, HARBOR_CA=ca.crt, HARBOR_UPSTREAM_ADDRESS=this machine's as Harbor sees it.
##                 What it makes there is named harbor-pilot-test-… and removed at the end
test-harbor: $(BINARY)
	@bash tests/deps.sh test
	@HARBOR_PILOT=$(abspath $(BINARY)) /usr/bin/python3 -m pytest -rs -p no:cacheprovider tests/harbor --real-harbor

## make hostile    attacks on the server, with floods of SECONDS=n (default: what their bars ask for)
hostile: $(BINARY)
	@HARBOR_PILOT=$(abspath $(BINARY)) SECONDS=$(SECONDS) /usr/bin/python3 -m pytest -rs -p no:cacheprovider tests/hostile

## make lint       layers, banned functions, format, documentation; and the longest functions
lint:
	@$(call need,pmccabe) && $(call need,clang-format)
	@/usr/bin/python3 tests/lint/lint.py --verbose

## make format     the format of .clang-format, in place
format:
	@$(call need,clang-format)
	@git ls-files -z '*.c' '*.h' | xargs -0 clang-format -i

## make model      random policies and Pods against the model of the rules: ROUNDS=n
model: $(BINARY)
	@ROUNDS=$(or $(ROUNDS),20000) HARBOR_PILOT=$(abspath $(BINARY)) \
		/usr/bin/python3 -m pytest -q -p no:cacheprovider tests/model

## make fuzz       each fuzz target for SECONDS=n (default 60), on top of its corpus
fuzz:
	@bash tests/deps.sh test
	@bash tests/fuzz/run.sh $(or $(SECONDS),60)

BENCH := $(addprefix $(BUILD)/bench/,fixed engine jansson harbor client)
$(BENCH): $(BUILD)/bench/%: $(BUILD)/obj/tests/bench/%.o $(LIB)
	@mkdir -p $(@D); echo '  LINK  $@'
	@$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS)

## make bench      what a review costs, side by side with a fixed answer and a typical Go webhook, and
##                 with another commit's binary: BASELINE=../older/build/harbor-pilot
bench: $(BINARY) $(BENCH)
	@bash tests/deps.sh test
	@BUILD=$(BUILD) BASELINE=$(BASELINE) /usr/bin/python3 tests/bench/bench.py $(if $(ONLY),--only "$(ONLY)")

## make mutation   flips each condition of the decision code and looks for a test that notices
mutation:
	@bash tests/deps.sh test
	@/usr/bin/python3 tests/mutation/mutate.py $(MUTATION)

## make man        the man pages, in build/man
man: $(patsubst docs/man/%.scd,$(BUILD)/man/%,$(wildcard docs/man/*.scd))
$(BUILD)/man/%: docs/man/%.scd
	@$(call need,scdoc)
	@mkdir -p $(@D)
	scdoc <$< >$@

## make install    the binary, man pages, the policies' fields and the shells' completion, below PREFIX=/usr/local (DESTDIR=…)
install: $(BINARY) man
	install -D -m 755 $(BINARY) $(DESTDIR)$(PREFIX)/bin/harbor-pilot
	install -d $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 644 $(BUILD)/man/*.1 $(DESTDIR)$(PREFIX)/share/man/man1
	install -d $(DESTDIR)$(PREFIX)/share/doc/harbor-pilot
	install -m 644 docs/policies.md docs/operators.md $(DESTDIR)$(PREFIX)/share/doc/harbor-pilot
	install -D -m 644 docs/completion/harbor-pilot.bash \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/harbor-pilot
	install -D -m 644 docs/completion/_harbor-pilot $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_harbor-pilot

## make clean      removes what was built
clean:
	rm -rf build build-*

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
