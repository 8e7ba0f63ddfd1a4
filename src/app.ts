import type { Server } from 'node:http';
import Fastify, {
  type FastifyBaseLogger,
  type FastifyHttpOptions,
  type FastifyInstance,
  type FastifyPluginCallback,
  LogController,
} from 'fastify';
import { createChangeFeed } from './changes/feed.js';
import type { Config } from './config.js';
import { changeStore } from './database/changes.js';
import type { Database } from './database/engine/database.js';
import { enumStore } from './database/enums.js';
import { stripeEventStore } from './database/events.js';
import { mirrorStore } from './database/sessions/mirror.js';
import { sessionStore } from './database/sessions/store.js';
import { stripeReadStore } from './database/sessions/stripe-reads.js';
import { statisticsStore } from './database/statistics.js';
import { examples } from './model/examples.js';
import { accessCheck, refuseInvalidHost, refuseTwoHosts } from './plugins/access.js';
import { countChanges, measureChanges } from './plugins/change-metrics.js';
import { serveConsole } from './plugins/console-page.js';
import { allowOrigins } from './plugins/cors.js';
import errorHandler, { handleError } from './plugins/error-handler.js';
import gracefulClose from './plugins/graceful-close.js';
import { httpOptions, refuseByHttp, refuseUnreadable } from './plugins/http.js';
import { takeJsonOnly } from './plugins/json-body.js';
import { clientTimeouts, limitRate, shedLoad } from './plugins/limits.js';
import { collectMethods } from './plugins/method-not-allowed.js';
import measure, { createMetrics, type Metrics } from './plugins/metrics.js';
import openapi from './plugins/openapi/plugin.js';
import { onRequestEnd } from './plugins/request-end.js';
import { requestIds } from './plugins/request-id.js';
import requestLog from './plugins/request-log.js';
import { createStripeKeyLookup, stripeAccessCheck } from './plugins/stripe-access.js';
import { answerAsStripe, handleAsStripe } from './plugins/stripe-errors.js';
import { validatePath } from './plugins/validation.js';
import { changeRoutes } from './routes/changes.js';
import { enumRoutes } from './routes/enums.js';
import { healthRoutes } from './routes/health.js';
import { metricsRoute } from './routes/metrics.js';
import { sessionStripeRoutes } from './routes/session-stripe.js';
import { sessionRoutes } from './routes/sessions.js';
import { statisticsRoutes } from './routes/statistics.js';
import { stripeEventRoutes } from './routes/stripe-events.js';
import { stripeReadRoutes } from './routes/stripe-reads.js';
import { webhookRoutes } from './routes/webhooks.js';
import { createDeliveryIngest } from './stripe/deliveries.js';
import { createFetch } from './stripe/fetch.js';
import { createFindAtStripe } from './stripe/find.js';
import { createIngest, type Ingest } from './stripe/ingest.js';
import { createLineItems, type LineItems } from './stripe/line-items.js';
import { createReadThrough } from './stripe/read-through.js';
import { createRefresh } from './stripe/refresh.js';

declare module 'fastify' {
  interface FastifyInstance {
    /** Stores states from Stripe. Scheduled work uses it too, so that the metrics count its sessions. */
    ingest: Ingest;
    /** Counts a run of scheduled work. */
    countRun: Metrics['countRun'];
    /** Fetches line items in the background. Undefined when STRIPE_FETCH_LINE_ITEMS is false. */
    lineItems: LineItems | undefined;
  }
}

export interface Dependencies {
  database: Database;
  /** Defaults to no log. */
  logger?: FastifyBaseLogger;
  /** The plugin that records a span for each request. */
  tracing?: FastifyPluginCallback;
}

/** The longest id: 255 characters of up to four bytes, each byte percent-encoded. */
const maxParamLength = 255 * 4 * 3;

/** Builds the service: Fastify's options, plugins and scopes, in the order in which a request passes them. */
export async function buildApp(config: Config, { database, logger, tracing }: Dependencies): Promise<FastifyInstance> {
  const app: FastifyInstance = Fastify(serverOptions(config, logger));
  app.server.maxConnections = config.MAX_CONNECTIONS;
  // Responses are stored JSON, or small. Compiled serializers would only slow the start.
  app.setSerializerCompiler(() => JSON.stringify);
  app.setValidatorCompiler(validatePath);
  takeJsonOnly(app);

  const lifecycle = { isDraining: false };
  const metrics = createMetrics();
  const changes = changeStore(database);
  const feed = createChangeFeed(changes, countChanges(metrics));
  const sessions = sessionStore(database, metrics.observeBatch);
  const events = stripeEventStore(database);
  const mirror = mirrorStore(database, metrics.observeBatch);
  // `lineItems` comes below, because it needs `refresh`, and `refresh` needs this ingest.
  const ingest = createIngest(mirror, config, app.log, (session) => lineItems?.onMissingLineItems(session));
  const fetchSession = createFetch(config, sessions.accountOf);
  const refresh = createRefresh(ingest, fetchSession);
  const ingestDelivery = createDeliveryIngest({ ingest, fetch: fetchSession, events, log: app.log });
  const readThrough = createReadThrough({
    config,
    reads: stripeReadStore(database, config.STRIPE_ACCOUNT_ID, metrics.observeBatch),
    refresh,
    findAtStripe: createFindAtStripe(ingest, config),
    log: app.log,
  });
  app.decorate('countRun', metrics.countRun);
  app.decorateRequest('keyHolder');
  app.decorateRequest('clientAddress').decorateRequest('answeredAfter');
  const lineItems = config.STRIPE_FETCH_LINE_ITEMS
    ? createLineItems({ database, refresh, log: app.log, onTry: metrics.countLineItems })
    : undefined;
  app.decorate('ingest', ingest).decorate('lineItems', lineItems);
  app.addHook('onClose', async () => lineItems?.stop());

  if (tracing) await app.register(tracing);
  await app.register(errorHandler);
  await app.register(measure, { metrics, config, database, events, ingest });
  measureChanges({ metrics, store: changes, streams: feed.streams });
  onRequestEnd(app, ({ method }) => {
    if (method !== 'GET' && method !== 'HEAD') feed.notifyWrite();
  });
  await app.register(requestLog, { logsAddress: config.LOG_CLIENT_ADDRESS });
  await app.register(gracefulClose, { lifecycle });
  refuseByHttp(app);
  await allowOrigins(app, config.CORS_ORIGINS);
  const refuseOtherMethods = collectMethods(app);
  await app.register(openapi, { publicUrl: config.PUBLIC_URL, examples });
  if (config.CONSOLE) await app.register(serveConsole, { config });
  await app.register(healthRoutes, { database, lifecycle });
  await app.register(metricsRoute, { metrics, config });
  // URL encodes the host and the path as ASCII, which the Location header needs.
  const publicUrl = config.PUBLIC_URL && new URL(config.PUBLIC_URL).href;
  await app.register(async (working) => {
    // Statements of the embedded database block the event loop, so there a lag does not mean too many requests.
    if (database.pool) await shedLoad(working, config, metrics.countRefusal);
    await working.register(
      async (api) => {
        await limitRate(api, config, metrics.countRefusal);
        const checkAccess = accessCheck(config);
        api.addHook('onRequest', (request, reply, next) => {
          reply.header('cache-control', 'private, no-cache').header('x-content-type-options', 'nosniff');
          // Without keys the access check reads the first Host, so a second one is refused before it. The check answers 421 to every
          // Host that is not local, even to an invalid one, so the 400 for an invalid Host comes after it.
          refuseTwoHosts(request);
          checkAccess(request);
          refuseInvalidHost(request);
          next();
        });
        await api.register(sessionRoutes, { sessions, publicUrl });
        await api.register(sessionStripeRoutes, { sessions, refresh });
        await api.register(stripeEventRoutes, { events, publicUrl });
        await api.register(changeRoutes, { feed, publicUrl });
        await api.register(enumRoutes, { enums: enumStore(database) });
        await api.register(statisticsRoutes, { statistics: statisticsStore(database) });
      },
      { prefix: '/api' },
    );
    await working.register(
      async (stripe) => {
        answerAsStripe(stripe);
        await stripe.register(async (reads) => {
          await limitRate(reads, config, metrics.countRefusal, createStripeKeyLookup(config));
          const checkAccess = stripeAccessCheck(config);
          reads.addHook('onRequest', (request, _reply, next) => {
            refuseTwoHosts(request);
            checkAccess(request);
            // No refuseInvalidHost: no response here contains the host.
            next();
          });
          await reads.register(stripeReadRoutes, { readThrough });
        });
      },
      { prefix: '/v1' },
    );
    // /v2 has no routes. Its unknown paths get a 404 in Stripe's shape.
    await working.register(async (stripe) => answerAsStripe(stripe), { prefix: '/v2' });
    await working.register(webhookRoutes, { ingestDelivery, config, onDelivery: metrics.countDelivery });
  });
  refuseOtherMethods();
  return app;
}

function serverOptions(config: Config, logger: FastifyBaseLogger | undefined): FastifyHttpOptions<Server> {
  const timeouts = clientTimeouts(config);
  return {
    ...(logger && { loggerInstance: logger }),
    ...timeouts,
    http: { ...timeouts.http, ...httpOptions },
    // Serve requests on open connections during shutdown: their clients cannot know that the process is stopping.
    return503OnClosing: false,
    bodyLimit: config.BODY_LIMIT,
    trustProxy: config.TRUST_PROXY.length > 0 ? [...config.TRUST_PROXY] : false,
    genReqId: requestIds(config.TRUST_PROXY),
    logController: new LogController({ disableRequestLogging: true }),
    // No child logger for each request: most requests log one line, and creating a logger costs more.
    childLoggerFactory: (parent) => parent,
    routerOptions: { ignoreTrailingSlash: true, maxParamLength },
    // Errors of the router belong to no scope, so the path selects the handler.
    frameworkErrors: (error, request, reply) =>
      (stripePath.test(request.url) ? handleAsStripe : handleError)(error, request, reply),
    clientErrorHandler: refuseUnreadable,
  };
}

const stripePath = /^\/v[12]\//;
