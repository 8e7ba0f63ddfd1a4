import { expect, test } from 'vitest';
import YAML from 'yaml';
import { environmentVariables, parseConfig, secretFileVariables } from '../../src/config.js';
import { contract } from '../support/contract.js';
import { codeBlocks } from '../support/markdown.mjs';

/** The manifests and proxies of docs/operations.md, as far as they can be checked without the programs. */

const blocks = codeBlocks('docs/operations.md');
const textOf = (language: string) => blocks.find((block) => block.language === language)?.text ?? '';
const objects = blocks
  .filter(({ language, text }) => language === 'yaml' && text.includes('apiVersion:'))
  .flatMap(({ text }) => YAML.parseAllDocuments(text).map((document) => document.toJS()));

const { Secret, Deployment, Service, PodDisruptionBudget, Ingress } = Object.fromEntries(
  objects.map((object) => [object.kind, object]),
);
const pod = Deployment.spec.template;
const [container] = pod.spec.containers;
const variables: Record<string, string> = {
  ...Secret.stringData,
  ...Object.fromEntries(container.env.map(({ name, value }: { name: string; value: string }) => [name, value])),
};

test('the manifest has each kind once', () => {
  const kinds = ['Secret', 'Deployment', 'Service', 'PodDisruptionBudget', 'Ingress'];
  expect(objects.map(({ kind }) => kind)).toEqual(kinds);
});

test('its variables exist, and are a valid configuration beside those of the image', () => {
  const known = [...environmentVariables, ...secretFileVariables];
  expect(Object.keys(variables).filter((name) => !known.includes(name))).toEqual([]);
  expect(() => parseConfig({ ...variables, HOST: '0.0.0.0' })).not.toThrow();
});

test('its probes ask paths that the service has, on the port of the container', () => {
  const probes = [container.startupProbe, container.readinessProbe, container.livenessProbe];
  expect(probes.map(({ httpGet }) => httpGet.path)).toEqual(['/health/live', '/health/ready', '/health/live']);
  for (const { httpGet } of probes) {
    expect(contract.paths).toHaveProperty([httpGet.path]);
    expect(container.ports).toContainEqual({ name: httpGet.port, containerPort: parseConfig({}).PORT });
  }
});

test('a pod has the time to stop that its configuration gives it', () => {
  const { SHUTDOWN_DRAIN_MS, SHUTDOWN_TIMEOUT_MS } = parseConfig({ ...variables, HOST: '0.0.0.0' });
  const grace = pod.spec.terminationGracePeriodSeconds * 1000;
  expect(grace).toBeGreaterThan(SHUTDOWN_DRAIN_MS + SHUTDOWN_TIMEOUT_MS);
  // Longer than the readiness probe takes to fail.
  const { periodSeconds, timeoutSeconds, failureThreshold } = container.readinessProbe;
  expect(SHUTDOWN_DRAIN_MS).toBeGreaterThan(periodSeconds * failureThreshold * 1000);
  expect(timeoutSeconds).toBeLessThanOrEqual(periodSeconds);
});

test('its parts name each other', () => {
  const { labels } = pod.metadata;
  for (const { spec } of [Service, PodDisruptionBudget, Deployment]) {
    expect(spec.selector.matchLabels ?? spec.selector).toEqual(labels);
  }
  expect(container.envFrom).toEqual([{ secretRef: { name: Secret.metadata.name } }]);
  const [port] = Service.spec.ports;
  expect(container.ports.map(({ name }: { name: string }) => name)).toContain(port.targetPort);
  const [rule] = Ingress.spec.rules;
  const [{ backend }] = rule.http.paths;
  expect(backend.service).toEqual({ name: Service.metadata.name, port: { name: port.name } });
  expect(PodDisruptionBudget.spec.minAvailable).toBeLessThan(Deployment.spec.replicas);
});

test('a pod has no more rights than it needs', () => {
  expect(pod.spec).toMatchObject({ automountServiceAccountToken: false, securityContext: { runAsNonRoot: true } });
  expect(container.securityContext).toEqual({
    readOnlyRootFilesystem: true,
    allowPrivilegeEscalation: false,
    capabilities: { drop: ['ALL'] },
  });
});

test('the Ingress and the proxies pass on the webhook alone', () => {
  const webhook = '/webhooks/stripe';
  expect(contract.paths[webhook]).toHaveProperty('post');
  const paths = Ingress.spec.rules.flatMap(({ http }: { http: { paths: object[] } }) => http.paths);
  expect(paths).toMatchObject([{ path: webhook, pathType: 'Exact' }]);

  const caddy = textOf('caddyfile').replaceAll(/\s+/g, ' ');
  expect(caddy).toContain(`{ handle ${webhook} { reverse_proxy 127.0.0.1:3000 } handle { respond 404 } }`);
  expect(caddy.match(/reverse_proxy/g)).toHaveLength(1);

  const nginx = textOf('nginx');
  const locations = [...nginx.matchAll(/location ([^{]+?) \{([^}]*)\}/g)].map(([, path, body = '']) => [
    path,
    body.includes('proxy_pass http://127.0.0.1:3000;'),
  ]);
  expect(locations).toEqual([
    [`= ${webhook}`, true],
    ['/', false],
  ]);
  for (const line of nginx.split('\n')) expect(line).toMatch(/^$|[;{}]$/);
});
