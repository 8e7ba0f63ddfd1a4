/** Samples of the metrics of the service, and their trends. */

/**
 * @typedef {object} Sample
 * @property {number} minutes since the start of the run
 * @property {number} resident megabytes
 * @property {number} heap megabytes in use
 * @property {number} old megabytes in the heap's old space: objects that have survived two collections
 * @property {number} delay milliseconds of delay of the event loop, the 99th percentile since the last sample
 * @property {number} clients connections of clients
 * @property {number} inFlight requests
 * @property {number} pool connections to the database
 * @property {number} waiting statements that wait for a connection
 * @property {number} descriptors open files and sockets
 * @property {number} resources that keep the event loop alive
 */

const mega = 1024 * 1024;

/**
 * Reads the metrics.
 *
 * @param {import('../lib/service.mjs').Service} service @param {number} began
 * @returns {Promise<Sample>}
 */
export async function takeSample({ url, key }, began) {
  // Without keep-alive, so that the next sample does not count this connection.
  const headers = { authorization: `Bearer ${key}`, connection: 'close' };
  const text = await (await fetch(`${url}/metrics`, { headers })).text();
  const value = (/** @type {string} */ name) => {
    const line = text.split('\n').find((one) => one.startsWith(`${name} `));
    if (!line) throw new Error(`there is no metric ${name}`);
    return Number(line.slice(name.length + 1));
  };
  return {
    minutes: (performance.now() - began) / 60_000,
    resident: value('process_resident_memory_bytes') / mega,
    heap: value('nodejs_heap_size_used_bytes') / mega,
    old: value('nodejs_heap_space_size_used_bytes{space="old"}') / mega,
    delay: value('nodejs_eventloop_lag_p99_seconds') * 1000,
    clients: value('http_connections'),
    inFlight: value('http_requests_in_flight'),
    pool: value('database_pool_connections'),
    waiting: value('database_pool_waiting'),
    descriptors: value('process_open_fds'),
    resources: value('nodejs_active_resources_total'),
  };
}

/**
 * Fits a least-squares line through the lowest sample of each window: the memory that a garbage collection leaves.
 *
 * @param {readonly Sample[]} samples @param {'resident' | 'heap' | 'old' | 'delay'} name @param {number} windowSize
 * @returns {{ first: number, last: number, perMinute: number }} the ends of the line, and its slope
 */
export function trendOf(samples, name, windowSize) {
  /** @type {{ x: number, y: number }[]} */
  const points = [];
  for (let from = 0; from + windowSize <= samples.length; from += windowSize) {
    const [lowest] = samples.slice(from, from + windowSize).sort((one, other) => one[name] - other[name]);
    if (lowest) points.push({ x: lowest.minutes, y: lowest[name] });
  }
  const mean = (/** @type {'x' | 'y'} */ axis) => points.reduce((sum, point) => sum + point[axis], 0) / points.length;
  const [x, y] = [mean('x'), mean('y')];
  const slope =
    points.reduce((sum, point) => sum + (point.x - x) * (point.y - y), 0) /
    points.reduce((sum, point) => sum + (point.x - x) ** 2, 0);
  const at = (/** @type {number} */ minutes) => y + slope * (minutes - x);
  return { first: at(points[0]?.x ?? 0), last: at(points.at(-1)?.x ?? 0), perMinute: slope };
}
