# `make` says what there is.

VERSION  := $(shell sed -n 's/^version = "\(.*\)".*/\1/p' Cargo.toml)
SERVICES := emoji-svc voting-svc web vote-bot
TAGGED   := $(SERVICES:%=emojivoto-%:$(VERSION))
UNTAGGED := $(SERVICES:%=emojivoto-%:latest)
REVISION := $(shell git rev-parse HEAD 2>/dev/null)$(if $(shell git status --porcelain 2>/dev/null),-dirty)
CLUSTER  ?= emojivoto
KUBECTL   = $(firstword $(wildcard target/tools/bin/kubectl) kubectl)
COMPOSE   = $(shell docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose)
OBSERVED  = -f docker-compose.yml -f observability/compose.yml
SCALED    = -f docker-compose.yml -f redis/compose.yml
EVERY     = $(OBSERVED) -f redis/compose.yml

# For Compose, which builds with it.
export EMOJIVOTO_REVISION = $(REVISION)

.PHONY: help test test-api-server images up observe scaled down clean rules routes k3d kind version

help:
	@echo 'make test     install what the tests need, then run all of them'
	@echo 'make test-api-server'
	@echo '              the manifests in front of a real API server, which takes minutes to compile'
	@echo 'make up       build and start the suite with Compose: http://localhost:8081'
	@echo 'make observe  the same with Prometheus, Grafana and Jaeger: http://localhost:3000'
	@echo 'make scaled   the suite with three voting services, which count in Redis'
	@echo 'make down     stop any of these, and remove it, but for the votes'
	@echo 'make clean    the same, and the votes'
	@echo 'make images   build the four images, tagged $(VERSION) and latest'
	@echo 'make k3d      build, load into a k3d cluster and apply: http://localhost:8081'
	@echo 'make kind     the same with kind, which has no ingress: port-forward to look at it'
	@echo 'make rules    copy the rules of observability/ into the PrometheusRule for Kubernetes'
	@echo 'make routes   make the routes of k8s/components/routes-per-rpc from proto/'
	@echo 'make release IMAGES=registry.example/emojivoto'
	@echo '              all files of a release, into $(OUT): see docs/releasing.md'
	@echo
	@echo 'make version V=12.1.0'
	@echo '              set the version, wherever it stands but in CHANGELOG.md'
	@echo
	@echo 'Without containers: cargo run --release'

test:
	.ci/install
	cargo test --workspace
	cargo test -p emojivoto-e2e --features browser,manifests,compose,drills,mesh,observability,openapi,release,stores

test-api-server:
	.ci/install
	.ci/install api-server
	cargo test -p emojivoto-e2e --features api-server --test api_server

# Untagged as well, for `kubectl apply -f k8s/base/web.yml` and its like.
images:
	set -e; for service in $(SERVICES); do \
	    docker build --target $$service --build-arg REVISION=$(REVISION) -t emojivoto-$$service:$(VERSION) -t emojivoto-$$service .; \
	done

up:
	$(COMPOSE) up --build --detach
	@echo 'http://localhost:8081'

observe:
	$(COMPOSE) $(OBSERVED) up --build --detach
	@echo 'suite       http://localhost:8081'
	@echo 'Grafana     http://localhost:3000'
	@echo 'Prometheus  http://localhost:9090'
	@echo 'Jaeger      http://localhost:16686'

scaled:
	$(COMPOSE) $(SCALED) up --build --detach
	@echo 'http://localhost:8081'

# Votes are in volumes with a name. Those without, of images, would be left behind: `rm -v` takes them, and no others.
down:
	$(COMPOSE) $(EVERY) rm -fsv
	$(COMPOSE) $(EVERY) down

clean:
	$(COMPOSE) $(EVERY) down --volumes

# Puts the rules of observability/ into the PrometheusRule for Kubernetes.
rules: RULE = k8s/components/prometheus-operator/prometheus-rule.yml
rules:
	sed -n '1,/^  groups:$$/p' $(RULE) > $(RULE).tmp
	sed '1,/^groups:$$/d; s/^./  &/' observability/prometheus/rules/emojivoto.yml >> $(RULE).tmp
	mv $(RULE).tmp $(RULE)

# Makes a route for each RPC of proto/.
routes: ROUTES = k8s/components/routes-per-rpc
routes:
	set -e; for app in emoji voting; do \
	    cargo run --locked -p emojivoto-proto --example grpc_routes -- $$app > $(ROUTES)/$$app.yml.tmp; \
	    mv $(ROUTES)/$$app.yml.tmp $(ROUTES)/$$app.yml; \
	done

k3d: images
	k3d cluster list $(CLUSTER) >/dev/null 2>&1 || k3d cluster create $(CLUSTER) --port 8081:80@loadbalancer
	k3d image import --cluster $(CLUSTER) $(TAGGED) $(UNTAGGED)
	kubectl config use-context k3d-$(CLUSTER)
	$(apply)
	@echo 'http://localhost:8081 (if you had a cluster before: the port that it maps to 80@loadbalancer)'

kind: images
	kind get clusters 2>/dev/null | grep -qx $(CLUSTER) || kind create cluster --name $(CLUSTER)
	kind load docker-image --name $(CLUSTER) $(TAGGED) $(UNTAGGED)
	kubectl config use-context kind-$(CLUSTER)
	$(apply)
	@echo 'kind brings no ingress controller. Run'
	@echo '    kubectl -n emojivoto port-forward svc/web-svc 8081:80'
	@echo 'and open http://localhost:8081'

# The images may have changed under the same tag, which `apply` does not notice.
define apply
	kubectl apply -k k8s
	kubectl -n emojivoto rollout restart deployment
	for name in emoji voting web vote-bot; do kubectl -n emojivoto rollout status deployment/$$name --timeout=120s || exit 1; done
endef

# All places that a test knows, which also holds that nothing else there has the same version. The heading of CHANGELOG.md is
# for whoever writes what has changed.
version: number = (0|[1-9][0-9]*)
version: identifier = (0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)
version: SEMVER = $(number)\.$(number)\.$(number)(-$(identifier)(\.$(identifier))*)?
version:
	@echo '$(V)' | grep -Eqx '$(SEMVER)' || { echo 'which one? make version V=12.1.0' >&2; exit 1; }
	sed -i 's/^version = "$(subst .,\.,$(VERSION))"/version = "$(V)"/' Cargo.toml
	grep -rlF '$(VERSION)' Dockerfile README.md docker-compose.yml docs k8s redis web/openapi.json \
		| xargs sed -i 's/$(subst .,\.,$(VERSION))/$(V)/g'
	cargo update --workspace --offline --quiet

include release/release.mk
