/** What a run of the benchmark found: one line of JSON, or a table with the bars of issue 4. Pure. */

/**
 * @typedef {'simd' | 'ort' | 'transformersjs' | 'wllama'} SideName
 * @typedef {object} Samples
 * @property {Record<string, Record<string, number[]>>} speeds  Figure -> side -> tokens/s.
 * @property {Record<string, number[]>} ratios
 * @property {Record<string, number | null>} facts  Bytes and milliseconds, as named.
 */

export const lengths = /** @type {const} */ ([64, 256, 1024]);
/** @type {readonly SideName[]} */
export const allSides = ['simd', 'ort', 'transformersjs', 'wllama'];
/** @type {readonly SideName[]} */
export const usualSides = ['simd', 'transformersjs', 'wllama'];

const figures = {
  decode64: 'decode at 64 tokens of context',
  decode1024: 'decode at 1,024 tokens of context',
  prefill256: 'prefill of 256 tokens',
  prefill1024: 'prefill of 1,024 tokens',
};
const ratioNames = /** @type {const} */ (['batch4', 'prefix1000plus4', 'sampler', 'memory']);

/** @param {readonly number[] | undefined} values */
export function median(values) {
  const sorted = [...(values ?? [])].sort((a, b) => a - b);
  const [low, high] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]];
  return low === undefined || high === undefined ? null : (low + high) / 2;
}

/**
 * Speeds in tokens/s, then the ratios of the table; null where there is no figure.
 *
 * @param {Samples} samples
 */
export function toJson({ speeds, ratios }) {
  const columns = ['simd', 'transformersjs', 'wllama', 'bound', ...(speeds.decode64?.ort ? ['ort'] : [])];
  return {
    ...Object.fromEntries(
      Object.keys(figures).map((figure) => [
        figure,
        Object.fromEntries(columns.map((side) => [side, rounded(median(speeds[figure]?.[side]))])),
      ]),
    ),
    ...Object.fromEntries(ratioNames.map((name) => [name, rounded(median(ratios[name]))])),
  };
}

/**
 * @param {Samples} samples
 * @returns {{what: string, value: number | null, bar: string, isMet: boolean | null}[]}
 */
export function judge({ speeds, ratios }) {
  const ours = speeds.decode64?.simd ? 'simd' : 'ort';
  /** @param {string} figure @param {string} [side] */
  const speed = (figure, side = ours) => median(speeds[figure]?.[side]);
  /** @param {number | null} a @param {number | null} b */
  const over = (a, b) => (a === null || b === null ? null : a / b);
  const [decode, prefill] = [speed('decode64'), speed('prefill256')];
  const slower = over(prefill, speed('prefill1024'));
  return [
    atLeast('decode at 64, times wllama', over(decode, speed('decode64', 'wllama')), 5),
    atLeast('decode at 64, times transformers.js', over(decode, speed('decode64', 'transformersjs')), 18),
    atLeast('decode at 64, share of the read bandwidth', over(decode, speed('decode64', 'bound')), 0.6),
    atLeast('decode at 1,024, share of the speed at 64', over(speed('decode1024'), decode), 0.6),
    atLeast('prefill of 256, times wllama', over(prefill, speed('prefill256', 'wllama')), 8),
    atLeast('prefill of 256, times transformers.js', over(prefill, speed('prefill256', 'transformersjs')), 3),
    atMost('prefill of 1,024, times the time of 256', slower === null ? null : 4 * slower, 7),
    atMost('4 sequences together, times one', median(ratios.batch4), 1.7),
    atMost('cached 1,000 and 4 new tokens, times a step', median(ratios.prefix1000plus4), 2.5),
    atMost('sampler and bookkeeping, share of a step', median(ratios.sampler), 0.08),
    atMost('memory, times weights and cache', median(ratios.memory), 1.25),
  ];
}

/**
 * @param {Samples} samples
 * @param {readonly string[]} notes
 * @returns {string}
 */
export function toTable(samples, notes) {
  const { speeds, ratios, facts } = samples;
  const columns = [...allSides, 'bound'].filter((side) => speeds.decode64?.[side]);
  const rows = [
    ['tokens/s, median (least to most)', ...columns],
    ...Object.entries(figures).map(([figure, name]) => [
      name,
      ...columns.map((side) => spread(speeds[figure]?.[side], 1)),
    ]),
    [],
    ['ratios, median (least to most)'],
    ...Object.entries(ratios).map(([name, values]) => [name, spread(values, 3)]),
    [],
    ...judge(samples).map(({ what, value, bar, isMet }) => [
      `${isMet === null ? 'unknown' : isMet ? 'met    ' : 'MISSED '}  ${what}`,
      value === null ? '-' : value.toFixed(value < 1.3 ? 3 : 2),
      bar,
    ]),
    [],
    ...factRows(facts),
  ];
  const width = (/** @type {number} */ i) => Math.max(...rows.map((row) => row[i]?.length ?? 0));
  const lines = rows.map((row) =>
    row
      .map((cell, i) => cell.padEnd(width(i)))
      .join('  ')
      .trimEnd(),
  );
  return [...lines, ...notes].join('\n');
}

/** @param {Samples['facts']} facts */
function factRows(facts) {
  const megabytes = (/** @type {number | null | undefined} */ bytes) =>
    bytes ? `${(bytes / 1e6).toFixed(1)} MB` : '-';
  if (facts.weightsBytes === undefined) return [];
  return [
    ['weights in their file', megabytes(facts.weightsBytes)],
    ['weights read for a token', `${megabytes(facts.readBytes)}${facts.isReadAssumed ? ' (assumed: the file)' : ''}`],
    ['cache of 1,024 tokens', megabytes(facts.cacheBytes)],
    ['WebAssembly memory with both', megabytes(facts.wasmBytes)],
    ['array buffers of page and worker', megabytes(facts.bufferBytes)],
    ['JavaScript objects beside them', megabytes(facts.objectBytes)],
    ['load, until ready', `${Math.round(facts.loadMs ?? 0)} ms`],
  ];
}

/** @param {string} what @param {number | null} value @param {number} least */
function atLeast(what, value, least) {
  return { what, value, bar: `at least ${least}`, isMet: value === null ? null : value >= least };
}

/** @param {string} what @param {number | null} value @param {number} most */
function atMost(what, value, most) {
  return { what, value, bar: `at most ${most}`, isMet: value === null ? null : value <= most };
}

/** @param {readonly number[] | undefined} values @param {number} digits */
function spread(values, digits) {
  const middle = median(values);
  if (middle === null || !values) return '-';
  const [least, most] = [Math.min(...values), Math.max(...values)].map((value) => value.toFixed(digits));
  return `${middle.toFixed(digits)} (${least} to ${most})`;
}

/** Four digits are more than any of this is good for. @param {number | null} value */
function rounded(value) {
  return value === null ? null : Number(value.toPrecision(4));
}
