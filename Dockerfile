# Build: better-sqlite3 compiles here, so the image that runs has no compiler.
FROM node:24-bookworm-slim AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3 make g++ \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY nest-cli.json tsconfig.json tsconfig.build.json .swcrc ./
COPY proto ./proto
COPY src ./src
RUN npm run build && npm prune --omit=dev --no-audit --no-fund

FROM node:24-bookworm-slim
ENV NODE_ENV=production \
    PALYRA_DATA_DIR=/var/lib/palyra \
    PALYRA_GRPC_LISTEN=0.0.0.0:7443 \
    PALYRA_QUIC_LISTEN=0.0.0.0:7444 \
    PALYRA_HTTP_LISTEN=0.0.0.0:7480
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/proto ./proto
COPY --from=build /app/dist ./dist
# The volume takes its owner and mode from here; the process refuses a directory that others can read.
RUN chmod 0755 dist/cli/main.js \
 && ln -s /app/dist/cli/main.js /usr/local/bin/palyra \
 && install -d -o node -g node -m 0700 /var/lib/palyra
USER node
# What commands remember of the store must not lie in the volume, which may be set back; the rest is read-only.
ENV XDG_STATE_HOME=/tmp
VOLUME /var/lib/palyra
EXPOSE 7443/tcp 7444/udp 7480/tcp
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:7480/readyz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "dist/cli/main.js", "serve"]
