/** Straightforward Prisma handlers on the contenders' table, with the generated client of the service. */
import { PrismaPg } from '@prisma/adapter-pg';
import Fastify from 'fastify';
import {
  columns,
  createBody,
  emptyValue,
  listQuery,
  patchBody,
  replaceBody,
  responses,
  writableColumns,
} from './schema.mjs';
import { nextUrl, readCursor, serve } from './serve.mjs';

const { Prisma, PrismaClient } = await import(
  new URL('../../../../dist/database/generated/client.js', import.meta.url).href
);
const pool = { connectionString: process.env.DATABASE_URL, max: 10 };
const prisma = new PrismaClient({ adapter: new PrismaPg(pool, { schema: 'contender' }) });
const { checkout_session: sessions } = prisma;

const app = Fastify();
const { session, page } = responses({ format: 'date-time' });
const select = Object.fromEntries(columns.map((column) => [column, true]));
const notFound = { error: 'not found' };

app.get('/api/checkout-sessions/:id', { schema: { response: { 200: session } } }, async ({ params }, reply) => {
  const found = await sessions.findUnique({ where: { id: params.id }, select });
  return found ?? reply.code(404).send(notFound);
});

app.get('/api/checkout-sessions', { schema: { querystring: listQuery, response: { 200: page } } }, async (request) => {
  const { limit, cursor, customer, created__lt } = request.query;
  const found = await sessions.findMany({
    select,
    where: { customer, ...(created__lt && { created: { lt: new Date(created__lt) } }) },
    orderBy: [{ created: 'desc' }, { id: 'desc' }],
    ...(cursor !== undefined && { cursor: { id: readCursor(cursor).id }, skip: 1 }),
    take: limit + 1,
  });
  const more = found.length > limit;
  if (more) found.pop();
  return { count: null, next: more ? nextUrl(request, { id: found.at(-1).id }) : null, previous: null, results: found };
});

/** @param {Record<string, unknown>} body @param {readonly string[]} [names] */
function dataOf(body, names = writableColumns) {
  const entries = names.map((name) => [name, storedValue(name, body[name])]);
  return Object.fromEntries(entries);
}

/** @param {string} name @param {unknown} value */
function storedValue(name, value) {
  if (name === 'metadata' || name === 'display_items') return value ?? Prisma.DbNull;
  return value ?? emptyValue(name);
}

app.post(
  '/api/checkout-sessions',
  { schema: { body: createBody, response: { 201: session } } },
  async ({ body }, reply) => {
    try {
      return reply.code(201).send(await sessions.create({ data: dataOf(body), select }));
    } catch (error) {
      if (error.code === 'P2002') return reply.code(409).send({ error: 'exists' });
      throw error;
    }
  },
);

app.put(
  '/api/checkout-sessions/:id',
  { schema: { body: replaceBody, response: { 200: session } } },
  ({ params: { id }, body }) => {
    const data = dataOf({ ...body, id });
    return sessions.upsert({ where: { id }, create: data, update: { ...data, djstripe_updated: new Date() }, select });
  },
);

app.patch(
  '/api/checkout-sessions/:id',
  { schema: { body: patchBody, response: { 200: session } } },
  async ({ params: { id }, body }, reply) => {
    const data = dataOf(
      body,
      writableColumns.filter((column) => column !== 'id' && column in body),
    );
    if (body.metadata) {
      const found = await sessions.findUnique({ where: { id }, select: { metadata: true } });
      if (!found) return reply.code(404).send(notFound);
      data.metadata = { ...found.metadata, ...body.metadata };
    }
    return sessions.update({ where: { id }, data: { ...data, djstripe_updated: new Date() }, select });
  },
);

await serve(app, () => prisma.$disconnect());
