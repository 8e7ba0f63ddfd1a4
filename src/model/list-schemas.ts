import { type TSchema, Type } from 'typebox';
import { type Filter, filterSchema } from './filters.js';
import type { ListDefinition } from './list.js';

/** The schemas of a list: its query parameters and its page, as the OpenAPI document publishes them. */

/** The ways to count the matching rows. */
export const counts = ['exact', 'estimated'] as const;
export const defaultLimit = 50;
export const maxLimit = 1000;

/** The parameters that readers look for most. They come first in the OpenAPI document, and the other filters follow. */
export const firstParameters: readonly string[] = [
  ...['customer', 'email', 'status', 'payment_status', 'session_id', 'type', 'outcome', 'created__gte'],
  ...['limit', 'cursor', 'ordering', 'count', 'include', 'metadata'],
];

/** The text about filters in the description of a list. */
export const filterRules =
  'Filters are combined with AND. `name=value` compares a property with one value, and `name__in=a,b` with several. Texts also have `__startswith`, `__iexact` and `__icontains`. Times and numbers have `__gt`, `__gte`, `__lt` and `__lte`. Properties that can be null have `__isnull`.';

/** Returns the parameters of a list, as the OpenAPI document publishes them. */
export function parametersOf(definition: ListDefinition, filters: ReadonlyMap<string, Filter>) {
  const { orderings, defaultOrdering, hasMetadata, includes } = definition;
  const parameters: Record<string, TSchema> = {
    limit: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: maxLimit,
        description: `The maximum number of rows on a page. The default is ${defaultLimit}.`,
      }),
    ),
    cursor: Type.Optional(
      Type.String({
        description:
          'The position at which the page begins, from the URL in `next` or `previous`. The value is opaque.',
      }),
    ),
    ordering: Type.Optional(
      Type.String({
        enum: orderings.flatMap((name) => [name, `-${name}`]),
        description: `The property that orders the list, with \`-\` before it for descending. The default is \`${defaultOrdering}\`. Ties are ordered by id. Nulls come last.`,
      }),
    ),
    count: Type.Optional(
      Type.String({
        enum: [...counts],
        description:
          'Fills `count` in the response. `exact` counts every matching row. `estimated` takes the estimate of the database planner, which is fast but imprecise.',
      }),
    ),
    ...(includes.length > 0 && { include: Type.Optional(includeSchema(includes)) }),
    ...Object.fromEntries([...filters].map(([name, filter]) => [name, Type.Optional(filterSchema(filter))])),
    ...(hasMetadata && {
      metadata: Type.Optional(
        Type.Unsafe<Record<string, string>>({
          type: 'object',
          additionalProperties: { type: 'string' },
          style: 'deepObject',
          explode: true,
          description:
            'Matches rows where the metadata has this value under this key: `metadata[key]=value`. A number or a boolean is compared by its JSON text.',
        }),
      ),
    }),
  };
  const names = [...new Set([...firstParameters, ...Object.keys(parameters)])];
  const inOrder = names.flatMap((name) => (parameters[name] ? [[name, parameters[name]] as const] : []));
  return Type.Object(Object.fromEntries(inOrder));
}

/** Returns the schema of `include`. */
export function includeSchema(includes: readonly string[]) {
  return Type.String({
    enum: [...includes],
    description:
      "Adds a property to each session. `payment` adds the session's `CheckoutSessionPayment`, or null if the service has no Stripe object for the session.",
  });
}

/** Returns the component of a page of a resource, in the envelope of Django REST Framework. */
export function pageOf(resource: TSchema, $id: string, description: string) {
  return Type.Object(
    {
      count: Type.Unsafe<number | null>({
        type: 'integer',
        nullable: true,
        description: 'The number of matching rows. Null unless the request has `count=exact` or `count=estimated`.',
      }),
      next: Type.Unsafe<string | null>({
        type: 'string',
        format: 'uri',
        nullable: true,
        description: 'The URL of the next page. Null on the last page.',
      }),
      previous: Type.Unsafe<string | null>({
        type: 'string',
        format: 'uri',
        nullable: true,
        description: 'The URL of the previous page. Null on the first page.',
      }),
      results: Type.Array(Type.Ref(`${(resource as { $id?: string }).$id}#`), {
        description: 'The rows of this page, in the requested order.',
      }),
    },
    { $id, description },
  );
}
