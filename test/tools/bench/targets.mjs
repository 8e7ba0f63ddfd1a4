/** Targets of the service, as ratios within one run. */

/**
 * @typedef {{ scenario: string, connections: readonly number[], against: string, atLeast: number }} Target
 */

const loaded = [32, 128];

/** Our answers per second, divided by a contender's. @type {readonly Target[]} */
export const targets = [
  { scenario: 'one', connections: loaded, against: 'pg', atLeast: 3 },
  { scenario: 'one', connections: loaded, against: 'bare', atLeast: 0.65 },
  { scenario: 'one', connections: [1], against: 'pg', atLeast: 0.95 },
  { scenario: 'list', connections: loaded, against: 'pg', atLeast: 3 },
  { scenario: 'list', connections: loaded, against: 'bare', atLeast: 0.85 },
  { scenario: 'create', connections: loaded, against: 'pg', atLeast: 1.3 },
  { scenario: 'replace', connections: loaded, against: 'pg', atLeast: 1.3 },
  { scenario: 'webhook', connections: loaded, against: 'pg', atLeast: 0.9 },
];

/** Our answers per second in one scenario, divided by those in another. A list in Stripe's shape has four times the bytes. */
export const betweenScenarios = [
  { scenario: 'stripe-one', against: 'one', atLeast: 0.9 },
  { scenario: 'stripe-list', against: 'list-of-10', atLeast: 0.5 },
];

/** Rate of the first pages, divided by that of the pages from the 10,000th on. */
export const depthAtMost = 1.2;

/** Rate on the small table, divided by that on the large one. */
export const growthAtMost = 1.3;

/** Resident megabytes under load. */
export const memoryAtMost = 200;

/** Rate of writes with the log of the change feed, divided by that without. */
export const loggedAtLeast = 0.9;
