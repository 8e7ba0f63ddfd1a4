import { setTimeout } from 'node:timers/promises';
import { FastifyOtelInstrumentation } from '@fastify/otel';
import { DiagLogLevel, diag, SpanStatusCode } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { type Resource, resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, NodeTracerProvider, type ReadableSpan } from '@opentelemetry/sdk-trace-node';
import type { FastifyBaseLogger, FastifyPluginCallback } from 'fastify';
import type { Config } from '../config.js';

/**
 * Traces with OpenTelemetry: one span for each request. The server imports this file only when tracing is configured,
 * because the SDK slows the start. The SDK itself reads the standard variables for the collector, sampling and batching.
 */

export interface Tracing {
  /** Register it before any other plugin. */
  readonly plugin: FastifyPluginCallback;
  /** Sends the remaining spans. Gives up after two seconds when the collector does not answer. */
  stop(): Promise<void>;
}

/** Milliseconds to send the remaining spans in when the process stops. */
const flushTimeout = 2000;

/** Starts tracing for the process. Logs a failure of the collector; requests do not wait for it. */
export function startTracing(config: Config, log: FastifyBaseLogger): Tracing {
  const complain = (message: string) => log.warn({ detail: message.slice(0, 500) }, 'traces are not sent');
  const silent = () => {};
  const logger = { error: complain, warn: complain, info: silent, debug: silent, verbose: silent };
  diag.setLogger(logger, { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });
  const provider = new NodeTracerProvider({
    resource: resourceOf(config),
    spanProcessors: [new PrivateSpanProcessor(new OTLPTraceExporter())],
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

/** Returns the description of this service that each trace carries. */
function resourceOf({ OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES }: Config): Resource {
  const attributes = OTEL_RESOURCE_ATTRIBUTES.map((pair): [string, string] => {
    const [name = '', value = ''] = pair.split('=', 2);
    return [name.trim(), decodeURIComponent(value.trim())];
  });
  return resourceFromAttributes({ ...Object.fromEntries(attributes), 'service.name': OTEL_SERVICE_NAME });
}

/**
 * Removes error messages from spans: they may quote customer data. Marks a span as an error only for a status of 500 or
 * more: the instrumentation marks every problem, and a 404 is a normal answer.
 */
class PrivateSpanProcessor extends BatchSpanProcessor {
  override onEnd(span: ReadableSpan): void {
    const failed = Number(span.attributes['http.response.status_code']) >= 500;
    const status = { code: failed ? SpanStatusCode.ERROR : SpanStatusCode.UNSET };
    super.onEnd(Object.create(span, { status: { value: status } }) as ReadableSpan);
  }
}
