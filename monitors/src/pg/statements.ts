/**
 * The statements around the administrator's query, so that PostgreSQL finds the difference and only
 * that is sent. A row's hash covers everything but the config: `ts` is what says that a config
 * changed, as in uWSGI. Rows are spread over buckets by their names; a bucket's sum is the sum of its
 * rows' hashes. Pure: it writes SQL and runs none.
 */

/** What the server says of one column. */
export interface Column {
  /** Number of its type in the catalogue. */
  readonly type: number;
}

export interface Statements {
  readonly columns: number;
  /** -> count, NULL names, sum of all hashes. */
  readonly total: string;
  /** -> bucket, count, sum. */
  readonly buckets: string;
  /** Parameters: buckets, known hashes, most rows. -> the fields of `RowFields`. */
  readonly rowsOfBuckets: string;
  /** Parameters: names, known hashes, most rows. */
  readonly rowsOfNames: string;
  /** Parameters that come before those of each statement: the node's name, if the query asks for it. */
  readonly leading: readonly string[];
  /** What an operator should know about the columns. */
  readonly remark: string | undefined;
}

/** Row of `rowsOf...`: all text, NULL where there is none. */
export type RowFields = readonly [
  bucket: string,
  hash: string,
  name: string,
  ts: string | null,
  uid: string | null,
  gid: string | null,
  socket: string | null,
  /** Length in bytes; NULL: the config is NULL. */
  length: string | null,
  /** NULL as well when it is too long, or known. */
  config: string | Buffer | null,
];

export const BUCKETS = 256;

const BYTEA = 17;
/** date, timestamp, timestamptz */
const INSTANTS = new Set([1082, 1114, 1184]);
/** int8, int2, int4, oid, float4, float8, numeric */
const NUMBERS = new Set([20, 21, 23, 26, 700, 701, 1700]);

/**
 * The query with `${node}`, quoted or not, as the parameter that it is. `$1` is left as it stands.
 */
export function withNode(query: string): string {
  return query.replace(/'\$\{node\}'|\$\{node\}/g, "$1::text");
}

/** Whether `$1` stands in the query, outside of texts and comments. */
export function asksForNode(query: string): boolean {
  const code = query.replace(
    /'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|\/\*[^]*?\*\/|\$([A-Za-z_]*)\$[^]*?\$\1\$/g,
    " ",
  );
  return /\$1(?!\d)/.test(code);
}

/** A statement that gives the columns of `query` and no rows. */
export function describing(query: string): string {
  return `SELECT * FROM (${query}\n) AS vassals LIMIT 0`;
}

/** Fewer than three columns are the caller's to refuse; more than six are not looked at, as in uWSGI. */
export function statementsFor(
  query: string,
  described: readonly Column[],
  node: string,
  maxConfigBytes: number,
): Statements {
  const columns = Math.min(6, described.length);
  const leading = asksForNode(query) ? [node] : [];
  const parameter = (number: number): string => `$${leading.length + number}`;
  const aliases = Array.from({ length: columns }, (_, index) => `c${index + 1}`).join(",");
  const source = `(${query}\n) AS vassals(${aliases})`;
  const tsType = described[2]?.type ?? 0;
  // Not the text of an instant: that depends on settings of the session.
  const ts = INSTANTS.has(tsType) ? "extract(epoch from c3)::text" : "c3::text";
  const text = (column: number): string => (column <= columns ? `c${column}::text` : "NULL::text");
  const isBytes = described[1]?.type === BYTEA;
  const config = isBytes ? "c2" : "c2::text";
  const facts = ["c1::text", ts, text(4), text(5), text(6)];
  const hash = `hashtextextended(${facts.map((fact) => `coalesce(${fact},'')`).join("||chr(31)||")},0)`;
  const hashed =
    `(SELECT (hashtextextended(c1::text,0)&${BUCKETS - 1})::int AS bucket,${hash} AS hash,` +
    `c1::text AS name,${ts} AS ts,${text(4)} AS uid,${text(5)} AS gid,${text(6)} AS socket,` +
    `${config} AS config FROM ${source} WHERE c1 IS NOT NULL) AS hashed`;
  const rows =
    `SELECT bucket,hash::text,name,ts,uid,gid,socket,octet_length(config)::text,` +
    `CASE WHEN octet_length(config)<=${maxConfigBytes} AND NOT hash=ANY(${parameter(2)}::bigint[]) THEN config END FROM ${hashed}`;
  return {
    columns,
    total: `SELECT count(c1)::text,(count(*)-count(c1))::text,coalesce(sum(${hash}) FILTER (WHERE c1 IS NOT NULL),0)::text FROM ${source}`,
    buckets: `SELECT bucket,count(*)::text,sum(hash)::text FROM ${hashed} GROUP BY bucket`,
    rowsOfBuckets: `${rows} WHERE bucket=ANY(${parameter(1)}::int[]) LIMIT ${parameter(3)}::int`,
    rowsOfNames: `${rows} WHERE name=ANY(${parameter(1)}::text[]) LIMIT ${parameter(3)}::int`,
    leading,
    remark:
      INSTANTS.has(tsType) || NUMBERS.has(tsType)
        ? undefined
        : "the third column of its query (ts) is neither a number nor a time: any other text counts as a change",
  };
}
