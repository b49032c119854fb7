# Two stages: the first has pip, a lock with hashes and the sources; the second only what runs.
# Where pip must trust a CA of your own: docker build --secret id=pipca,src=ca.pem .
# From another index, such as a mirror in China: docker build --build-arg PIP_INDEX_URL=https://mirror.example.org/simple .
# It need not be trusted: the lock has hashes.
# With OpenTelemetry, for [tracing]: docker build --build-arg LOCK=requirements-otel.lock .
ARG BASE_IMAGE=python:3.12-slim

FROM ${BASE_IMAGE} AS build
ARG PIP_INDEX_URL=
ARG LOCK=requirements-runtime.lock
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_COMPILE=1 PYTHONDONTWRITEBYTECODE=1
RUN python -m venv /opt/wecom-broker
WORKDIR /src

# What the lock pins changes seldom, and so has a layer of its own.
COPY requirements-runtime.lock requirements-otel.lock ./
RUN --mount=type=secret,id=pipca \
    if [ -s /run/secrets/pipca ]; then export PIP_CERT=/run/secrets/pipca; fi \
    && /opt/wecom-broker/bin/pip install --require-hashes -r "${LOCK}"

COPY pyproject.toml README.md LICENSE ./
COPY clients/python clients/python
COPY broker broker
# The lock has all dependencies and setuptools, so nothing is fetched here.
RUN /opt/wecom-broker/bin/pip install --no-index --no-deps --no-build-isolation ./clients/python . \
    && /opt/wecom-broker/bin/pip check \
    && /opt/wecom-broker/bin/pip uninstall --yes --quiet setuptools pip \
    && python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/wecom-broker/lib
COPY --chmod=0644 deploy/health_check.py /opt/wecom-broker/health_check.py

FROM ${BASE_IMAGE}
ARG BASE_IMAGE
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG CREATED=unknown
ARG SOURCE=unknown
LABEL org.opencontainers.image.title="wecom-broker" \
      org.opencontainers.image.description="Token and credential broker for WeCom (企业微信)" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.base.name="${BASE_IMAGE}"

# A number, so that Kubernetes can see that it is not root. It owns what may be written: the embedded
# store (the working folder; mount a volume there) and the socket's folder. All else may be read-only;
# `workers` above 1 and `demo` need a /tmp that can be written.
RUN install -d -o 10001 -g 10001 -m 0750 /var/lib/wecom-broker /run/wecom-broker
COPY --from=build /opt/wecom-broker /opt/wecom-broker
ENV PATH=/opt/wecom-broker/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    WECOM_BROKER_CONFIG=/etc/wecom-broker/broker.toml
USER 10001:10001
WORKDIR /var/lib/wecom-broker

EXPOSE 50051 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-I", "/opt/wecom-broker/health_check.py"]
ENTRYPOINT ["wecom-broker"]
CMD ["serve"]
