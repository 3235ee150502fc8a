# edge-sse on Deno, as npm run serve runs it: docker build -t edge-sse . docs/self-hosting.md says how to run it.

# The version of Node that the lockfile has, too.
FROM node:24.21.0-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
# No package needs its install script for the service.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY . .
# Builds what browsers load. Then leaves out what only tests, checks and Cloudflare need, and the Node of the lockfile,
# since the image has one.
RUN npm run build \
 && cd node_modules \
 && rm -rf .bin node-linux-* workerd @cloudflare wrangler miniflare @sparticuz playwright-core typescript @typescript \
      vitest @vitest vite rolldown @rolldown lightningcss* sharp @img oxlint @oxlint oxfmt @oxfmt oxc-* @oxc-* knip @babel

FROM node:24.21.0-bookworm-slim
WORKDIR /app
# The files belong to root: the service cannot change itself.
COPY --from=build /app ./
RUN install -d -o 10001 -g 10001 -m 700 /data
USER 10001:10001
VOLUME /data
ENV NODE_ENV=production HOST=0.0.0.0 PORT=8787 EDGE_SSE_DEV_VARS=/data/.dev.vars
EXPOSE 8787
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/health`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
# No shell in between: the launcher gets the signal of docker stop and tells every client when to come back.
ENTRYPOINT ["node", "src/local/serve.ts", "--data-dir", "/data"]
