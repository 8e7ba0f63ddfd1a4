import { Readable } from 'node:stream';
import type { ChangePage } from '../database/change-page.js';
import type { ChangeStore } from '../database/changes.js';
import { databaseProblem } from '../database/engine/sqlstate.js';
import { Problem } from '../errors.js';
import { type ChangeQuery, type ChangeType, encodePosition, type Position } from '../model/changes.js';
import { type Wake, watchHorizon } from './horizon-watch.js';
import { type SharedPage, sharedPages } from './shared-pages.js';

/** Maximum number of streams in one process. Each holds a connection and, while its client is slow, a page in memory. */
const maxStreams = 1000;
/** Maximum number of changes in a page of a stream. */
const streamLimit = 100;
/** Milliseconds without a change after which a stream sends its position. */
const defaultHeartbeat = 15_000;
/** Milliseconds that a stream lives, ± 10%. Clients reconnect, and so spread over the replicas again. */
const lifetime = 600_000;
/** Bytes to buffer for a slow client before backpressure. */
const highWaterMark = 16_384;
/** Milliseconds that streams have to end after a stop, before the service disconnects them. */
const grace = 1000;
/** Milliseconds after which a client reconnects: the `retry` of Server-Sent Events. */
const retry = 1000;

/** Receives the number of changes of a type that were sent. */
export type OnSent = (type: ChangeType, count: number) => void;

/** A request that reads the feed. */
interface Reader {
  readonly controller: AbortController;
  /** Destroys its connection. */
  readonly disconnect: () => void;
  isStream: boolean;
}

/**
 * The position where a reader starts, and the horizon at that time. The horizon is the sequence number up to which no
 * transaction can still add a change.
 */
interface Start {
  readonly position: Position;
  readonly horizon: number;
}

export type ChangeFeed = ReturnType<typeof createChangeFeed>;

/** Creates the change feed, which serves the log of changes as pages that wait for a change and as streams. */
export function createChangeFeed(
  store: ChangeStore,
  onSent: OnSent = () => {},
  { heartbeat = defaultHeartbeat }: { heartbeat?: number } = {},
) {
  const watch = watchHorizon(store.horizon);
  const pages = sharedPages(store);
  const readers = new Set<Reader>();
  let streams = 0;
  let isStopped = false;

  function count({ counts }: SharedPage): void {
    for (const [type, number] of counts) onSent(type, number);
  }

  /** Returns the position of a cursor: `now` is the end of the log, no cursor its start. */
  async function startOf(cursor: ChangeQuery['cursor']): Promise<Start> {
    const horizon = await store.horizon();
    if (typeof cursor === 'object') return { position: cursor, horizon };
    const last = cursor === 'now' ? await store.last(horizon) : undefined;
    return { position: last ?? (await store.start()), horizon };
  }

  /** Reads pages until one has a change, up to the query's `wait` seconds. Returns the last page read. */
  async function firstPage({ position, horizon }: Start, query: ChangeQuery, signal: AbortSignal): Promise<SharedPage> {
    const { limit, types, wait } = query;
    const deadline = performance.now() + wait * 1000;
    let afterRead = pages.lastRead();
    for (;;) {
      const shared = await pages.read({ position, horizon, limit, types, afterRead });
      const { page } = shared;
      if (!page) throw new Problem('cursor-expired');
      const left = deadline - performance.now();
      if (page.changes.length > 0 || left <= 0 || signal.aborted) return shared;
      if (!page.hasMore && (await watch.wait(shared.horizon, left, signal)) !== 'moved') return shared;
      position = page.end;
      horizon = Math.max(horizon, watch.latest());
      afterRead = shared.readNumber;
    }
  }

  /** Yields the chunks of a stream: the first page, which the caller has read, and the pages after it. */
  async function* streamChunks(
    position: Position,
    first: SharedPage,
    types: ChangeQuery['types'],
    signal: AbortSignal,
  ): AsyncGenerator<Buffer> {
    yield Buffer.from(`retry: ${retry}\n${bookmark(position)}`);
    const end = performance.now() + lifetime * (0.9 + Math.random() / 5);
    let sentAt = performance.now();
    for (let shared = first; ; ) {
      const { page, chunk, readNumber } = shared;
      // The retention has removed a slow reader's position. The client gets cursor-expired when it reconnects.
      if (!page) return;
      if (chunk.length > 0) {
        count(shared);
        yield chunk;
        sentAt = performance.now();
      }
      let wake: Wake | undefined;
      while (!page.hasMore && !signal.aborted && wake !== 'moved') {
        // The horizon also moves by changes of other types, so the time of silence spans many pages.
        if (performance.now() - sentAt >= heartbeat) {
          yield Buffer.from(bookmark(page.end));
          sentAt = performance.now();
        }
        if (performance.now() > end) return;
        wake = await watch.wait(shared.horizon, sentAt + heartbeat - performance.now(), signal);
      }
      if (signal.aborted || performance.now() > end) return;
      const horizon = Math.max(shared.horizon, watch.latest());
      shared = await pages.read({ position: page.end, horizon, limit: streamLimit, types, afterRead: readNumber });
    }
  }

  /** Ends a stream when the database fails. The client reconnects and gets the error. Any other error is a bug, and is logged. */
  async function* untilFailure(chunks: AsyncGenerator<Buffer>): AsyncGenerator<Buffer> {
    try {
      yield* chunks;
    } catch (error) {
      if (!databaseProblem(error)) throw error;
    }
  }

  /** Throws when Citus distributes the sessions: such a table has no triggers, so the log stays empty. */
  async function refuseDistributed(): Promise<void> {
    if (await store.isDistributed()) throw new Problem('changes-not-supported');
  }

  /** Opens a stream for a reader, and reads its first page, so that a fault is an error response. */
  async function streamFor(reader: Reader, { cursor, types }: ChangeQuery): Promise<Readable> {
    if (streams >= maxStreams) throw new Problem('too-many-streams');
    // Before the first await: a client that leaves during one is then counted out.
    reader.isStream = true;
    streams += 1;
    await refuseDistributed();
    const { signal } = reader.controller;
    const start = await startOf(cursor);
    const first = await firstPage(start, { cursor, types, limit: streamLimit, wait: 0 }, signal);
    const chunks = untilFailure(streamChunks(start.position, first, types, signal));
    return Readable.from(chunks, { objectMode: false, highWaterMark });
  }

  return {
    /** Polls soon, because this process has written. Waiting readers get the change sooner. */
    notifyWrite: watch.notifyWrite,

    /** Returns the number of open streams. */
    streams: () => streams,

    /**
     * Registers a reading request until it leaves.
     *
     * @param disconnect destroys its connection.
     */
    enter(disconnect: () => void) {
      const reader: Reader = { controller: new AbortController(), disconnect, isStream: false };
      readers.add(reader);
      if (isStopped) reader.controller.abort();
      return {
        leave(): void {
          if (readers.delete(reader) && reader.isStream) streams -= 1;
          reader.controller.abort();
        },

        /**
         * Returns the changes after a cursor. When there are none, it waits for one up to the query's `wait` seconds.
         *
         * @throws Problem `cursor-expired`, `changes-not-supported`.
         */
        async page(query: ChangeQuery): Promise<ChangePage> {
          await refuseDistributed();
          const shared = await firstPage(await startOf(query.cursor), query, reader.controller.signal);
          count(shared);
          return shared.page as ChangePage;
        },

        /**
         * Returns the changes after a cursor as Server-Sent Events.
         *
         * @throws Problem `cursor-expired`, `changes-not-supported`, `too-many-streams`.
         */
        stream: (query: ChangeQuery): Promise<Readable> => streamFor(reader, query),
      };
    },

    /** Answers waiting pages at once, ends the streams, and cuts the connections of clients that do not read. */
    stop(): void {
      isStopped = true;
      for (const { controller } of readers) controller.abort();
      setTimeout(() => {
        for (const { isStream, disconnect } of readers) if (isStream) disconnect();
      }, grace).unref();
    },
  };
}

/** Returns a block that sets the client's `Last-Event-ID` without an event. */
function bookmark(position: Position): string {
  return `id: ${encodePosition(position)}\n\n`;
}
