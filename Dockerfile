# docker build --build-arg VERSION=$(node -p "require('./package.json').version") --build-arg REVISION=$(git rev-parse HEAD) -t checkout-session-service .

FROM node:24-bookworm-slim AS build
WORKDIR /service
COPY package.json package-lock.json .npmrc ./
RUN --mount=type=cache,target=/root/.npm npm ci --ignore-scripts --no-audit
COPY tsconfig.json ./
COPY prisma prisma
COPY src src
RUN npx prisma generate --config prisma/config.ts && npx tsc && cp -R src/console dist/console

FROM node:24-bookworm-slim AS dependencies
WORKDIR /service
COPY package.json package-lock.json .npmrc ./
# Without optional dependencies: an optional peer dependency would install the Prisma CLI.
RUN --mount=type=cache,target=/root/.npm npm ci --omit=dev --omit=optional --ignore-scripts --no-audit
# Keep the code that runs and the licences. Two thirds of the packages are types, source maps, copies for other module
# systems, Prisma's query compilers for other databases and extensions of the embedded database.
# test/image.test.ts runs this command and starts the service.
RUN cd node_modules \
  && find . -type f \( -name '*.ts' -o -name '*.?ts' -o -name '*.map' -o -name '*.md' \) ! -iname '*licen[cs]e*' ! -iname '*notice*' -delete \
  && find @prisma/client/runtime -type f ! -name 'client.*' ! -name 'query_compiler_fast_bg.postgresql.*' -delete \
  && find @opentelemetry -type d \( -name esm -o -name esnext \) -prune -exec rm -r {} + \
  && rm -r @types stripe/cjs @electric-sql/pglite/dist/*.cjs @electric-sql/pglite/dist/*.tar.gz \
  && find . -type d -empty -delete

FROM node:24-bookworm-slim
ARG VERSION=unknown REVISION=unknown
LABEL org.opencontainers.image.title="Checkout Session Service" \
  org.opencontainers.image.description="A mirror of Stripe Checkout Sessions in a relational database, served over HTTP" \
  org.opencontainers.image.licenses="MIT" \
  org.opencontainers.image.base.name="docker.io/library/node:24-bookworm-slim" \
  org.opencontainers.image.version="$VERSION" \
  org.opencontainers.image.revision="$REVISION"
WORKDIR /service
# Remove package managers: unused at run time, and fewer packages to patch.
RUN rm -rf /usr/local/lib/node_modules /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/corepack /opt/yarn* \
    /usr/local/bin/yarn /usr/local/bin/yarnpkg \
  && install -d -o node -g node /data
COPY --from=dependencies /service/node_modules node_modules
COPY package.json LICENSE ./
COPY prisma/schema.prisma prisma/
COPY prisma/migrations prisma/migrations
COPY --from=build /service/dist dist

# Without DATABASE_URL the embedded database is in /data. The service writes nowhere else.
# Source maps: stack traces in the log name the lines of src/. They cost about 3 MB, and 0.1 s of the start.
ENV HOST=0.0.0.0 PORT=3000 DATA_DIR=/data NODE_OPTIONS=--enable-source-maps
VOLUME /data
EXPOSE 3000
USER node
STOPSIGNAL SIGTERM
# Checks the process and not the database: a new container would not repair the database.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
  CMD ["node", "-e", "require('http').get(`http://127.0.0.1:${process.env.PORT}/health/live`, (r) => process.exit(r.statusCode === 200 ? 0 : 1)).on('error', () => process.exit(1))"]
# Node runs as process 1 without an init: it starts no other processes and handles the signals itself.
CMD ["dist/server.js"]
