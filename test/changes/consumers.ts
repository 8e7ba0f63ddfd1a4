import { setTimeout } from 'node:timers/promises';

/** Consumers of the feed as clients write them: they keep a cursor and reconnect after every failure. */

/** The fields of a change that consumers read. */
export interface ReceivedChange {
  readonly id: string;
  readonly type: string;
  readonly session_id: string;
  readonly version: number;
}

export interface Consumer {
  readonly received: ReceivedChange[];
  /** The cursor after the last change received. */
  readonly cursor: () => string;
  /** Failures the client saw: an answer other than 200, or a lost connection. */
  readonly interruptions: string[];
  stop(): Promise<void>;
}

/** Returns the log number inside a cursor. Real clients treat cursors as opaque. */
export function logNumberOf(cursor: string): number {
  return Number(Buffer.from(cursor, 'base64url').toString().split('.')[0]);
}

/** A block of Server-Sent Events. */
export interface Block {
  readonly id?: string;
  readonly event?: string;
  readonly data?: string;
  readonly retry?: string;
}

/** Splits a response body into Server-Sent Events blocks. */
export async function* blocksOf(body: AsyncIterable<Uint8Array>): AsyncGenerator<Block> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of body) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split('\n\n');
    rest = parts.pop() ?? '';
    for (const part of parts) {
      yield Object.fromEntries(part.split('\n').map((line) => /^(\w+): (.*)$/.exec(line)?.slice(1) ?? [])) as Block;
    }
  }
}

function consume(read: (from: string, consumer: Reading) => Promise<void>, start: string): Consumer {
  const ending = new AbortController();
  const received: ReceivedChange[] = [];
  const interruptions: string[] = [];
  let cursor = start;
  const reading: Reading = {
    signal: ending.signal,
    take(changes, next) {
      received.push(...changes);
      cursor = next;
    },
  };
  async function run(): Promise<void> {
    while (!ending.signal.aborted) {
      try {
        await read(cursor, reading);
      } catch (error) {
        if (!ending.signal.aborted) interruptions.push(String((error as Error).cause ?? error));
        await setTimeout(20);
      }
    }
  }
  const running = run();
  return {
    received,
    interruptions,
    cursor: () => cursor,
    async stop() {
      ending.abort();
      await running;
    },
  };
}

interface Reading {
  readonly signal: AbortSignal;
  take(changes: readonly ReceivedChange[], next: string): void;
}

/** Follows the feed as a stream. */
export function streamConsumer(url: () => string, start: string, query = ''): Consumer {
  return consume(async (from, { signal, take }) => {
    const headers = { accept: 'text/event-stream', 'last-event-id': from };
    const response = await fetch(`${url()}/api/changes?${query}`, { headers, signal });
    if (!response.ok || !response.body) throw new Error(`${response.status} ${await response.text()}`);
    for await (const { id, data } of blocksOf(response.body)) {
      if (id !== undefined) take(data === undefined ? [] : [JSON.parse(data)], id);
    }
  }, start);
}

/** Follows the feed by long polls. */
export function pollConsumer(url: () => string, start: string, query = 'wait=2'): Consumer {
  return consume(async (from, { signal, take }) => {
    const response = await fetch(`${url()}/api/changes?cursor=${from}&${query}`, { signal });
    if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
    const { results, cursor } = (await response.json()) as { results: ReceivedChange[]; cursor: string };
    take(results, cursor);
  }, start);
}

/** Returns the cursor of the current end of the log. */
export async function currentCursor(url: string): Promise<string> {
  const { cursor } = (await (await fetch(`${url}/api/changes?cursor=now`)).json()) as { cursor: string };
  return cursor;
}
