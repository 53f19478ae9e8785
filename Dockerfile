# One image for all processes of the Procfile; the command chooses the process.
# To build from one exact image: --build-arg PYTHON_IMAGE=python:3.13-slim@sha256:… (docker buildx
# imagetools inspect python:3.13-slim prints the digest).
ARG PYTHON_IMAGE=python:3.13-slim

FROM ${PYTHON_IMAGE} AS build
WORKDIR /src
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
# Before the source, so that a change of ours does not fetch the dependencies again. What builds is
# pinned as well, and stays behind.
COPY requirements-build.lock requirements-service.lock ./
RUN python -m venv --without-pip /opt/stocktake \
    && pip install --no-deps --only-binary :all: --require-hashes -r requirements-build.lock \
    && pip --python /opt/stocktake/bin/python install \
        --no-deps --only-binary :all: --require-hashes -r requirements-service.lock
COPY . .
RUN pip wheel --no-deps --no-index --no-build-isolation --wheel-dir /tmp/wheel . \
    && pip --python /opt/stocktake/bin/python install --no-deps --no-index /tmp/wheel/*.whl

FROM ${PYTHON_IMAGE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Stocktake" \
      org.opencontainers.image.description="Keeps the schemas of tables in object storage true" \
      org.opencontainers.image.source="https://github.com/stocktake-registry/stocktake" \
      org.opencontainers.image.documentation="https://github.com/stocktake-registry/stocktake/tree/main/docs" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# Nothing is installed in a container that runs.
RUN pip uninstall --yes --root-user-action=ignore pip \
    && groupadd --gid 10001 stocktake \
    && useradd --uid 10001 --gid 10001 --home-dir /var/lib/stocktake --create-home stocktake
COPY --from=build /opt/stocktake /opt/stocktake
ENV PATH=/opt/stocktake/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    STOCKTAKE_DATA_DIR=/var/lib/stocktake \
    STOCKTAKE_HOST=0.0.0.0
# By number: Kubernetes' runAsNonRoot knows no names.
USER 10001:10001
WORKDIR /var/lib/stocktake
VOLUME /var/lib/stocktake
EXPOSE 8000
# For the web process; docker-compose.yml replaces it for the others.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ.get(\"STOCKTAKE_PORT\") or 8000}/healthz', timeout=2)"]
STOPSIGNAL SIGTERM
CMD ["python", "-m", "api"]
