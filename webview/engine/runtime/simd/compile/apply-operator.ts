/** Finds what computes an operator of the graph: while compiling where no token is needed, by steps of the plan else. */
import { arithmeticOperators } from './arithmetic-operators.ts';
import { attentionOperators } from './attention-operators.ts';
import { scoreOperators } from './attention-parts.ts';
import { cacheOperator } from './cache-operators.ts';
import type { Compilation } from './compilation.ts';
import { concatHidden } from './concat-rows.ts';
import { embeddingOperators } from './embedding-operators.ts';
import { arithmetic, type Evaluate } from './evaluate-arithmetic.ts';
import { gathering } from './evaluate-gather.ts';
import { layout } from './evaluate-layout.ts';
import type { GraphNode } from './graph-node.ts';
import type { Known, Stored } from './known.ts';
import { layoutOperators, type Operator } from './layout-operators.ts';
import { linearOperators } from './linear-operators.ts';
import { normOperators } from './norm-operators.ts';
import { unsupported } from './refusal.ts';
import { rotaryOperators, turnedHalves } from './rotary.ts';
import { type Tensor, tensorOf } from './tensor.ts';
import type { Cache, Value } from './value.ts';

const evaluators = new Map<string, Evaluate>(Object.entries({ ...arithmetic, ...layout, ...gathering }));

const concat: Operator = (node, compilation) => {
  const parts = node.inputs.filter((value) => value !== undefined);
  return turnedHalves(parts) ?? concatHidden(node, compilation);
};

const operators = new Map<string, Operator>(
  Object.entries({
    ...layoutOperators,
    ...arithmeticOperators,
    ...linearOperators,
    ...embeddingOperators,
    ...normOperators,
    ...rotaryOperators,
    ...attentionOperators,
    ...scoreOperators,
    Concat: concat,
  }),
);

/** A value for each output. @throws AppError naming the operator when it is not known, or not with such inputs. */
export function applyOperator(node: GraphNode, compilation: Compilation): readonly (Value | undefined)[] {
  const { operator, inputs } = node;
  if (operator === 'Constant') return [constantOf(node, compilation)];
  const isKnown = inputs.every((value) => value === undefined || value.kind === 'known');
  if (isKnown && !['Gather', 'DequantizeLinear'].includes(operator)) return knownOutputs(node, compilation);
  const cache = inputs.find((value) => value?.kind === 'cache') as Cache | undefined;
  const carried =
    cache && !Object.hasOwn(attentionOperators, operator) ? cacheOperator(node, cache, compilation) : undefined;
  const value = carried ?? operators.get(operator)?.(node, compilation);
  if (value) return Array.isArray(value) ? value : [value as Value];
  if (isKnown) return knownOutputs(node, compilation);
  throw unsupported(`${node.label} is not known${operators.has(operator) ? ' with such inputs' : ''}`);
}

/** Computed when a number is asked for. */
function knownOutputs(node: GraphNode, compilation: Compilation): Known[] {
  const inputs = node.inputs as readonly (Known | undefined)[];
  const isConstant = inputs.every((value) => value?.isConstant ?? true);
  const stored = isConstant ? storedAgain(node, inputs, compilation) : undefined;
  const evaluate = evaluators.get(node.operator);
  if (!evaluate) throw unsupported(`${node.label} is not known`);
  const key = `${node.operator}|${node.attributeKey}|${inputs.map((value) => value?.id ?? '')}`;
  return node.outputs.map((_, output) => {
    const compute = (size: Parameters<Known['at']>[0]): Tensor => {
      const result = evaluate(
        node,
        inputs.map((value) => value?.at(size)),
      )[output];
      if (!result) throw unsupported(`${node.label} has an output that is not known`);
      return result;
    };
    return compilation.known({ isConstant, compute, stored }, `${key}|${output}`);
  });
}

/** Constants that stay where they lie: casts between floats, transposed and reshaped matrices. */
function storedAgain(
  node: GraphNode,
  [first, shape]: readonly (Known | undefined)[],
  compilation: Compilation,
): Stored | undefined {
  const stored = first?.stored;
  if (!stored) return undefined;
  const { tensor, isTransposed, channels } = stored;
  switch (node.operator) {
    case 'Identity':
      return stored;
    case 'Cast':
      return tensor.type.includes('float') && [1, 10, 11, 16].includes(node.int('to', 1)) ? stored : undefined;
    case 'Transpose': {
      const isSwap = tensor.dims.length === 2 && (node.ints('perm') ?? [1, 0]).join() === '1,0';
      if (!isSwap) return undefined;
      return {
        tensor,
        isTransposed: !isTransposed,
        ...(channels && { channels: { ...channels, axis: 1 - channels.axis } }),
      };
    }
    case 'Reshape': {
      if (isTransposed || channels || !shape) return undefined;
      const count = tensor.dims.reduce((a, b) => a * b, 1);
      const dims = compilation.numbers(shape, node.label).map((dim, i) => (dim === 0 ? (tensor.dims[i] ?? 0) : dim));
      const open = dims.indexOf(-1);
      if (open >= 0) dims[open] = count / -dims.reduce((a, b) => a * b, 1);
      return dims.reduce((a, b) => a * b, 1) === count ? { tensor: { ...tensor, dims }, isTransposed } : undefined;
    }
    default:
      return undefined;
  }
}

function constantOf(node: GraphNode, compilation: Compilation): Known {
  const tensor = node.tensor('value');
  if (tensor) return compilation.constant(tensor, node.outputs[0] || node.label);
  const literal = (value: Tensor) => compilation.known({ isConstant: true, compute: () => value });
  const ints = node.ints('value_ints');
  if (node.attribute('value_int')) return literal(tensorOf('int', [], [node.int('value_int', 0)]));
  if (node.attribute('value_float')) return literal(tensorOf('float', [], [node.float('value_float', 0)]));
  if (ints) return literal(tensorOf('int', [ints.length], ints));
  const floats = node.attribute('value_floats')?.floats;
  if (floats) return literal(tensorOf('float', [floats.length], floats));
  throw node.refused('its value is not a tensor');
}
