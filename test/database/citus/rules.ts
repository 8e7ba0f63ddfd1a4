import { type Catalogue, volatilityIn } from './catalogue.js';
import { type Node, nodesIn, type Value } from './query-tree.js';

/**
 * Rules for statements that PostgreSQL accepts and Citus refuses or runs on every shard. They follow Citus 13.2's
 * planner (multi_router_planner.c, query_pushdown_planning.c).
 */

const commands = { select: '1', update: '2', insert: '3', delete: '4' };
/** The kinds of FROM entries. */
const kinds = { relation: '0', function: '3', cte: '6', result: '8' };

const isQuery = ({ tag }: Node) => tag === 'QUERY';
const field = (node: Node, name: string) => node.fields.get(name);
const fieldsOf = ({ fields }: Node) => [...fields.values()];
const queriesIn = (value: Value | undefined) => nodesIn(value).filter(isQuery);
/** Returns whether a node is a column of an outer query. */
const refersOut = (node: Node) => node.tag === 'VAR' && field(node, 'varlevelsup') !== '0';
const hasColumn = (node: Node) => nodesIn(fieldsOf(node)).some(({ tag }) => tag === 'VAR');

/** The text of a fault, and a function that returns whether a query has it. */
type Rule = readonly [fault: string, holds: (query: Node, catalogue: Catalogue) => boolean];

/** Returns the expressions of an UPDATE or DELETE. Other queries have none. */
function changedIn(query: Node): Node[] {
  const isChange = [commands.update, commands.delete].includes(String(field(query, 'commandType')));
  return isChange ? nodesIn([field(query, 'targetList') ?? '', field(query, 'jointree') ?? '']) : [];
}

const isMutable = (catalogue: Catalogue) => (node: Node) => volatilityIn(catalogue, node) !== 'i';

const changeRules: readonly Rule[] = [
  [
    'a VOLATILE function in an UPDATE or DELETE',
    (query, catalogue) => changedIn(query).some((node) => volatilityIn(catalogue, node) === 'v'),
  ],
  [
    'a STABLE function over columns in an UPDATE or DELETE',
    (query, catalogue) => changedIn(query).some((node) => volatilityIn(catalogue, node) === 's' && hasColumn(node)),
  ],
  [
    'a function that is not IMMUTABLE in CASE or COALESCE of an UPDATE or DELETE',
    (query, catalogue) =>
      changedIn(query).some(
        (node) => /^(CASE|COALESCE)(EXPR)?$/.test(node.tag) && nodesIn(fieldsOf(node)).some(isMutable(catalogue)),
      ),
  ],
  [
    'a function that is not IMMUTABLE in RETURNING',
    (query, catalogue) => nodesIn(field(query, 'returningList')).some(isMutable(catalogue)),
  ],
  [
    'a function that is not IMMUTABLE in ON CONFLICT',
    (query, catalogue) => nodesIn(field(query, 'onConflict')).some(isMutable(catalogue)),
  ],
];

/** Returns the FROM entries of a query, with the distributed tables and the inputs among them. */
function fromOf(query: Node, { distributed }: Catalogue) {
  const entries = nodesIn(field(query, 'rtable'), (node) => !isQuery(node)).filter(
    (node) => node.tag === 'RANGETBLENTRY' && field(node, 'rtekind') !== kinds.result,
  );
  const isKind = (entry: Node, ...some: string[]) => some.includes(String(field(entry, 'rtekind')));
  return {
    entries,
    tables: entries.filter((one) => isKind(one, kinds.relation) && distributed.has(String(field(one, 'relid')))),
    inputs: entries.filter((one) => isKind(one, kinds.function, kinds.cte)),
  };
}

const readsTable = (node: Node, catalogue: Catalogue) =>
  queriesIn(node).some((query) => fromOf(query, catalogue).tables.length > 0);

const lateralsIn = (query: Node, catalogue: Catalogue) =>
  fromOf(query, catalogue).entries.filter((entry) => field(entry, 'lateral') === 'true');

function isUngroupedAggregate(subquery: Node): boolean {
  const isGrouped = field(subquery, 'groupClause') !== '<>';
  return field(subquery, 'hasAggs') === 'true' && !isGrouped && nodesIn(subquery).some(refersOut);
}

const subqueryRules: readonly Rule[] = [
  [
    'a correlated subquery where FROM has no table',
    (query, catalogue) => {
      const { entries, tables } = fromOf(query, catalogue);
      const links = nodesIn(fieldsOf(query), (node) => !isQuery(node)).filter(({ tag }) => tag === 'SUBLINK');
      const isCorrelated = (link: Node) => nodesIn(field(link, 'subselect')).some(refersOut);
      const isRecurring = entries.length > 0 && tables.length === 0;
      return isRecurring && links.some((link) => isCorrelated(link) && readsTable(link, catalogue));
    },
  ],
  [
    'a LATERAL over a table',
    (query, catalogue) => lateralsIn(query, catalogue).some((entry) => readsTable(entry, catalogue)),
  ],
  [
    'an aggregate without GROUP BY in a LATERAL',
    (query, catalogue) => lateralsIn(query, catalogue).some((entry) => queriesIn(entry).some(isUngroupedAggregate)),
  ],
];

/** Rules for subqueries. */
const innerRules: readonly Rule[] = [
  [
    'a subquery without FROM that has a function that is not IMMUTABLE',
    (query, catalogue) =>
      field(query, 'commandType') === commands.select &&
      fromOf(query, catalogue).entries.length === 0 &&
      nodesIn(field(query, 'targetList')).some(isMutable(catalogue)),
  ],
];

/** Returns whether a condition of a query compares with an array of parameters. */
const hasIds = (query: Node) =>
  nodesIn(field(query, 'jointree')).some(
    (node) => node.tag === 'SCALARARRAYOPEXPR' && nodesIn(field(node, 'args')).some(({ tag }) => tag === 'PARAM'),
  );

const shardRules: readonly Rule[] = [
  [
    'a join that visits all shards',
    (query, catalogue) => {
      const { tables, inputs } = fromOf(query, catalogue);
      return tables.length > 0 && inputs.length > 0 && !hasIds(query);
    },
  ],
  [
    'a correlated subquery that visits all shards',
    (query, catalogue) => {
      const isCorrelated = nodesIn(fieldsOf(query), (node) => !isQuery(node)).some(refersOut);
      return isCorrelated && fromOf(query, catalogue).tables.length > 0 && !hasIds(query);
    },
  ],
];

/**
 * Returns the faults of a statement, one for each rule it breaks.
 *
 * @param namesShards whether the statement must name its shards, as statements of API requests must
 */
export function faultsOf(tree: Value, catalogue: Catalogue, namesShards: boolean): string[] {
  const outermost = new Set(nodesIn(tree, (node) => !isQuery(node)).filter(isQuery));
  return queriesIn(tree).flatMap((query) => {
    const rules = [
      ...changeRules,
      ...subqueryRules,
      ...(outermost.has(query) ? [] : innerRules),
      ...(namesShards ? shardRules : []),
    ];
    return rules.filter(([, holds]) => holds(query, catalogue)).map(([fault]) => fault);
  });
}
