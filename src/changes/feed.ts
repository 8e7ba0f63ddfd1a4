import { Readable } from 'node:stream';
import type { ChangePage, ChangeStore } from '../database/changes.js';
import { Problem } from '../errors.js';
import { type ChangeQuery, type ChangeType, encodePosition, type Position } from '../model/changes.js';
import { watchHorizon } from './horizon-watch.js';
import { type SharedPage, sharedPages } from './shared-pages.js';

/** Streams that one process serves. Each takes a connection and, while its client is slow, a page of memory. */
const maxStreams = 1000;
/** Changes in a page of a stream. */
const streamLimit = 100;
/** Milliseconds without a change after which a stream says where it is. */
const heartbeat = 15_000;
/** Milliseconds that a stream lives, a tenth more or less: so the readers spread over the replicas again. */
const lifetime = 600_000;
/** Bytes that wait for a slow client. */
const highWaterMark = 16_384;
/** Milliseconds that streams have to end by themselves, when the service stops. */
const grace = 1000;
/** Milliseconds after which a client whose stream ended comes back. */
const retry = 1000;

/** Receives how many changes of a type were sent. */
export type OnSent = (type: ChangeType, count: number) => void;

/** A request that reads the feed. */
interface Reader {
  readonly controller: AbortController;
  /** Cuts its connection. */
  readonly cut: () => void;
  isStream: boolean;
}

/** The position from which a reader goes on, and up to where it knows that there is something. */
interface Start {
  readonly position: Position;
  readonly horizon: number;
}

export type ChangeFeed = ReturnType<typeof createChangeFeed>;

/** Serves the log of changes: pages that wait for a change, and streams. */
export function createChangeFeed(store: ChangeStore, onSent: OnSent = () => {}) {
  const watch = watchHorizon(store.horizon);
  const pages = sharedPages(store);
  const readers = new Set<Reader>();
  let streams = 0;
  let isStopped = false;

  function count({ counts }: SharedPage): void {
    for (const [type, number] of counts) onSent(type, number);
  }

  async function startOf(cursor: ChangeQuery['cursor']): Promise<Start> {
    const horizon = await store.horizon();
    if (typeof cursor === 'object') return { position: cursor, horizon };
    const last = cursor === 'now' ? await store.last(horizon) : undefined;
    return { position: last ?? (await store.start()), horizon };
  }

  /** Waits for the first page that is not empty, for so many milliseconds. */
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

  /** What a stream sends from a position on, of which the first page is read. */
  async function* streamChunks(
    position: Position,
    first: SharedPage,
    types: ChangeQuery['types'],
    signal: AbortSignal,
  ): AsyncGenerator<Buffer> {
    yield Buffer.from(`retry: ${retry}\n${bookmark(position)}`);
    const end = performance.now() + lifetime * (0.9 + Math.random() / 5);
    for (let shared = first; ; ) {
      const { page, chunk, readNumber } = shared;
      // The retention has overtaken a reader that was slow. It learns so when it comes back.
      if (!page) return;
      if (chunk.length > 0) {
        count(shared);
        yield chunk;
      }
      while (!page.hasMore && !signal.aborted) {
        const wake = await watch.wait(shared.horizon, heartbeat, signal);
        if (wake === 'moved') break;
        if (wake === 'timeout') yield Buffer.from(bookmark(page.end));
        if (performance.now() > end) return;
      }
      if (signal.aborted || performance.now() > end) return;
      const horizon = Math.max(shared.horizon, watch.latest());
      shared = await pages.read({ position: page.end, horizon, limit: streamLimit, types, afterRead: readNumber });
    }
  }

  /** Ends a stream where the database fails: the client comes back and is told. */
  async function* untilFailure(chunks: AsyncGenerator<Buffer>): AsyncGenerator<Buffer> {
    try {
      yield* chunks;
    } catch {
      return;
    }
  }

  async function refuseDistributed(): Promise<void> {
    if (await store.isDistributed()) throw new Problem('changes-not-supported');
  }

  async function streamFor(reader: Reader, { cursor, types }: ChangeQuery): Promise<Readable> {
    await refuseDistributed();
    if (streams >= maxStreams) throw new Problem('too-many-streams');
    reader.isStream = true;
    streams += 1;
    const { signal } = reader.controller;
    const start = await startOf(cursor);
    const first = await firstPage(start, { cursor, types, limit: streamLimit, wait: 0 }, signal);
    const chunks = untilFailure(streamChunks(start.position, first, types, signal));
    return Readable.from(chunks, { objectMode: false, highWaterMark });
  }

  return {
    /** Says that this process has written: readers that wait are served sooner. */
    notifyWrite: watch.notifyWrite,

    /** Returns how many streams are open. */
    streams: () => streams,

    /**
     * Registers a request that reads, until it leaves.
     *
     * @param cut cuts its connection
     */
    enter(cut: () => void) {
      const reader: Reader = { controller: new AbortController(), cut, isStream: false };
      readers.add(reader);
      if (isStopped) reader.controller.abort();
      return {
        leave(): void {
          if (readers.delete(reader) && reader.isStream) streams -= 1;
          reader.controller.abort();
        },

        /**
         * Returns the changes after a cursor; where there are none it waits for one as long as the query says.
         *
         * @throws `cursor-expired`, `changes-not-supported`
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
         * @throws `cursor-expired`, `changes-not-supported`, `too-many-streams`
         */
        stream: (query: ChangeQuery): Promise<Readable> => streamFor(reader, query),
      };
    },

    /** Answers what waits with what there is, ends the streams, and cuts those whose clients do not read. */
    stop(): void {
      isStopped = true;
      for (const { controller } of readers) controller.abort();
      setTimeout(() => {
        for (const { isStream, cut } of readers) if (isStream) cut();
      }, grace).unref();
    },
  };
}

/** A block that moves the client's `Last-Event-ID` and is no event. */
function bookmark(position: Position): string {
  return `id: ${encodePosition(position)}\n\n`;
}
