# The program in a container; docs/operating.md says how to run it.
FROM rust:1-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev make
COPY . /src
RUN cargo install --locked --path /src --root /out

FROM debian:stable-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/* \
    && useradd --system --home-dir /data dhakira && install -d -o dhakira /data
COPY --from=build /out/bin/dhakira /usr/local/bin/dhakira
USER dhakira
VOLUME /data
ENV DHAKIRA_DATA=/data DHAKIRA_LISTEN=0.0.0.0:50051 DHAKIRA_HTTP_LISTEN=0.0.0.0:9090
EXPOSE 50051 9090
STOPSIGNAL SIGTERM
ENTRYPOINT ["dhakira"]
CMD ["serve"]
