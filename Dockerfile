# One image for all processes of the Procfile; the command chooses the process.
FROM python:3.11-slim AS build
WORKDIR /src
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
# Before the source, so that a change of ours does not fetch the dependencies again.
COPY requirements-build.lock requirements-service.lock ./
RUN python -m venv /opt/stocktake \
    && pip install --no-deps --only-binary :all: --require-hashes -r requirements-build.lock \
    && /opt/stocktake/bin/pip install --no-deps --only-binary :all: --require-hashes -r requirements-service.lock
COPY . .
RUN pip wheel --no-deps --no-index --no-build-isolation --wheel-dir /tmp/wheel . \
    && /opt/stocktake/bin/pip install --no-deps --no-index /tmp/wheel/*.whl

FROM python:3.11-slim
RUN useradd --system --uid 10001 --home-dir /var/lib/stocktake --create-home stocktake
COPY --from=build /opt/stocktake /opt/stocktake
ENV PATH=/opt/stocktake/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    STOCKTAKE_DATA_DIR=/var/lib/stocktake \
    STOCKTAKE_HOST=0.0.0.0
USER stocktake
WORKDIR /var/lib/stocktake
EXPOSE 8000
# For the web process; docker-compose.yml replaces it for the others.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ.get(\"STOCKTAKE_PORT\", 8000)}/healthz', timeout=2)"]
STOPSIGNAL SIGTERM
CMD ["python", "-m", "api"]
