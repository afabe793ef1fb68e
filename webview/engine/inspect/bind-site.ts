/** Puts the tensors of a run in place of their names in a site, and lists those names. */
import { AppError } from '../../../src/shared/app-error.ts';
import type {
  AttentionSite,
  Axis,
  ConstantSide,
  HeadTensor,
  PastRule,
  ProjectionCodes,
  ProjectionStep,
  RotaryStep,
  ScoreProgram,
  ScoreStep,
  SideTensor,
} from '../graph/attention-site.ts';
import { type FetchedTensor, RoleSizes, TensorView } from './tensor-view.ts';

const nothing = new TensorView({ data: [], dims: [0], type: 'float32' }, [], new RoleSizes());

/** Outputs and feeds of the run, by name. */
export type Fetch = (name: string) => FetchedTensor | undefined;

export class Binder {
  readonly #site: string;
  readonly #fetch: Fetch;
  readonly #sizes: RoleSizes;
  readonly #views = new Map<string, TensorView>();
  #isLearning = true;

  constructor({ node }: AttentionSite, fetch: Fetch, sizes: RoleSizes) {
    this.#site = node;
    this.#fetch = fetch;
    this.#sizes = sizes;
  }

  /** What `bind` returns, once all tensors that it binds have told their sizes. */
  bound<T>(bind: () => T): T {
    this.#isLearning = true;
    bind();
    this.#sizes.close();
    this.#isLearning = false;
    return bind();
  }

  program({ query, key, steps, after, sink }: ScoreProgram): ScoreProgram<TensorView> {
    return {
      query: this.head(query),
      key: this.head(key),
      steps: steps.map((step) => this.#step(step)),
      after: after.map((step) => this.#step(step)),
      ...(sink && { sink: this.side(sink) }),
    };
  }

  head({ tensor, axes, zeroPoint, bias, rotary, projection }: HeadTensor): HeadTensor<TensorView> {
    return {
      tensor: this.#view(tensor, axes),
      axes,
      ...(zeroPoint && { zeroPoint: this.#table(zeroPoint) }),
      ...(bias && { bias: this.side(bias) }),
      ...(rotary && { rotary: this.#rotary(rotary) }),
      ...(projection && { projection: this.#projection(projection) }),
    };
  }

  #rotary({ cos, sin, positions, past, ...rest }: RotaryStep): RotaryStep<TensorView> {
    return {
      ...rest,
      cos: this.#table(cos),
      sin: this.#table(sin),
      past: this.#past(past),
      ...(positions && { positions: this.side(positions) }),
    };
  }

  #past({ lengths, ...rest }: PastRule): PastRule<TensorView> {
    return { ...rest, ...(lengths && { lengths: this.side(lengths) }) };
  }

  /** Weights have no axis that the scores have. */
  #projection({ weights, bias, codes, ...rest }: ProjectionStep): ProjectionStep<TensorView> {
    this.#sizes.learn(fixedHeads(rest.heads), [rest.heads]);
    return {
      ...rest,
      weights: this.#view(weights, []),
      ...(bias && { bias: this.#view(bias, []) }),
      ...(codes && { codes: this.#codes(codes) }),
    };
  }

  #codes({ inputScale, inputZero, weightScale, weightZero }: ProjectionCodes): ProjectionCodes<TensorView> {
    return {
      inputScale: this.#view(inputScale, []),
      weightScale: this.#view(weightScale, []),
      ...(inputZero && { inputZero: this.#view(inputZero, []) }),
      ...(weightZero && { weightZero: this.#view(weightZero, []) }),
    };
  }

  side({ tensor, axes }: SideTensor): SideTensor<TensorView> {
    if (typeof tensor === 'string') return { tensor: this.#view(tensor, axes), axes };
    if (tensor.data.length === 1) return { tensor, axes };
    return { tensor: this.#viewOf({ ...tensor, type: 'float64' }, axes), axes };
  }

  #step(step: ScoreStep): ScoreStep<TensorView> {
    switch (step.op) {
      case 'where':
        return { ...step, condition: this.side(step.condition), other: this.side(step.other) };
      case 'guard':
        return { ...step, other: this.side(step.other) };
      case 'mask':
        return { ...step, mask: this.side(step.mask) };
      case 'range':
        return { ...step, bounds: this.side(step.bounds) };
      case 'visible':
        return { ...step, past: this.#past(step.past) };
      default:
        return 'operand' in step ? { ...step, operand: this.side(step.operand) } : step;
    }
  }

  #table(tensor: string | ConstantSide): TensorView | ConstantSide {
    return typeof tensor === 'string' ? this.#view(tensor, []) : tensor;
  }

  #view(name: string, axes: readonly Axis[]): TensorView {
    const key = `${name}/${JSON.stringify(axes)}`;
    const view = this.#views.get(key) ?? this.#viewOf(this.fetched(name), axes);
    if (!this.#isLearning) this.#views.set(key, view);
    return view;
  }

  /** While sizes are learned, of no use but to have told them. */
  #viewOf(tensor: FetchedTensor, axes: readonly Axis[]): TensorView {
    if (!this.#isLearning) return new TensorView(tensor, axes, this.#sizes);
    this.#sizes.learn(axes, tensor.dims);
    return nothing;
  }

  fetched(name: string): FetchedTensor {
    const tensor = this.#fetch(name);
    if (tensor) return tensor;
    throw new AppError(
      'engine-failed',
      `The run did not return ${name}, which the attention of ${this.#site} follows from. Inspect the text again.`,
    );
  }
}

function fixedHeads(size: number): Axis[] {
  return [{ parts: [{ role: 'head', size }] }];
}

interface NeededParts {
  readonly values?: boolean;
  readonly output?: boolean;
}

/** Names of what `readAttention` asks for; feeds of the run among them. */
export function neededTensors(site: AttentionSite, { values = false, output = false }: NeededParts = {}): string[] {
  const names = new Set<string>();
  const collect = (part: unknown): void => {
    if (typeof part !== 'object' || part === null) return;
    if (Array.isArray(part)) {
      for (const each of part) collect(each);
      return;
    }
    for (const [key, value] of Object.entries(part))
      if (typeof value === 'string' && tensorKeys.has(key)) names.add(value);
      else if (key !== 'axes' && key !== 'data') collect(value);
  };
  collect(site.program ?? site.probabilities);
  if (values) collect(site.value);
  if (output) collect(site.output);
  return [...names];
}

const tensorKeys = new Set([
  'tensor',
  'zeroPoint',
  'cos',
  'sin',
  'weights',
  'bias',
  'inputScale',
  'inputZero',
  'weightScale',
  'weightZero',
]);
