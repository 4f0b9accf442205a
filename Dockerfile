# docker build -t ragsearch . && docker run --rm -v "$PWD/docs:/docs:ro" -v ragsearch:/data ragsearch ingest /docs
FROM python:3.13-slim AS build
WORKDIR /source
COPY pyproject.toml README.md README.zh-CN.md CHANGELOG.md LICENSE ./
COPY .ci/metadata.py .ci/metadata.py
COPY rag_search rag_search
RUN python -m venv /app && /app/bin/pip install --no-cache-dir '.[cpu,serve]'

FROM python:3.13-slim
RUN useradd --uid 10001 --create-home ragsearch && install -d -o ragsearch /data /docs
COPY --from=build /app /app
ENV PATH=/app/bin:$PATH XDG_DATA_HOME=/data XDG_CACHE_HOME=/data/cache PYTHONDONTWRITEBYTECODE=1
USER ragsearch
WORKDIR /docs
VOLUME /data
EXPOSE 7860
HEALTHCHECK --interval=10s --start-period=30s \
    CMD ["python", "-c", "import socket; socket.create_connection(('127.0.0.1', 7860), 5)"]
ENTRYPOINT ["ragsearch"]
CMD ["serve", "--host", "0.0.0.0"]
