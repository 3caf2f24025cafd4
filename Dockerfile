# Four images out of one compile: `docker build --target web -t emojivoto-web .`, and likewise for
# `emoji-svc`, `voting-svc` and `vote-bot`. Works with BuildKit and with the legacy builder (hence no
# `RUN --mount`), on any architecture that the base image exists for.

# Any image with the Rust toolchain and a C compiler.
ARG RUST_IMAGE=rust:1.95-slim-bookworm

FROM ${RUST_IMAGE} AS build
WORKDIR /src

# The dependencies are a layer of their own, which only a changed manifest rebuilds: compiled for the real
# manifests, with a stub for each of our crates. `all-in-one`, `testkit` and `e2e` go into no image, but
# Cargo wants every member of the workspace to be there.
COPY release/compile release/
COPY Cargo.toml Cargo.lock ./
COPY proto/Cargo.toml proto/
COPY net/Cargo.toml net/
COPY faults/Cargo.toml faults/
COPY telemetry/Cargo.toml telemetry/
COPY style/Cargo.toml style/
COPY zpages/Cargo.toml zpages/
COPY runtime/Cargo.toml runtime/
COPY emoji-svc/Cargo.toml emoji-svc/
COPY voting-svc/Cargo.toml voting-svc/
COPY web/Cargo.toml web/
COPY vote-bot/Cargo.toml vote-bot/
COPY all-in-one/Cargo.toml all-in-one/
COPY testkit/Cargo.toml testkit/
COPY e2e/Cargo.toml e2e/
RUN set -eu; \
    for manifest in */Cargo.toml; do \
        crate="${manifest%/Cargo.toml}"; \
        mkdir -p "$crate/src" "$crate/tests"; \
        : > "$crate/src/lib.rs"; \
        echo 'fn main() {}' > "$crate/src/main.rs"; \
    done; \
    for script in proto telemetry; do echo 'fn main() {}' > "$script/build.rs"; done; \
    mkdir all-in-one/benches voting-svc/benches; \
    touch all-in-one/benches/faults.rs all-in-one/benches/overload.rs all-in-one/benches/vote.rs all-in-one/benches/zpages.rs voting-svc/benches/stores.rs; \
    touch e2e/tests/api_server.rs e2e/tests/browser.rs e2e/tests/compose.rs e2e/tests/drills.rs e2e/tests/manifests.rs \
        e2e/tests/mesh.rs e2e/tests/observability.rs e2e/tests/openapi.rs e2e/tests/release.rs e2e/tests/stores.rs; \
    release/compile --profile dist -p emojivoto-emoji-svc -p emojivoto-voting-svc -p emojivoto-web -p emojivoto-vote-bot

# The git commit, for `emojivoto_build_info`: .git is not copied. Here, so that it does not rebuild the above.
ARG REVISION=
ENV EMOJIVOTO_REVISION=${REVISION}

# Files keep the time of their last change when they are copied, which may lie before the stubs were
# compiled: without the `touch`, Cargo would take the stubs for up to date.
COPY . .
RUN set -eu; \
    find . -path ./target -prune -o -name '*.rs' -exec touch {} +; \
    release/compile --profile dist -p emojivoto-emoji-svc -p emojivoto-voting-svc -p emojivoto-web -p emojivoto-vote-bot; \
    for service in emoji-svc voting-svc web vote-bot; do \
        bin="/out/$service/usr/local/bin"; \
        mkdir -p "$bin"; \
        cp "target/$(rustc --print host-tuple)/dist/emojivoto-$service" "$bin/"; \
    done; \
    mkdir /out/data; \
    ln -s emojivoto-web /out/web/usr/local/bin/emojivoto-vote-bot

# What the four have in common. The binaries lie on the PATH, so that a pod's `command: ["emojivoto-web"]`
# finds them; there is no shell to ask, hence each checks its own health. Certificate roots are compiled in.
FROM scratch AS service
ARG VERSION=12.0.0
LABEL org.opencontainers.image.vendor="emojivoto" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"
ENV PATH=/usr/local/bin
USER 65532:65532
# The admin port: the live page, /live, /ready and /metrics.
EXPOSE 8801

FROM service AS emoji-svc
LABEL org.opencontainers.image.title="emojivoto-emoji-svc" \
      org.opencontainers.image.description="emojivoto: the emoji service, gRPC"
COPY --from=build /out/emoji-svc/ /
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s CMD ["emojivoto-emoji-svc", "healthcheck"]
ENTRYPOINT ["emojivoto-emoji-svc"]

FROM service AS voting-svc
LABEL org.opencontainers.image.title="emojivoto-voting-svc" \
      org.opencontainers.image.description="emojivoto: the voting service, gRPC"
COPY --from=build /out/voting-svc/ /
# Empty, and a place for votes if a volume is put there (`VOTES_STORE=file:/data/votes.redb`): a new one gets this owner.
# Not a `VOLUME`, which would leave one behind for each container, whether it keeps votes there or not.
COPY --from=build --chown=65532:65532 /out/data/ /data/
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s CMD ["emojivoto-voting-svc", "healthcheck"]
ENTRYPOINT ["emojivoto-voting-svc"]

FROM service AS vote-bot
LABEL org.opencontainers.image.title="emojivoto-vote-bot" \
      org.opencontainers.image.description="emojivoto: votes all day long"
COPY --from=build /out/vote-bot/ /
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s CMD ["emojivoto-vote-bot", "healthcheck"]
ENTRYPOINT ["emojivoto-vote-bot"]

FROM service AS web
LABEL org.opencontainers.image.title="emojivoto-web" \
      org.opencontainers.image.description="emojivoto: the web front end, HTTP"
# Holds the bot as well, as the original's does: `command: ["emojivoto-vote-bot"]`.
COPY --from=build /out/web/ /
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s CMD ["emojivoto-web", "healthcheck"]
ENTRYPOINT ["emojivoto-web"]
