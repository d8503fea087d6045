# An image for dc-sandbox's docker backend: Python and g++, nothing of dc_tools (a worker's sources are sent to it).
#
#     docker build -t dc-sandbox - < examples/sandbox.Dockerfile
#     dc-sandbox --backend docker answers.jsonl > judged.jsonl
#
# Any image will do in which `python3` is 3.11 or newer; g++ is needed for C++ programs only. dc-sandbox starts it
# without network and rights, read-only, as user 65534. Without a registry: dc-sandbox --make-image dc-sandbox
FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 g++ tzdata \
    && rm -rf /var/lib/apt/lists/*
USER 65534:65534
CMD ["python3"]
