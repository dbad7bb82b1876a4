# The images of this project, a target each.
#
#   docker build --network host --target teleport --tag teleport .       or, for all of them: make image

FROM debian:trixie-slim AS base
# What programs need to run: the interpreter, the CAs of public issuers, and a first process that reaps and forwards signals.
RUN apt-get update -qq \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        ca-certificates dumb-init python3 >/dev/null \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/log/apt /var/log/dpkg.log


FROM base AS packages
# Where packages come from, if not from the public index.
ARG PIP_INDEX_URL
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_QUIET=1
RUN apt-get update -qq \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv >/dev/null
WORKDIR /src
COPY requirements/build.txt requirements/runtime.txt requirements/
RUN python3 -m venv /build \
    && /build/bin/pip install --require-hashes --only-binary :all: -r requirements/build.txt \
    && python3 -m venv --without-pip /opt/teleport \
    && /build/bin/pip --python /opt/teleport/bin/python install --no-compile --require-hashes --only-binary :all: \
        -r requirements/runtime.txt


FROM packages AS build
COPY pyproject.toml README.md LICENSE ./
COPY src src
COPY operator operator
# The bytecode is never held against its source: neither changes in an image.
RUN /build/bin/pip wheel --no-index --no-deps --no-build-isolation --wheel-dir dist . \
    && /build/bin/pip --python /opt/teleport/bin/python install --no-compile --no-index --no-deps dist/*.whl \
    && /opt/teleport/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/teleport/lib


FROM base AS teleport
# 9807 is the id that manifests for the original's image name.
RUN groupadd --gid 9807 teleport \
    && useradd --uid 9807 --gid 9807 --home-dir /var/lib/teleport --no-create-home --shell /usr/sbin/nologin teleport \
    && install -d -o teleport -g teleport -m 0700 /var/lib/teleport
COPY --from=build /opt/teleport /opt/teleport
RUN ln -s /opt/teleport/bin/teleport /opt/teleport/bin/tctl /opt/teleport/bin/tsh /usr/local/bin/
ENV PYTHONDONTWRITEBYTECODE=1 TELEPORT_CONFIG_FILE=/etc/teleport/teleport.yaml
USER 9807:9807
WORKDIR /var/lib/teleport
ENTRYPOINT ["/usr/bin/dumb-init", "/usr/local/bin/teleport", "start", "-c", "/etc/teleport/teleport.yaml"]
ARG VERSION
ARG REVISION
LABEL org.opencontainers.image.title="teleport" \
      org.opencontainers.image.description="A Teleport-compatible cluster: auth server, proxy, agent, tctl and tsh" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="docker.io/library/debian:trixie-slim" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"


FROM packages AS build-operator
# What an operator needs beside a runtime's packages: kopf, and never a client library of Kubernetes that kopf would use.
COPY requirements/operator.txt requirements/
RUN /build/bin/pip --python /opt/teleport/bin/python install --no-compile --require-hashes --only-binary :all: \
        -r requirements/operator.txt
COPY --from=build /src/dist dist
RUN /build/bin/pip --python /opt/teleport/bin/python install --no-compile --no-index --no-deps dist/*.whl \
    && /opt/teleport/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/teleport/lib


FROM base AS teleport-operator
RUN groupadd --gid 65532 teleport-operator \
    && useradd --uid 65532 --gid 65532 --home-dir /nonexistent --no-create-home --shell /usr/sbin/nologin teleport-operator
COPY --from=build-operator /opt/teleport /opt/teleport
ENV PATH=/opt/teleport/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin PYTHONDONTWRITEBYTECODE=1
USER 65532:65532
WORKDIR /
ENTRYPOINT ["/usr/bin/dumb-init", "/opt/teleport/bin/python", "-m", "teleport_operator"]
ARG VERSION
ARG REVISION
LABEL org.opencontainers.image.title="teleport-operator" \
      org.opencontainers.image.description="Keeps join tokens of a Teleport-compatible cluster as objects of Kubernetes declare them" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="docker.io/library/debian:trixie-slim" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
