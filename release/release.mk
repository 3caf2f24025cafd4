# A release: `make release` makes all of its files, and each of the targets below some of them. docs/releasing.md says what they are.

OUT      ?= target/release-files
PROFILE  ?= dist
# Where the sources are published, for the images' labels and for the notes.
SOURCE   ?= $(shell git remote get-url origin 2>/dev/null | sed -E 's|^git@([^:/]+):|https://\1/|; s|\.git$$||')
# Files and images have the time of the commit, so that whoever makes them makes the same: https://reproducible-builds.org/specs/source-date-epoch/
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null)
# The digests of what was pushed, for those who sign and attest: a line for each image, as sha256sum would write it.
DIGESTS  ?= target/release-images.sha256

TUPLE     = $(shell rustc --print host-tuple)
PLATFORM  = linux-$(patsubst x86_64,amd64,$(patsubst aarch64,arm64,$(firstword $(subst -, ,$(TUPLE)))))
BUILT     = $(or $(CARGO_TARGET_DIR),target)/$(TUPLE)/$(PROFILE)
BINARIES  = emojivoto $(SERVICES:%=emojivoto-%)
STAGE     = target/release-stage
SBOMS     = target/release-sboms
LICENSES  = target/release-licenses

# Bytes depend on who compresses them, so the version of BuildKit is a part of its builder's name.
BUILDKIT  = $(shell sed -n 's|^[[:space:]]*github.com/moby/buildkit \(v[0-9.]*\).*|\1|p' e2e/go/buildkit/go.mod)
BUILDER  ?= emojivoto-$(BUILDKIT)
BUILDX    = $(or $(wildcard target/tools/bin/buildx),$(shell docker buildx version >/dev/null 2>&1 && echo docker buildx),buildx)

# What the scripts beside this file are told, and where .ci/install has put what they call.
TOLD = SERVICES='$(SERVICES)' VERSION='$(VERSION)' PLATFORM='$(PLATFORM)' REVISION='$(REVISION)' SOURCE='$(SOURCE)' SOURCE_DATE_EPOCH='$(SOURCE_DATE_EPOCH)' \
    BUILDX='$(BUILDX)' BUILDER='$(BUILDER)' BUILDKIT='$(BUILDKIT)' PATH='$(CURDIR)/target/tools/bin:$(PATH)'

.PHONY: release release-binaries release-images release-manifests release-dashboards release-checksums release-check \
    release-gather release-push release-try release-sign release-notes with-a-prefix with-a-source

release: with-a-prefix with-a-source
	@case '$(REVISION)' in ?*-dirty | '') echo 'make $@: a release is made from a commit, and here are changes that are in none:' >&2; \
	    git status --short >&2; exit 1 ;; esac
	rm -f '$(OUT)'/emojivoto* '$(OUT)'/SHA256SUMS* '$(DIGESTS)'
	$(MAKE) --no-print-directory release-images release-manifests release-dashboards
	$(MAKE) --no-print-directory release-checksums
	@ls -l '$(OUT)'

release-binaries: $(LICENSES)/CRATES.txt
	EMOJIVOTO_REVISION='$(REVISION)' CARGO_INCREMENTAL=0 release/compile --profile '$(PROFILE)' $(BINARIES:%=--package %)
	cp LICENSE '$(LICENSES)/'
	cp "$$(rustc --print sysroot)/share/doc/rust/COPYRIGHT-library.html" '$(LICENSES)/RUST-STANDARD-LIBRARY.html'
	{ echo "The binaries hold the GNU C library, as $$(dpkg-query --show libc6-dev | tr '\t' ' ') of $$(. /etc/os-release; echo "$$PRETTY_NAME")"; \
	    echo 'has it, where its sources are as well. The package says of it:'; echo; \
	    cat /usr/share/doc/libc6-dev/copyright; echo; cat /usr/share/common-licenses/LGPL-2.1; } > '$(LICENSES)/GLIBC.txt'
	@$(TOLD) release/sbom '$(TUPLE)' '$(SBOMS)' $(BINARIES)
	@$(TOLD) release/pack '$(BUILT)' '$(SBOMS)' '$(LICENSES)' '$(STAGE)' '$(OUT)'

# Takes a minute, hence a file of its own.
$(LICENSES)/CRATES.txt: Cargo.lock release/about.toml release/third-party.hbs
	mkdir -p '$(LICENSES)'
	@$(TOLD) cargo about generate --locked --config release/about.toml --manifest-path all-in-one/Cargo.toml \
	    release/third-party.hbs --output-file '$@.tmp'
	mv '$@.tmp' '$@'

release-images: with-a-prefix release-binaries
	@$(TOLD) release/images '$(STAGE)' '$(OUT)'

# IMAGES is the prefix under which the images are published. They keep the names that `make images` gives them and are put below
# it, `registry.example/emojivoto/emojivoto-web`, not appended to it: so it can be whatever a registry lets one own, be it a host, an
# account of Docker Hub (which allows one level below it) or a repository on GitHub.
#
# Kustomize renders; only where an image of ours comes from differs from k8s/. A kustomization on top would have to repeat
# `sortOptions`, which count at the top only.
release-manifests: with-a-prefix
	mkdir -p '$(OUT)'
	$(call manifest,k8s,emojivoto,The whole suite.)
	$(call manifest,k8s/variants/linkerd,emojivoto-linkerd,The suite in the mesh of Linkerd: needs Linkerd and the Gateway API.)
	$(call manifest,k8s/variants/redis-votes,emojivoto-redis,The suite with votes in Redis: needs a StorageClass and no mesh.)

# What can stand before a name in an image's reference. A line break, too, is a character that cannot.
with-a-prefix:
	@awk 'BEGIN { \
	    part = "[a-z0-9]+(([.]|_|__|-+)[a-z0-9]+)*"; \
	    exit ENVIRON["IMAGES"] !~ "^[a-z0-9]+([.-]+[a-z0-9]+)*(:[0-9]+)?(/" part ")*$$" }' || \
	    { echo 'make: IMAGES has to be what published images begin with, in lower case, without a tag or a slash at the end:' \
	        'IMAGES=registry.example/emojivoto' >&2; exit 1; }

# An address to be shown to everybody: nothing before an @, which may be a password.
with-a-source: export ADDRESS = $(SOURCE)
with-a-source:
	@awk 'BEGIN { exit ENVIRON["ADDRESS"] !~ "^https://[A-Za-z0-9._~:-]+(/[A-Za-z0-9._~-]+)+$$" }' || \
	    { echo 'make: SOURCE has to be the address where the sources are published, without a name or password in it:' \
	        'SOURCE=https://code.example/emojivoto' >&2; exit 1; }

define manifest
	@$(KUBECTL) kustomize $(1) --output '$(OUT)/$(2).yml.tmp'
	@{ echo '# emojivoto $(VERSION). $(3)'; \
	    echo '#'; \
	    echo '#     kubectl apply -f $(2).yml'; \
	    echo '#'; \
	    echo '# Made of $(1) in the repository, where comments say why things are as they are.'; \
	    sed "s|^\([ -]*image: \)\(emojivoto-\)|\1$$IMAGES/\2|" '$(OUT)/$(2).yml.tmp'; } > '$(OUT)/$(2).yml'
	@rm '$(OUT)/$(2).yml.tmp'
	@echo '$(OUT)/$(2).yml'
endef

# As they are: the dashboard's data source is a variable, and no rule depends on the name of a job. But runbooks are elsewhere.
release-dashboards: with-a-source
	mkdir -p '$(OUT)'
	cp observability/grafana/dashboards/emojivoto.json '$(OUT)/emojivoto-dashboard.json'
	sed 's|^\( *\)runbook: |\1runbook_url: $(SOURCE)/blob/v$(VERSION)/|' observability/prometheus/rules/emojivoto.yml \
	    > '$(OUT)/emojivoto-rules.yml'

release-checksums:
	@cd '$(OUT)' && sums=$$(sha256sum -- emojivoto*) && echo "$$sums" > SHA256SUMS
	@echo '$(OUT)/SHA256SUMS'

# Makes the release a second time, from a clone in another folder, and compares each file with what `make release` has made.
release-check: elsewhere = target/release-check/another folder
release-check: with-a-prefix with-a-source
	@[ -e '$(OUT)/SHA256SUMS' ] || { echo 'make $@: nothing to compare with in $(OUT): make release first' >&2; exit 1; }
	rm -rf target/release-check
	git clone --quiet . '$(elsewhere)'
	@env -u CARGO_TARGET_DIR PATH='$(CURDIR)/target/tools/bin:$(PATH)' $(MAKE) --no-print-directory -C '$(elsewhere)' release \
	    OUT=target/release-files SOURCE='$(SOURCE)'
	diff '$(OUT)/SHA256SUMS' '$(elsewhere)/target/release-files/SHA256SUMS'
	rm -rf target/release-check
	@echo 'the same bytes'

# Brings together what several machines have made, each in a folder in FROM. Where two have made the same file, it has to be the same.
release-gather:
	@[ -d '$(FROM)' ] || { echo 'make $@: FROM has to be the folder with what the machines have made: FROM=target/machines' >&2; exit 1; }
	mkdir -p '$(OUT)'
	@set -e; for file in '$(FROM)'/*/emojivoto*; do \
	    gathered='$(OUT)'/$$(basename "$$file"); \
	    if [ -e "$$gathered" ]; then cmp "$$file" "$$gathered" >&2; else cp "$$file" "$$gathered"; fi; \
	done
	$(MAKE) --no-print-directory release-checksums

# Publishes the images under IMAGES, from the archives in OUT, for all platforms that there are archives of.
release-push: with-a-prefix
	@digests=$$($(TOLD) release/push '$(OUT)') && echo "$$digests" | tee '$(DIGESTS)'

# Has the engine pull what was pushed, and start it.
release-try: with-a-prefix
	@set -e; for service in $(SERVICES); do docker run --rm --pull always "$$IMAGES/emojivoto-$$service:$(VERSION)" --version; done

# Signs what was pushed and the checksums of the files. By default with the identity of whoever does it, which Sigstore asks for
# (https://docs.sigstore.dev/cosign/signing/overview/); COSIGN_FLAGS=--key=… is a key of one's own.
release-sign:
	@[ -e '$(DIGESTS)' ] || { echo 'make $@: nothing was pushed: make release-push first' >&2; exit 1; }
	cosign sign --yes --recursive $(COSIGN_FLAGS) $$(awk '{ print $$2 "@sha256:" $$1 }' '$(DIGESTS)')
	cosign sign-blob --yes $(COSIGN_FLAGS) --bundle '$(OUT)/SHA256SUMS.sigstore.json' '$(OUT)/SHA256SUMS'

# What to say of a release, from CHANGELOG.md, if TAG (v12.0.0) is the version that the sources have.
release-notes: with-a-source
	@[ '$(TAG)' = 'v$(VERSION)' ] || { echo "make $@: the sources have version $(VERSION), so the tag has to be v$(VERSION), not '$(TAG)'" >&2; exit 1; }
	@$(TOLD) release/notes
