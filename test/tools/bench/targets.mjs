/** What the service is to reach, as ratios in one run. */

/**
 * @typedef {{ scenario: string, connections: readonly number[], against: string, atLeast: number }} Target
 */

const loaded = [32, 128];

/** Of ours to a contender's answers per second. @type {readonly Target[]} */
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

/** Of the answers per second of one scenario of ours to another. A list in Stripe's shape has four times the bytes. */
export const betweenScenarios = [
  { scenario: 'stripe-one', against: 'one', atLeast: 0.9 },
  { scenario: 'stripe-list', against: 'list-of-10', atLeast: 0.5 },
];

/** How many times faster the first pages may be than those from the 10,000th on. */
export const depthAtMost = 1.2;

/** How many times faster the small table may be than the large one. */
export const growthAtMost = 1.3;

/** Megabytes resident under load. */
export const memoryAtMost = 200;

/** What a write with the change feed's log may be of one without. */
export const loggedAtLeast = 0.9;
