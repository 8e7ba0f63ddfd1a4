/** What the service says of itself from time to time, and where it is going. */

/**
 * @typedef {object} Sample
 * @property {number} minutes since the begin
 * @property {number} resident megabytes
 * @property {number} heap megabytes that are used
 * @property {number} old megabytes of the heap's old space: what has outlived two collections
 * @property {number} delay milliseconds that the event loop is late, the 99th percentile since the last sample
 * @property {number} clients connections of theirs
 * @property {number} inFlight requests
 * @property {number} pool connections to the database
 * @property {number} waiting statements, for one of them
 * @property {number} descriptors open files and sockets
 * @property {number} resources that keep the event loop alive
 */

const mega = 1024 * 1024;

/** @param {number} port @param {string} key @param {number} began @returns {Promise<Sample>} */
export async function takeSample(port, key, began) {
  // Not kept alive: its connection is not to be counted with the next sample's.
  const headers = { authorization: `Bearer ${key}`, connection: 'close' };
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`, { headers })).text();
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
 * The least-squares line through the lowest of every few samples: what memory falls back to when it was collected.
 *
 * @param {readonly Sample[]} samples @param {'resident' | 'heap' | 'old' | 'delay'} name @param {number} window samples
 * @returns {{ first: number, last: number, perMinute: number }} the line's ends, and its slope
 */
export function trendOf(samples, name, window) {
  /** @type {{ x: number, y: number }[]} */
  const points = [];
  for (let from = 0; from + window <= samples.length; from += window) {
    const [lowest] = samples.slice(from, from + window).sort((one, other) => one[name] - other[name]);
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
