import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import type { enumStore } from '../database/enums.js';
import { Problem } from '../errors.js';
import { enumNames } from '../model/enums.js';
import { json, problems } from '../plugins/openapi/responses.js';
import { requestProblems, serverProblems } from './answers.js';

const Name = Type.String({ description: `The property of a session: ${enumNames.join(', ')}.`, examples: ['mode'] });

/** Serves the enum tables. */
export async function enumRoutes(instance: FastifyInstance, { enums }: { enums: ReturnType<typeof enumStore> }) {
  const app = instance.withTypeProvider<TypeBoxTypeProvider>();
  app.get(
    '/enums',
    {
      schema: {
        operationId: 'enums_list',
        summary: 'List the enums',
        description: 'Returns every enum of a session with its values and labels.',
        tags: ['enums'],
        response: {
          200: json('The enums.', Type.Array(Type.Ref('Enum#'))),
          ...problems(...requestProblems, ...serverProblems),
        },
      },
    },
    () => Promise.all(enumNames.map((name) => enums.find(name))),
  );

  app.get(
    '/enums/:name',
    {
      schema: {
        operationId: 'enums_retrieve',
        summary: 'Retrieve an enum',
        description: 'Returns the enum of one property of a session.',
        tags: ['enums'],
        params: Type.Object({ name: Name }),
        response: {
          200: json('The enum.', Type.Ref('Enum#')),
          ...problems(...requestProblems, 'not-found', ...serverProblems),
        },
      },
    },
    async (request) => {
      const name = enumNames.find((known) => known === request.params.name);
      if (!name) throw new Problem('not-found', { detail: `The enums are ${enumNames.join(', ')}.` });
      return enums.find(name);
    },
  );
}
