# PhoPay in one image: the hub, its worker, its migrations and the sandbox are commands of it.
#
#   docker build -t phopay .
#   docker run --rm phopay --help
#
# compose.yaml runs a whole installation.

# Front end: what the screens bring from npm, built into api/static/vendor/
FROM node:22-bookworm-slim AS frontend
WORKDIR /build/api/frontend
COPY api/frontend/package.json api/frontend/package-lock.json api/frontend/.npmrc ./
RUN npm ci --ignore-scripts
COPY api/frontend/ ./
# Tailwind reads the names of classes from these.
COPY api/static/js/ ../static/js/
COPY api/pages/ ../pages/
COPY api/counter/ ../counter/
COPY api/gate/ ../gate/
COPY api/manage/ ../manage/
COPY api/finance/ ../finance/
COPY api/pay/ ../pay/
RUN node build.mjs

# Python packages, by their hashes; pip stays behind in this stage
FROM python:3.13-slim-bookworm AS packages
COPY requirements.lock ./
RUN python -m venv --without-pip /opt/phopay \
    && python -m pip --python /opt/phopay/bin/python install --no-cache-dir \
        --disable-pip-version-check --require-hashes -r requirements.lock

FROM python:3.13-slim-bookworm
LABEL org.opencontainers.image.title="PhoPay" \
    org.opencontainers.image.licenses="Apache-2.0"
RUN groupadd --gid 10001 phopay \
    && useradd --uid 10001 --gid phopay --no-create-home --shell /usr/sbin/nologin phopay \
    && install --directory --owner=phopay --group=phopay --mode=0700 /data
WORKDIR /app
COPY --from=packages /opt/phopay /opt/phopay
COPY pyproject.toml LICENSE ./
COPY core/ core/
COPY identity/ identity/
COPY parking/ parking/
COPY payments/ payments/
COPY city/ city/
COPY api/ api/
COPY worker/ worker/
COPY registry/ registry/
COPY sandbox/ sandbox/
COPY ops/ ops/
COPY migrations/ migrations/
# Without its sources nothing tries to build the front end again.
RUN rm -rf api/frontend && /opt/phopay/bin/python -m compileall -q .
COPY --from=frontend /build/api/static/vendor/ api/static/vendor/
ENV PATH=/opt/phopay/bin:$PATH \
    PYTHONPATH=/app \
    PYTHONSAFEPATH=1 \
    PYTHONUNBUFFERED=1 \
    PHOPAY_IS_PRODUCTION=true
USER phopay
# Photos, and the secret key where it is not given: hub, worker and whoever backs up share it.
VOLUME /data
EXPOSE 8000
# A request of the hub itself: the process accepts and answers. Its database is /health/ready's.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/health/live', timeout=4)"]
ENTRYPOINT ["python", "-m", "ops.cli"]
CMD ["serve", "--host", "0.0.0.0", "--data", "/data", "--workers", "2"]
