# make            build/lockstep: one static binary that runs in any image
# make debug      build/debug/lockstep: glibc, AddressSanitizer and UndefinedBehaviorSanitizer
# make demo       five replicas and a private PostgreSQL, drawn on the terminal
# make test       everything that CI runs: unit, simulation, end to end, also with the sanitizer build
# make sim SEEDS=100000 [FIRST=1]      more of the simulation
# make bench      the figures of README
# make ARCH=arm64 build/arm64/lockstep: the same for another processor, amd64 or arm64
# make dist [ARCHES=amd64]             build/dist: the binaries to publish, what is linked into each (SPDX), SHA256SUMS
# make format, make lint
#
# What the machine lacks is installed from its own package mirror, and said first.

VERSION := 0.1.0
SEEDS ?= 2000
FIRST ?= 1
PYTHON := /usr/bin/python3

SOURCES := $(wildcard src/*.c entrypoint/*.c)
C_FILES = $(wildcard src/*.[ch] entrypoint/*.[ch] tests/unit/*.[ch] tests/sim/*.[ch] tests/e2e/tools/*.[ch] tests/bench/*.[ch] tests/fuzz/*.[ch])
WARNINGS := -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Werror
CPPFLAGS := -D_GNU_SOURCE -DLOCKSTEP_VERSION='"$(VERSION)"' -Isrc -Ientrypoint
CFLAGS := -std=c17 $(WARNINGS) -fstack-protector-strong -MMD -MP

# Names of processors as images have them. A variable of the environment does not count: other builds use ARCH as well.
HOST_CPU := $(shell uname -m)
HOST_ARCH := $(patsubst x86_64,amd64,$(HOST_CPU:aarch64=arm64))
ARCH := $(HOST_ARCH)
ARCHES := amd64 arm64
OUT := build$(if $(filter-out $(HOST_ARCH),$(ARCH)),/$(ARCH))

.PHONY: all debug demo test sim bench dist format lint clean release-needs debug-needs test-needs
.DELETE_ON_ERROR:

all: $(OUT)/lockstep

# ---- libraries built here ---------------------------------------------------------------------------------------------
# A build's file "dependencies" names its finished prefix. It changes only when the prefix does, so that objects stay.
# The headers are a system's: the warnings above are not meant for them.

dependencies = $$(cat $(1)/dependencies)
with_headers = -isystem $(call dependencies,$(1))/include
record_prefix = mkdir -p $(@D); \
	    $(1) > $@.new && { cmp -s $@.new $@ || cp $@.new $@; }; status=$$?; rm -f $@.new; exit $$status

# ---- the static binary ------------------------------------------------------------------------------------------------
# musl-gcc of Debian 12 ignores -static-pie, so the start files and the linker's flags are spelt out.

RELEASE_OBJECTS := $(SOURCES:%.c=$(OUT)/release/%.o)
STATIC_LIBRARIES := -lpq -lpgcommon_shlib -lpgport_shlib -lhiredis_ssl -lhiredis -lssl -lcrypto -luv -lcjson
CPU := $(patsubst amd64,x86_64,$(ARCH:arm64=aarch64))
musl_directory := /usr/lib/$(CPU)-linux-musl
gcc_file = $(shell $(STATIC_CC) -print-file-name=$(1))

ifeq ($(ARCH),$(HOST_ARCH))
STATIC_CC := musl-gcc
RELEASE_PACKAGES := gcc make musl-tools
else
STATIC_CC := $(CPU)-linux-gnu-gcc -specs=$(musl_directory)/musl-gcc.specs
RELEASE_PACKAGES := gcc-$(subst _,-,$(CPU))-linux-gnu make musl-dev:$(ARCH)
endif

$(OUT)/release/dependencies: release-needs
	@$(call record_prefix,CC="$(STATIC_CC)" AR=$(CPU)-linux-gnu-ar RANLIB=$(CPU)-linux-gnu-ranlib HOST=$(CPU)-linux-musl \
	    docker/deps.sh)

release-needs:
	@docker/need.sh $(RELEASE_PACKAGES)

$(OUT)/release/%.o: %.c $(OUT)/release/dependencies
	@mkdir -p $(@D)
	$(STATIC_CC) $(CPPFLAGS) $(CFLAGS) -O2 -fPIE -ffunction-sections -fdata-sections -fno-asynchronous-unwind-tables \
	    -ffile-prefix-map=$(CURDIR)=. $(call with_headers,$(OUT)/release) -c -o $@ $<

# What runs before the C library does: without the stack protector, which needs its TLS, and without calls into it.
$(OUT)/release/entrypoint/resident.o: CFLAGS += -ffreestanding -fno-stack-protector -fno-tree-loop-distribute-patterns
comma := ,
early_entry := $(if $(filter x86_64 aarch64,$(CPU)),-Wl$(comma)-e$(comma)lockstep_start)

link_static = $(STATIC_CC) -static -nostartfiles -s \
	    -Wl,-pie,--no-dynamic-linker,-z,text,-z,relro,-z,now,-z,noexecstack,--gc-sections,--build-id=none \
	    $(musl_directory)/rcrt1.o $(musl_directory)/crti.o $(call gcc_file,crtbeginS.o) \
	    $^ -L$(call dependencies,$(OUT)/release)/lib $(STATIC_LIBRARIES) \
	    $(call gcc_file,crtendS.o) $(musl_directory)/crtn.o -o $@

$(OUT)/lockstep: $(RELEASE_OBJECTS)
	$(link_static) $(early_entry)

# ---- to publish -------------------------------------------------------------------------------------------------------
# Time is an input, so that the same source and tools give the same bytes.

SOURCE_DATE_EPOCH ?= $(or $(shell git log -1 --format=%ct 2>/dev/null),0)
DIST_NAME := lockstep-$(VERSION)-linux
DIST_NAMES := $(foreach arch,$(ARCHES),$(DIST_NAME)-$(arch) $(DIST_NAME)-$(arch).spdx.json)

dist: $(ARCHES:%=dist-%)
	cd build/dist && sha256sum $(DIST_NAMES) >SHA256SUMS && touch -d @$(SOURCE_DATE_EPOCH) SHA256SUMS

dist-%:
	@$(MAKE) --no-print-directory ARCH=$* build/dist/$(DIST_NAME)-$*.spdx.json

build/dist/$(DIST_NAME)-$(ARCH): $(OUT)/lockstep
	@mkdir -p $(@D)
	install -m 755 $< $@
	touch -d @$(SOURCE_DATE_EPOCH) $@

build/dist/$(DIST_NAME)-$(ARCH).spdx.json: build/dist/$(DIST_NAME)-$(ARCH) docker/sbom.sh
	docker/sbom.sh $< $(VERSION) $(SOURCE_DATE_EPOCH) $(call dependencies,$(OUT)/release) \
	    $(musl_directory)/libc.a $(call gcc_file,libgcc.a) >$@
	touch -d @$(SOURCE_DATE_EPOCH) $@

# ---- the sanitizer build ----------------------------------------------------------------------------------------------
# The system's libraries, but hiredis at the version that the release has, and under the sanitizers as well.

DEBUG_OBJECTS := $(SOURCES:%.c=build/debug/%.o)
SANITIZERS := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
DEBUG_HEADERS := $(call with_headers,build/debug) -I/usr/include/postgresql
DEBUG_FLAGS := -g -O1 $(SANITIZERS) $(DEBUG_HEADERS)
DEBUG_LIBRARIES := -L$(call dependencies,build/debug)/lib -lpq -lhiredis_ssl -lhiredis -lssl -lcrypto -luv -lcjson

debug: build/debug/lockstep

debug-needs:
	@docker/need.sh gcc make libc6-dev libpq-dev libssl-dev libuv1-dev libcjson-dev

build/debug/dependencies: debug-needs
	@$(call record_prefix,CC=gcc HOST=$$(uname -m)-linux-gnu EXTRA_CFLAGS="-g $(SANITIZERS)" docker/deps.sh hiredis)

build/debug/%.o: %.c build/debug/dependencies
	@mkdir -p $(@D)
	gcc $(CPPFLAGS) $(CFLAGS) $(DEBUG_FLAGS) -c -o $@ $<

build/debug/lockstep: $(DEBUG_OBJECTS)
	gcc $(SANITIZERS) -o $@ $^ $(DEBUG_LIBRARIES)

# ---- tests ------------------------------------------------------------------------------------------------------------

UNIT_SOURCES := $(wildcard tests/unit/*.c)
SIM_SOURCES := $(wildcard tests/sim/*.c) $(wildcard src/gate*.c) src/times.c src/record.c

test-needs: debug-needs
	@docker/need.sh libcmocka-dev python3-pytest python3-pytest-xdist python3-psycopg2 postgresql pgbouncer redis-server \
	    redis-sentinel redis-tools python3-redis openssl iproute2 nftables strace util-linux procps debootstrap gosu tini python3-yaml

test: build/lockstep build/debug/lockstep build/unit build/sim test-needs
	@$(PYTHON) tests/run.py

build/unit: $(UNIT_SOURCES) $(filter-out build/debug/entrypoint/main.o,$(DEBUG_OBJECTS)) | test-needs
	gcc $(CPPFLAGS) $(filter-out -MMD -MP,$(CFLAGS)) $(DEBUG_FLAGS) -o $@ $^ $(DEBUG_LIBRARIES) -lcmocka

build/sim: $(SIM_SOURCES) $(wildcard tests/sim/*.h src/*.h) | debug-needs
	@mkdir -p $(@D)
	gcc $(CPPFLAGS) -Itests/sim $(filter-out -MMD -MP,$(CFLAGS)) -O2 -o $@ $(SIM_SOURCES)

sim: build/sim
	build/sim $(SEEDS) $(FIRST)

BENCH_OBJECTS := $(patsubst %.c,build/release/%.o,$(wildcard tests/bench/*.c))
BENCH_PROGRAMS := $(BENCH_OBJECTS:build/release/tests/bench/%.o=build/bench/%)

build/bench/%: build/release/tests/bench/%.o
	@mkdir -p $(@D)
	$(link_static)

.SECONDARY: $(BENCH_OBJECTS)

bench: build/lockstep $(BENCH_PROGRAMS)
	@docker/need.sh postgresql python3-psycopg2 redis-server redis-tools python3-redis strace
	@$(PYTHON) tests/bench/bench.py

demo: build/lockstep
	@docker/need.sh postgresql python3
	@$(PYTHON) examples/demo/demo.py

# ---- form -------------------------------------------------------------------------------------------------------------

format:
	@docker/need.sh clang-format
	clang-format -i $(C_FILES)

lint: build/debug/dependencies
	@docker/need.sh clang-format clang-tidy libcmocka-dev
	clang-format --dry-run -Werror $(C_FILES)
	printf "%s\n" $(SOURCES) | xargs -P 2 -I{} clang-tidy --quiet {} -- -std=c17 $(CPPFLAGS) $(DEBUG_HEADERS)

clean:
	rm -rf build

-include $(RELEASE_OBJECTS:.o=.d) $(BENCH_OBJECTS:.o=.d) $(DEBUG_OBJECTS:.o=.d)
