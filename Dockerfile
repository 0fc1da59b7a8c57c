# The demo in a container. Never built so far: there was no Docker where this was written.
#
#     docker build --tag video-ensemble . && docker run --shm-size=2g --name demo video-ensemble
#     docker cp demo:/project/data/report .        # then open report/index.html
FROM python:3.11-slim
RUN apt-get update && apt-get install -y --no-install-recommends git make && rm -rf /var/lib/apt/lists/*
WORKDIR /project
COPY . .
RUN make install
CMD ["make", "demo"]
