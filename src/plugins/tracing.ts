import { setTimeout } from 'node:timers/promises';
import { FastifyOtelInstrumentation } from '@fastify/otel';
import { DiagLogLevel, diag, SpanStatusCode } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import {
  BatchSpanProcessor,
  type NodeTracerConfig,
  NodeTracerProvider,
  type ReadableSpan,
} from '@opentelemetry/sdk-trace-node';
import type { FastifyBaseLogger, FastifyPluginCallback } from 'fastify';
import type { Config } from '../config.js';

/**
 * Traces with OpenTelemetry, one span a request. Loaded only when it is configured, so that without it nothing is paid.
 * The SDK reads the standard variables of where to send, how much to sample and how to batch by itself.
 */

export interface Tracing {
  /** To be registered before any other. */
  readonly plugin: FastifyPluginCallback;
  /** Sends what is not sent yet. Gives up when the collector does not answer. */
  stop(): Promise<void>;
}

/** Milliseconds that a collector gets at the end. */
const flushTimeout = 2000;

/** Starts tracing for the process. Failures of the collector are logged and hold nothing up. */
export function startTracing(config: Config, log: FastifyBaseLogger): Tracing {
  const complain = (message: string) => log.warn({ detail: message.slice(0, 500) }, 'traces are not sent');
  const silent = () => {};
  const logger = { error: complain, warn: complain, info: silent, debug: silent, verbose: silent };
  diag.setLogger(logger, { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });
  const provider = new NodeTracerProvider({
    resource: resource(config),
    spanProcessors: [new DiscreetProcessor(new OTLPTraceExporter())],
  });
  provider.register();
  const instrumentation = new FastifyOtelInstrumentation({
    recordExceptions: false,
    instrumentHandler: false,
    instrumentHooks: false,
    ignorePaths: ({ url }) => /^\/(health|metrics|docs|openapi|console)\b/.test(url),
    requestHook: (span, { method, routeOptions, url }) => {
      span.updateName(routeOptions.url === undefined ? method : `${method} ${routeOptions.url}`);
      span.setAttribute('url.path', url.split('?', 1)[0] as string);
    },
  });
  instrumentation.setTracerProvider(provider);
  return {
    plugin: instrumentation.plugin(),
    async stop() {
      const late = setTimeout(flushTimeout, 'late', { ref: false });
      const ended = provider.shutdown().catch((error: Error) => complain(error.message));
      if ((await Promise.race([ended, late])) === 'late') complain('the collector did not answer in time');
    },
  };
}

function resource({ OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES }: Config): NonNullable<NodeTracerConfig['resource']> {
  const given = OTEL_RESOURCE_ATTRIBUTES.map((pair): [string, string] => {
    const [name = '', value = ''] = pair.split('=', 2);
    return [name.trim(), decodeURIComponent(value.trim())];
  });
  const attributes: Record<string, string> = { ...Object.fromEntries(given), 'service.name': OTEL_SERVICE_NAME };
  const made = { attributes, merge: () => made, getRawAttributes: () => Object.entries(attributes) };
  return made;
}

/**
 * Leaves out the words of errors, which may hold what a customer sent, and calls an error only what is one of ours:
 * the instrumentation calls every problem an error, and a 404 is an answer.
 */
class DiscreetProcessor extends BatchSpanProcessor {
  override onEnd(span: ReadableSpan): void {
    const failed = Number(span.attributes['http.response.status_code']) >= 500;
    const status = { code: failed ? SpanStatusCode.ERROR : SpanStatusCode.UNSET };
    super.onEnd(Object.create(span, { status: { value: status } }) as ReadableSpan);
  }
}
