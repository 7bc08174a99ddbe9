# Sansi on a CPU: API and chat page on port 8000.
#
#   docker build -t sansi .
#   docker run --rm -p 127.0.0.1:8000:8000 sansi
#   docker run --rm -p 127.0.0.1:8000:8000 -v /path/to/models:/models:ro sansi /models/Qwen3-0.6B --quantize int4
#
# TORCH_INDEX: a package index whose torch has no CUDA in it; the image is then some 4 GB smaller.
ARG PYTHON=3.11-slim-bookworm

FROM python:${PYTHON} AS build
ARG TORCH_INDEX=""
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/sansi
ENV PATH=/opt/sansi/bin:$PATH
WORKDIR /src
# What changes seldom comes first, so that a change of the code installs no torch anew.
COPY constraints.txt ./
RUN pip install -c constraints.txt ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} torch
COPY pyproject.toml LICENSE ./
COPY docs/package.md docs/package.md
COPY sansi sansi
RUN pip install -c constraints.txt .

FROM python:${PYTHON}
# The CPU kernels are compiled once, on the machine whose instructions they use: at the first start, in some ten seconds.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 10001 sansi \
    && install -d -o sansi -g sansi /home/sansi/.cache
COPY --from=build /opt/sansi /opt/sansi
ENV PATH=/opt/sansi/bin:$PATH PYTHONUNBUFFERED=1
USER 10001
WORKDIR /home/sansi
# Compiled kernels, downloaded models and the terminal's history; a named volume keeps them from one container to the next.
VOLUME ["/home/sansi/.cache"]
EXPOSE 8000
# A server of several gigabytes takes a while to read its weights; after that /health answers at once, busy or not.
HEALTHCHECK --interval=15s --timeout=5s --start-period=120s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/health', timeout=4)"]
STOPSIGNAL SIGTERM
# In a container the loopback is the container's own, so it listens on all of its addresses; publish the port to 127.0.0.1,
# or give keys (--api-key-file), before others can reach it.
ENTRYPOINT ["sansi", "serve", "--host", "0.0.0.0", "--port", "8000"]
