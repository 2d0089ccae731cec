# cache204: `make run` and `make test` are all that a new machine needs; `make help` lists the rest.
#
# Objects and programs go to build/, those of a sanitized build (SANITIZE=address,undefined) to a
# folder of their own beside them.  Tests name what they link in their first line, see below.

# of a working copy with its commit, unless that has the release's tag; an archive of `make dist` has its version in a file
RELEASE  := 0.2.0
VERSION  := $(RELEASE)$(if $(wildcard .git),$(addprefix +,$(shell \
	git describe --tags --always --dirty 2>/dev/null | sed 's/^v\{0,1\}$(RELEASE)-\{0,1\}//')))
ifneq ($(wildcard .version),)
VERSION  := $(shell cat .version)
endif
PREFIX   ?= /usr/local
SYSCONFDIR ?= /etc
UNITDIR  ?= $(PREFIX)/lib/systemd/system
SYSUSERSDIR ?= $(PREFIX)/lib/sysusers.d
# not empty: the user is made and systemd reads the unit, if this is done by root; below DESTDIR it is not
ACTIVATE ?= $(if $(DESTDIR),,yes)
SANITIZE ?=
FUZZ_SECONDS ?= 20

comma := ,
BUILD := build$(if $(SANITIZE),/$(subst $(comma),-,$(SANITIZE)))
CORES := $(shell getconf _NPROCESSORS_ONLN)
JOBS   = $(if $(findstring -j,$(MAKEFLAGS)),,-j$(CORES))
PYTHON := /usr/bin/python3
# functional tests wait more than they work; sanitized programs work more
AT_ONCE := $(shell echo $$(($(CORES) * $(if $(SANITIZE),1,2))))
Q     := $(if $(V),,@)
say    = @$(if $(V),:,echo "  $(1)")
ifeq ($(origin CC),default)
CC := gcc
endif

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wold-style-definition -Wpointer-arith -Wcast-qual -Wvla -Wformat=2 -Wundef
# Hardening that this compiler has, one probe a build: some of it is of one kind of processor.
HARDEN := -fstack-protector-strong -fcf-protection -mbranch-protection=standard -fPIE
LINKHARDEN := -pie -Wl,-z,relro -Wl,-z,now
ifeq ($(SANITIZE),)
CHECKS := -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
else
CHECKS := -fsanitize=$(SANITIZE) -fno-omit-frame-pointer -fno-sanitize-recover=all \
	-DCACHE204_CHECKS=1
LINKCHECKS := -fsanitize=$(SANITIZE)
endif
CPPFLAGS += -std=c17 -D_GNU_SOURCE -I. -DCACHE204_VERSION='"$(VERSION)"'
CFLAGS   ?= -O2 -g
FLAGS    := $(CFLAGS)
# -Og inlines too little for what xxhash demands; it sees to -O0 and -Os by itself
CPPFLAGS += $(if $(filter -Og,$(CFLAGS)),-DXXH_NO_INLINE_HINTS)
override CFLAGS += $(WARN) $(CHECKS) @$(BUILD)/flags/compile
override LDFLAGS += $(LINKCHECKS) @$(BUILD)/flags/link -Wl,--as-needed
LIBS := -lev -lhttp_parser -llmdb -lcares -lconfuse -ljansson -lxxhash -lcrypt -lssl -lcrypto -lm

# The rooms, from the outermost to the innermost: what is in one includes and links those after it
# (scripts/check-layers.py).
ROOMS := proxy/cli proxy/process proxy/front proxy/page proxy/client proxy/exchange proxy/origin proxy/access proxy/dns \
	proxy/http1 proxy/loop proxy/stats proxy/limits proxy/base cache cache/record cache/policy \
	cache/http cache/store conf cache/base

SOURCES := proxy/main.c $(wildcard $(ROOMS:%=%/*.c))
HEADERS := $(wildcard $(ROOMS:%=%/*.h) $(ROOMS:%=%/*.def))
UNIT    := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/unit/*/test_*.c))
FUZZ    := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
SIM     := $(BUILD)/tests/sim/simulate
VERDICTS := $(BUILD)/tests/differential/verdicts
MICRO   := $(patsubst %.c,$(BUILD)/%,$(filter-out bench/ratio/%,$(wildcard bench/*.c bench/*/*.c)))
TOOLS   := $(BUILD)/tests/tools/check_store $(BUILD)/tests/tools/check_metrics
REPLAY  := $(FUZZ:%=$(BUILD)/tests/fuzz/replay_%)
C_FILES := proxy/main.c $(wildcard $(addsuffix /*.[ch],$(ROOMS) tests/* tests/unit/* bench bench/*))

# The first line of a test, a fuzz target or a bench names what it links: /* LINKS: proxy/http1 */ is
# that room and those after it, of which the linker takes the objects that are asked for.  A file is a
# double, for what it defines; tests/oracle and tests/support are always there.
named    = $(shell sed -n '1s|^/\* LINKS: *\(.*\) \*/.*|\1|p' $(1))
after    = $(if $(1),$(if $(filter $(firstword $(1)),$(2)),$(1),$(call after,$(wordlist 2,99,$(1)),$(2))))
archives = $(patsubst %,$(BUILD)/rooms/%.a,tests/oracle tests/support $(call after,$(ROOMS),$(call named,$(1))))
doubles  = $(call objects,$(call named,$(1)))
options  = $(filter -%,$(call named,$(1)))
objects  = $(patsubst %.c,$(BUILD)/obj/%.o,$(filter %.c,$(1)))
# a program of a file, with libraries that come after it
link     = $(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group \
	$(call options,$(1)) $(LIBS) $(2)

.PHONY: all help deps files run try test test-all unit replay simulate planted functional functional-map browser prometheus reload-storm crash soak conformance differential fuzzers fuzz fuzz-all asan undici \
	ubsan test-arm64 tidy analyze valgrind cover bench check check-warnings check-format check-layers check-symbols check-clocks check-messages \
	check-atomics check-options check-metrics check-tables check-labels check-promises check-manual check-length check-parameters check-pointers check-rulers \
	format install uninstall dist deb deb-try clean FORCE
.SECONDARY:
.SECONDEXPANSION:
.DELETE_ON_ERROR:

all: $(BUILD)/cache204 ## build build/cache204

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  %-14s %s\n", $$1, $$2}' Makefile
	@echo "  With SANITIZE=address,undefined: all, run, test, unit, functional in a build beside."
	@echo "  With V=1: the commands as they run."

$(BUILD)/cache204: $(call objects,$(SOURCES)) | $(BUILD)/flags/link
	$(call say,LINK $@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)

# A warning stops nobody who installs: compilers and libraries to come will have new ones.  It stays
# beside its object until that is built without, and check-warnings fails on it.
$(BUILD)/obj/%.o: %.c Makefile $(BUILD)/flags/compile
	@mkdir -p $(@D)
	$(call say,CC   $<)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(if $(MAKE_TERMERR),-fdiagnostics-color) -MMD -MP -c -o $@ $< \
		2>$(@:.o=.warnings); status=$$?; cat $(@:.o=.warnings) >&2; exit $$status

# Another compiler, or a newer one, is probed anew, and builds all anew.
$(BUILD)/flags/compiler: FORCE
	@mkdir -p $(@D)
	@{ echo '$(CC)'; $(CC) --version; } 2>&1 | cmp -s - $@ || { echo '$(CC)'; $(CC) --version; } >$@ 2>&1

$(BUILD)/flags/compile $(BUILD)/flags/link: $(BUILD)/flags/compiler scripts/probe-flags.sh Makefile
	@scripts/probe-flags.sh '$(CC)' $(if $(filter %/link,$@),$(LINKHARDEN),$(HARDEN)) >$@

# The parts of the operator's page are read by the assembler, of which the compiler tells nothing.
$(BUILD)/obj/proxy/page/page.o: $(wildcard proxy/page/*.html proxy/page/*.css proxy/page/*.js)

# What shows the version is built anew when it changes.
$(call objects,$(shell grep -l CACHE204_VERSION $(filter %.c,$(C_FILES)) /dev/null)): $(BUILD)/version
$(BUILD)/version: FORCE
	@mkdir -p $(@D)
	@echo '$(VERSION)' | cmp -s - $@ || echo '$(VERSION)' > $@

$(BUILD)/rooms/%.a: $$(call objects,$$(wildcard $$*/*.c))
	@mkdir -p $(@D)
	@rm -f $@
	@$(AR) rcs $@ $^

$(UNIT) $(MICRO) $(TOOLS) $(SIM) $(VERDICTS): $(BUILD)/%: $(BUILD)/obj/%.o $$(call doubles,$$*.c) $$(call archives,$$*.c) | $(BUILD)/flags/link
	@mkdir -p $(@D)
	$(call say,LINK $@)
	$(Q)$(call link,$*.c,$(if $(filter $@,$(UNIT)),-lcmocka))

$(REPLAY): $(BUILD)/tests/fuzz/replay_%: $(BUILD)/obj/tests/fuzz/fuzz_%.o \
		$(BUILD)/obj/tests/fuzz/replay.o $$(call doubles,tests/fuzz/fuzz_$$*.c) \
		$$(call archives,tests/fuzz/fuzz_$$*.c) | $(BUILD)/flags/link
	@mkdir -p $(@D)
	$(call say,LINK $@)
	$(Q)$(call link,tests/fuzz/fuzz_$*.c)

FUZZERS := $(FUZZ:%=$(BUILD)/fuzz_%)
$(FUZZERS): $(BUILD)/fuzz_%: $(BUILD)/obj/tests/fuzz/fuzz_%.o $$(call doubles,tests/fuzz/fuzz_$$*.c) \
		$$(call archives,tests/fuzz/fuzz_$$*.c) | \
		$(BUILD)/flags/link
	$(call say,FUZZ $@)
	$(Q)$(call link,tests/fuzz/fuzz_$*.c)

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)

deps: ## install the packages that are missing, with apt
	@scripts/deps.sh run test

run: ## install what is missing, build, and run the proxy on 127.0.0.1:3128 (ARGS="-o name=value")
	@scripts/deps.sh run
	@$(MAKE) --no-print-directory $(JOBS) all
	@mkdir -p $(BUILD)/store
	@exec $(BUILD)/cache204 -o store=$(BUILD)/store $(ARGS)

try: ## install what is missing, build, and show it at work in this terminal: ends by itself
	@scripts/deps.sh run try
	@$(MAKE) --no-print-directory $(JOBS) all
	@$(PYTHON) scripts/try.py $(BUILD)/cache204

test: ## install what is missing, build, and run the tests
	@scripts/deps.sh run test
	@$(MAKE) --no-print-directory $(JOBS) all $(UNIT) $(REPLAY) $(SIM)
	@$(MAKE) --no-print-directory unit
	@$(MAKE) --no-print-directory replay
	@$(MAKE) --no-print-directory simulate
	@$(MAKE) --no-print-directory functional

test-all: ## check, test, test with several workers and a browser, again with two sanitizers; root with debootstrap: deb-try
	@$(MAKE) --no-print-directory check
	@$(MAKE) --no-print-directory test
	@$(MAKE) --no-print-directory simulate SEEDS=5000
	@$(MAKE) --no-print-directory differential
	@$(MAKE) --no-print-directory functional-map
	@$(MAKE) --no-print-directory reload-storm
	@$(MAKE) --no-print-directory crash
	@$(MAKE) --no-print-directory faults
	@[ -n "$(CI)" ] || $(MAKE) --no-print-directory browser prometheus
	@$(MAKE) --no-print-directory asan
	@[ -n "$(CI)" ] || [ "$$(id -u)" != 0 ] || ! command -v debootstrap >/dev/null || \
		$(MAKE) --no-print-directory deb-try

unit: $(UNIT) ## run the unit tests
	@scripts/unit.sh $(BUILD)/log/unit $^

replay: $(REPLAY) ## run the fuzz corpora as tests
	@failed=0; for target in $(FUZZ); do $(BUILD)/tests/fuzz/replay_$$target \
		tests/fuzz/corpus/$$target || failed=1; done; exit $$failed

# another parser has to read what ours takes as ours does
differential: $(VERDICTS) ## odd messages read by our parser and by h11 and Node's, those that are here (SEED=1 COUNT=20000; CASE=1:7 is one)
	@$(PYTHON) tests/differential/compare.py $(VERDICTS) $(if $(CASE),$(CASE),$(or $(SEED),1) $(or $(COUNT),20000)) \
		>$(BUILD)/differential.txt; status=$$?; cat $(BUILD)/differential.txt; exit $$status

SEEDS ?= 300
simulate: $(SIM) ## services in a simulated world, by seed: all that can go wrong (SEEDS=FIRST..LAST, or how many)
	@$(SIM) -f tests/sim/found.txt
	@$(SIM) -t 20
	@$(SIM) $(SEEDS)

planted: SEEDS = 2000
planted: ## plant bugs on a copy, one at a time: each must turn a seed red (half an hour; SEEDS=2000)
	@$(PYTHON) tests/sim/planted.py $(SEEDS)

functional: all $(TOOLS) ## run the functional tests against the built proxy (PYTEST="-k name")
	@CACHE204_BIN=$(abspath $(BUILD))/cache204 PYTHON=$(PYTHON) scripts/functional.sh $(BUILD)/log/functional \
		$(PYTHON) -m pytest -p no:cacheprovider -q -n $(AT_ONCE) tests/functional $(PYTEST)

functional-map: all $(BUILD)/map_shim.so ## all with 1 and with 3 workers, the store unreadable between transactions
	@for workers in 1 3; do CACHE204_LONG=1 CACHE204_WORKERS=$$workers CACHE204_PRELOAD=$(abspath $(BUILD))/map_shim.so \
		$(MAKE) --no-print-directory functional || exit 1; done

browser: all ## the operator's page in Chromium, where that is (PYTEST="-k name", BROWSER_PICTURES=FOLDER)
	@CACHE204_BIN=$(abspath $(BUILD))/cache204 $(PYTHON) -m pytest -p no:cacheprovider -q -rs tests/browser $(PYTEST)

prometheus: all ## /metrics, rules and dashboard with Prometheus and promtool, where these are (PYTEST="-k name")
	@CACHE204_BIN=$(abspath $(BUILD))/cache204 $(PYTHON) -m pytest -p no:cacheprovider -q -rs tests/prometheus $(PYTEST)

undici: all ## Node's undici through tunnels that are read, after npm has put it into build/; skipped without npm (PYTEST="-k name")
	@npm install --silent --no-save --ignore-scripts --prefix $(BUILD)/undici undici@7 || true
	@CACHE204_BIN=$(abspath $(BUILD))/cache204 CACHE204_UNDICI=$(abspath $(BUILD))/undici/node_modules/undici CACHE204_LONG=1 \
		$(PYTHON) -m pytest -p no:cacheprovider -q -rs tests/functional/test_undici.py $(PYTEST)
# Each case is a call of a kind that goes wrong: SEED and ROUNDS choose some, ROUNDS=all takes every one.
faults: all $(TOOLS) $(BUILD)/faults_shim.so ## calls of the system, memory and LMDB go wrong (SEED=1 ROUNDS=all CASE=... KINDS="send")
	@CACHE204_BIN=$(abspath $(BUILD))/cache204 SEED='$(SEED)' CASE='$(CASE)' KINDS='$(KINDS)' \
		ROUNDS='$(if $(filter file undefined,$(origin ROUNDS)),,$(ROUNDS))' \
		PYTHON=$(PYTHON) scripts/functional.sh $(BUILD)/log/faults \
		$(PYTHON) -m pytest -p no:cacheprovider -q -n $(if $(CASE),0,$(AT_ONCE)) tests/faults $(PYTEST)

$(BUILD)/%.so: tests/tools/%.c
	@mkdir -p $(@D)
	$(call say,LINK $@)
	$(Q)$(CC) $(CPPFLAGS) $(WARN) -O2 -g -fPIC -shared -o $@ $< -ldl

reload-storm: all ## 1,000 reloads and 20 upgrades under load, and those that wait long for one that hangs
	@CACHE204_RELOADS=1000 CACHE204_UPGRADES=20 $(MAKE) --no-print-directory functional \
		PYTEST="-k 'test_reload or test_program_upgrade'"

crash: all $(TOOLS) $(if $(SANITIZE),,$(BUILD)/troubled_store.so) ## rounds of kill -9 at any moment, the store looked at after each (ROUNDS=1000 SEED=7)
	@CACHE204_BIN=$(abspath $(BUILD))/cache204 $(PYTHON) tests/crash/rounds.py $(or $(ROUNDS),50) $(or $(SEED),4)

SOAK_MINUTES ?= 30
soak: all $(TOOLS) $(BUILD)/bench/origin ## mixed traffic, reloads, upgrades and kills for SOAK_MINUTES=30; memory, descriptors, latency as a plot
	@CACHE204_BIN=$(abspath $(BUILD))/cache204 $(PYTHON) tests/soak/soak.py $(SOAK_MINUTES) $(or $(SEED),1) $(BUILD)/soak

asan: ## every test with AddressSanitizer and UndefinedBehaviorSanitizer
	@CACHE204_LONG=1 $(MAKE) --no-print-directory SANITIZE=address,undefined test

ubsan: ## every test with UndefinedBehaviorSanitizer alone
	@$(MAKE) --no-print-directory SANITIZE=undefined test

# Under qemu-user the mutexes of a killed process are not handed on: the kernel does not see its list of
# them.  So who waits for such a process waits on.
ARM64_MAY_FAIL := test_kill_one_of_two
test-arm64: ## build for arm64 against libraries in build/arm64, run the unit tests under qemu-user
	@scripts/deps.sh arm64
	@scripts/arm64-packages.sh build/arm64
	@$(MAKE) --no-print-directory $(JOBS) BUILD=build/arm64 \
		CC='aarch64-linux-gnu-gcc --sysroot=$(CURDIR)/build/arm64/root' all $(UNIT:build/%=build/arm64/%)
	@RUN_WITH='qemu-aarch64 -L build/arm64/root' MAY_FAIL='$(ARM64_MAY_FAIL)' \
		scripts/unit.sh build/arm64/log/unit $(UNIT:build/%=build/arm64/%)

fuzzers:
	@scripts/deps.sh run fuzz
	@$(MAKE) --no-print-directory $(JOBS) BUILD=build/fuzz CC=clang CFLAGS='-O1 -g' \
		CHECKS='-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -DCACHE204_CHECKS=1' \
		LINKCHECKS=-fsanitize=fuzzer,address,undefined $(FUZZ:%=build/fuzz/fuzz_%)

fuzz: fuzzers ## search for new failing inputs, FUZZ_SECONDS=20 for each target (FUZZ="conf uri")
	@for target in $(FUZZ); do scripts/fuzz.sh $$target $(FUZZ_SECONDS) || exit 1; done

fuzz-all: fuzzers ## the same for MINUTES=10 each, to the last one, and what came of each in build/fuzz.txt
	@: >build/fuzz.txt; failed=0; for target in $(FUZZ); do \
		scripts/fuzz.sh $$target $$((60 * $(or $(MINUTES),10))) || failed=1; done; exit $$failed

.PHONY: mutate sources testing
testing: ## write the numbers of TESTING.md, with those of the last make cover, differential and fuzz-all, and of tests/mutants/tried.txt
	@$(MAKE) --no-print-directory $(JOBS) all
	@scripts/testing.py build

mutate: ## plant COUNT=50 faults from SEED=1 in FILES="cache/policy ..." and tell which no test notices (STAGES="test,room,...", KEEP=yes)
	@scripts/deps.sh run test
	@scripts/mutate.py --seed $(or $(SEED),1) --count $(or $(COUNT),50) $(if $(STAGES),--stages $(STAGES)) $(if $(FUNCTIONAL),--functional "$(FUNCTIONAL)") $(if $(KEEP),--keep) $(if $(SURVIVORS),--survivors) $(FILES)

sources:
	@echo $(SOURCES)

cover: ## run the tests with gcov: lines and branches run, per file and room; branches of the rules and parsers that are not
	@$(MAKE) --no-print-directory BUILD=build/cover CFLAGS='-Og -g --coverage' LDFLAGS=--coverage test
	@scripts/cover.py build/cover

bench: ## measure beside floors and peers, into build/bench/bench.html (QUICK=1, LOADS=..., COMPARE=old.json)
	@scripts/deps.sh run bench
	@scripts/deps.sh --optional peers
	@$(MAKE) --no-print-directory $(JOBS) all $(MICRO)
	@$(PYTHON) bench/bench.py

.PHONY: bench-results
bench-results: ## write the figures of the last make bench into bench/RESULTS.md and README.md
	@$(PYTHON) bench/harness/publish.py $(BUILD)/bench/bench.json

.PHONY: hit-ratio
hit-ratio: $(BUILD)/bench/micro/hit_ratio ## hit ratios of eviction policies (TRACES="urls:FILE squid:FILE ...", or made ones)
	@$(PYTHON) bench/hit_ratio.py $(BUILD) $(TRACES)

.PHONY: bench-instructions check-instructions counted
INSTRUCTIONS = FLAGS='$(FLAGS)' $(PYTHON) bench/instructions.py $(BUILD)
bench-instructions: ## count instructions of requests and phases, into bench/instructions.txt
	@scripts/deps.sh run check
	@$(MAKE) --no-print-directory $(JOBS) SANITIZE= counted
	@$(INSTRUCTIONS) write $(if $(RESTART),--restart)

# An ordinary build: what a sanitized one costs says nothing.
counted: all $(BUILD)/bench/micro/phases $(BUILD)/bench/micro/dearest $(BUILD)/no_random.so

conformance: ## show which requirement of the RFCs is proven by which test
	@$(PYTHON) tests/conformance/report.py

check: ## everything but the tests: warnings, layout, layers, tables, manual, instructions
	@scripts/deps.sh run test check
	@$(MAKE) --no-print-directory $(JOBS) check-warnings
	@$(MAKE) --no-print-directory -k check-format check-layers check-symbols check-clocks check-messages \
		check-atomics check-options check-metrics check-tables check-labels check-promises check-manual check-length check-parameters \
		check-pointers check-rulers
	@$(MAKE) --no-print-directory $(JOBS) SANITIZE= counted
	@$(MAKE) --no-print-directory SANITIZE= check-instructions

# Every object of any program here.
CHECKED = $(call objects,$(sort $(SOURCES) $(wildcard tests/unit/*/*.c tests/[dfos]*/*.c \
	tests/tools/check_*.c bench/*.c bench/*/*.c)))
check-warnings: $$(CHECKED) ## the compiler warns of nothing
	@cat $(^:.o=.warnings) | grep . && echo "check-warnings: the above" && exit 1; \
	echo "check-warnings: ok"

# Each version lays some lines out in its own way: this is Debian 12's.
LAYOUT := 14
is_layout = clang-format --version | grep -q ' version $(LAYOUT)\.'
check-format: ## the sources are as clang-format has them
	@$(is_layout) || { echo "check-format: left out, clang-format $(LAYOUT) is not here"; exit 0; }; \
	bad=$$(clang-format --dry-run -Werror $(C_FILES) 2>&1 | sed -n 's/:.*: error: .*//p' | sort -u); \
	[ -z "$$bad" ] || { echo "check-format: make format would change" $$bad; exit 1; }; \
	echo "check-format: ok"

check-layers: all ## rooms include those after them, nothing goes in a circle, rules are pure
	@$(PYTHON) scripts/check-layers.py $(BUILD) $(ROOMS)

check-symbols: $$(CHECKED) ## what is declared for others is used by others
	@$(PYTHON) scripts/check-symbols.py $(BUILD)

files: ## list every file with what it is for
	@$(PYTHON) scripts/files.py $(ROOMS)

check-atomics: ## what processes share is accessed by C11 atomics that say their order
	@scripts/check-atomics.sh

check-clocks: ## no interval or wait is on the wall clock
	@scripts/check-clocks.sh

check-messages: ## what operators and clients read is in one voice
	@scripts/check-messages.sh

check-options: ## each option is in the manual and in the sample
	@scripts/check-options.sh

check-metrics: $(BUILD)/tests/tools/check_metrics ## each metric is in the manual, and what dashboard and rules ask for exists
	@$(PYTHON) scripts/check-metrics.py $(BUILD)

check-labels: ## each label of a comment has its entry in the documents
	@$(PYTHON) scripts/check-labels.py

check-promises: ## each promise of SECURITY.md names tests, which exist
	@$(PYTHON) scripts/check-promises.py

check-tables: ## no two rows of a .def table have one name
	@scripts/check-tables.sh

check-manual: ## the manual pages are well formed
	@mandoc -T lint -W warning conf/cache204.8 conf/cache204.conf.5 conf/cache204-origins.7 conf/cache204-metrics.7 && echo "check-manual: ok"

check-length: ## show functions of more than 60 lines
	@scripts/check-length.sh 60 $(SOURCES)

check-parameters: ## no function has more than six parameters
	@$(PYTHON) scripts/check-parameters.py 6 $(filter-out build/%,$(C_FILES))

check-pointers: ## pointers are compared with NULL
	@$(PYTHON) scripts/check-pointers.py $(filter-out build/%,$(C_FILES))

check-rulers: ## rulers are of one width
	@scripts/check-rulers.sh $(filter-out build/%,$(C_FILES))

check-instructions: counted ## no count has outgrown bench/instructions.txt
	@$(INSTRUCTIONS) check

tidy: ## clang-tidy
	@scripts/deps.sh check
	@clang-tidy --quiet $(SOURCES) -- $(CPPFLAGS)

analyze: ## gcc -fanalyzer, clang-tidy and cppcheck find nothing but what tests/analysis/accepted.txt has
	@scripts/deps.sh analyze
	@scripts/analyze.py $(CORES) $(CPPFLAGS) -- $(SOURCES)

# Left out: programs that change stacks (two and three workers in one), which memcheck takes for wild writes, and the two
# that play every exchange with every failure, which take it hours.  May fail: who starts /proc/self/exe, which is valgrind
# then.  What a program has of malloc() and calloc() stays its own: it counts them, and lets one fail.
VALGRIND_NOT := test_several_workers test_exchange test_torture
VALGRIND_MAY_FAIL := all_arrives
VALGRIND := valgrind --quiet --error-exitcode=99 --suppressions=tests/analysis/valgrind.supp \
	--soname-synonyms=somalloc=nouserintercepts
valgrind: $(UNIT) ## the unit tests under valgrind (memcheck)
	@scripts/deps.sh check
	@echo "valgrind: left out: $(VALGRIND_NOT)"
	@RUN_WITH='$(VALGRIND)' MAY_FAIL='$(VALGRIND_MAY_FAIL)' \
		scripts/unit.sh $(BUILD)/log/valgrind $(filter-out $(addprefix %/,$(VALGRIND_NOT)),$(UNIT))

format: ## lay the sources out
	@$(is_layout) || { echo "format: clang-format $(LAYOUT) is not here, others change more"; \
		exit 1; }
	@clang-format -i $(C_FILES)

# The configuration is the operator's: one that is there stays as it is.  Nothing is set in a new one, so that
# it holds no default back that a later version changes.
PAGES   := man8/cache204.8 man5/cache204.conf.5 man7/cache204-origins.7 man7/cache204-metrics.7
DOCS    := cache204.conf.example haproxy.cfg.example cache204.socket grafana-dashboard.json prometheus-rules.yml
CONF    = $(DESTDIR)$(SYSCONFDIR)/cache204.conf
COMPLETION = $(DESTDIR)$(PREFIX)/share/bash-completion/completions/cache204
initial = sed 's/^[a-z]/\#&/' conf/cache204.conf.example
as_root = [ -z "$(ACTIVATE)" ] || [ "$$(id -u)" != 0 ] || ! command -v $(1) >/dev/null
is_up   = [ -d /run/systemd/system ]
install: all ## install below DESTDIR/PREFIX, and cache204.conf below DESTDIR/SYSCONFDIR unless it is there
	install -D -m 755 $(BUILD)/cache204 $(DESTDIR)$(PREFIX)/sbin/cache204
	for page in $(PAGES); do \
		install -D -m 644 conf/$${page#*/} $(DESTDIR)$(PREFIX)/share/man/$$page || exit 1; done
	for doc in $(DOCS); do \
		install -D -m 644 conf/$$doc $(DESTDIR)$(PREFIX)/share/doc/cache204/$$doc || exit 1; done
	install -d $(dir $(COMPLETION))
	$(BUILD)/cache204 completion bash | install -m 644 /dev/stdin $(COMPLETION)
	install -d $(DESTDIR)$(UNITDIR)
	sed 's|@PREFIX@|$(PREFIX)|; s|@SYSCONFDIR@|$(SYSCONFDIR)|' conf/cache204.service | \
		install -m 644 /dev/stdin $(DESTDIR)$(UNITDIR)/cache204.service
	install -D -m 644 conf/cache204.sysusers $(DESTDIR)$(SYSUSERSDIR)/cache204.conf
	install -d $(DESTDIR)$(SYSCONFDIR)
	[ -e $(CONF) ] || $(initial) | install -m 644 /dev/stdin $(CONF)
	$(call as_root,systemd-sysusers) || systemd-sysusers $(SYSUSERSDIR)/cache204.conf
	$(call as_root,systemctl) || ! $(is_up) || systemctl daemon-reload

# A configuration that was changed stays, as do the store, the logs and the user that has them.
uninstall: ## remove what install has put there with the same variables, but a changed cache204.conf
	$(call as_root,systemctl) || ! $(is_up) || systemctl disable --now cache204.service || true
	rm -f $(DESTDIR)$(PREFIX)/sbin/cache204 $(PAGES:%=$(DESTDIR)$(PREFIX)/share/man/%) \
		$(DOCS:%=$(DESTDIR)$(PREFIX)/share/doc/cache204/%) $(DESTDIR)$(UNITDIR)/cache204.service \
		$(DESTDIR)$(SYSUSERSDIR)/cache204.conf $(COMPLETION)
	[ ! -d $(DESTDIR)$(PREFIX)/share/doc/cache204 ] || \
		rmdir --ignore-fail-on-non-empty $(DESTDIR)$(PREFIX)/share/doc/cache204
	[ ! -e $(CONF) ] || { $(initial) | cmp -s - $(CONF) && rm -f $(CONF); } || \
		echo "$(CONF) was changed, and stays"
	$(call as_root,systemctl) || ! $(is_up) || systemctl daemon-reload

# The tracked files as they are here, and the version that git tells; of an archive, all that is not built.
DIST := build/cache204-$(VERSION).tar.gz
ifneq ($(wildcard .git),)
archive = git archive --format=tar --prefix=cache204-$(VERSION)/ \
	--add-virtual-file=cache204-$(VERSION)/.version:$(VERSION) "$$(git stash create | grep . || echo HEAD)"
else
archive = tar c --sort=name --owner=0 --group=0 --numeric-owner --exclude=./build --exclude=__pycache__ \
	--transform='s|^[.]|cache204-$(VERSION)|' .
endif
dist: ## make an archive of the sources, which builds without git, below build/
	@mkdir -p build
	@$(archive) >$(DIST:.gz=) && gzip -9nf $(DIST:.gz=)
	@echo $(DIST)

# From the archive, so that nothing else of this folder comes in.
DEB := build/deb/cache204-$(VERSION)
deb: dist ## make a Debian package from the archive, and have lintian look at it
	@scripts/deps.sh run deb
	@rm -rf build/deb && mkdir -p build/deb && tar xzf $(DIST) -C build/deb
	@cd $(DEB) && [ "$$(dpkg-parsechangelog -S Version)" = $(RELEASE) ] || \
		{ echo "deb: debian/changelog begins with another version than $(RELEASE)"; exit 1; }
	@cd $(DEB) && env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL -u CFLAGS -u BUILD -u SANITIZE \
		dpkg-buildpackage -us -uc
	@lintian --fail-on error,warning build/deb/*.changes
	@ls build/deb/*.deb

deb-try: deb ## install, start, upgrade, remove and purge the package in a system made for it (root, debootstrap)
	@scripts/deps.sh deb-try
	@scripts/deb-try.sh build/deb

clean: ## remove build/
	rm -rf build
