/** Products of two tensors, in all the forms that graphs have: which axes of the operands meet, and which are left. */
import { Atom, type AtomAxes } from './axis-atoms.ts';
import { einsumTerms } from './facts-products.ts';
import type { GraphReading } from './graph-reading.ts';
import { smallConstant } from './small-constants.ts';
import { symbol } from './symbolic-size.ts';
import { floatOf, intOf, stringOf, type WiredNode, type WiredTensor } from './wired-graph.ts';

export interface Operand {
  readonly tensor: WiredTensor;
  readonly zeroPoint?: WiredTensor;
  readonly axes: AtomAxes;
}

export interface ProductForm {
  readonly left: number;
  readonly right: number;
  readonly leftZero?: number;
  readonly rightZero?: number;
}

const forms: Record<string, ProductForm> = {
  MatMul: { left: 0, right: 1 },
  Gemm: { left: 0, right: 1 },
  Einsum: { left: 0, right: 1 },
  MatMulInteger: { left: 0, right: 1, leftZero: 2, rightZero: 3 },
  QLinearMatMul: { left: 0, right: 3, leftZero: 2, rightZero: 5 },
  'com.microsoft.FusedMatMul': { left: 0, right: 1 },
  'com.microsoft.TransposeMatMul': { left: 0, right: 1 },
};

/** Undefined for what is no product of two tensors, or has more to it than the forms here. */
export function productForm(node: WiredNode): ProductForm | undefined {
  const form = Object.hasOwn(forms, node.operator) ? forms[node.operator] : undefined;
  if (!form || intOf(node, 'transBatchA', 0) || intOf(node, 'transBatchB', 0)) return undefined;
  if (node.operator === 'Gemm' && node.inputs[2]) return undefined;
  if (node.operator === 'Einsum' && (node.inputs.length !== 2 || !einsumTerms(stringOf(node, 'equation'))))
    return undefined;
  return form;
}

/** What the sum of products is multiplied by. */
export function productFactor(node: WiredNode): number {
  return node.operator === 'Gemm' || node.operator.endsWith('FusedMatMul') ? floatOf(node, 'alpha', 1) : 1;
}

interface Letters {
  readonly left: readonly string[];
  readonly right: readonly string[];
  readonly output: readonly string[];
}

/** Every product as an Einsum: leading axes are letters a, b, c ... from the right. */
function lettersOf(node: WiredNode, form: ProductForm, reading: GraphReading): Letters | undefined {
  if (node.operator === 'Einsum') {
    const terms = einsumTerms(stringOf(node, 'equation'))!;
    return { left: [...terms.inputs[0]!], right: [...terms.inputs[1]!], output: [...terms.output] };
  }
  const a = reading.facts(node.inputs[form.left]).shape?.length;
  const b = reading.facts(node.inputs[form.right]).shape?.length;
  if (a === undefined || b === undefined || a < 2 || b < 2) return undefined;
  const leading = (rank: number) => Array.from({ length: rank - 2 }, (_, i) => `lead${rank - 3 - i}`);
  const pair = (name: string, plain: [string, string]) => (intOf(node, name, 0) ? [plain[1], plain[0]] : plain);
  return {
    left: [...leading(a), ...pair('transA', ['m', 'c'])],
    right: [...leading(b), ...pair('transB', ['c', 'n'])],
    output: [...leading(Math.max(a, b)), 'm', 'n'],
  };
}

export interface Contraction {
  readonly left: Operand;
  readonly right: Operand;
}

/** The operands of a product whose result has `axes`; what they are summed over is their `dim`. */
export function operandsOf(node: WiredNode, axes: AtomAxes, reading: GraphReading): Contraction | undefined {
  const form = productForm(node);
  const letters = form && lettersOf(node, form, reading);
  if (!letters || letters.output.length !== axes.length) return undefined;
  const known = new Map(letters.output.map((letter, i) => [letter, axes[i]!]));
  const summed = letters.left.filter((letter) => !known.has(letter));
  if (summed.length !== 1 || !letters.right.includes(summed[0]!)) return undefined;
  const shape = reading.facts(node.inputs[form.left]).shape;
  const inner = new Atom(shape?.[letters.left.indexOf(summed[0]!)] ?? symbol('dim'), 'dim');
  const axesOf = (term: readonly string[]) => term.map((letter) => known.get(letter) ?? [inner]);
  const left = operand({ node, position: form.left, zero: form.leftZero }, axesOf(letters.left), reading);
  const right = operand({ node, position: form.right, zero: form.rightZero }, axesOf(letters.right), reading);
  return left && right && { left, right };
}

export interface Application {
  readonly query: readonly Atom[];
  readonly key: readonly Atom[];
  /** The axis that only the values have. */
  readonly dim: Atom;
  readonly value: Operand;
  readonly output: AtomAxes;
}

/** A product of weights, its operand `position`, with values: the key axis is the one that it sums over. */
export function applicationOf(
  node: WiredNode,
  position: number,
  axes: AtomAxes,
  reading: GraphReading,
): Application | undefined {
  const form = productForm(node);
  const letters = form && lettersOf(node, form, reading);
  if (!letters || (position !== form.left && position !== form.right)) return undefined;
  const isLeft = position === form.left;
  const [own, others] = isLeft ? [letters.left, letters.right] : [letters.right, letters.left];
  const key = own.filter((letter) => !letters.output.includes(letter));
  const added = letters.output.filter((letter) => !own.includes(letter));
  const dims = added.filter((letter) => !letter.startsWith('lead'));
  const query = own.filter(
    (letter) => letters.output.includes(letter) && !others.includes(letter) && !letter.startsWith('lead'),
  );
  if (own.length !== axes.length || key.length !== 1 || dims.length !== 1 || query.length !== 1) return undefined;
  const output = reading.facts(node.outputs[0]).shape;
  const dim = new Atom(output?.[letters.output.indexOf(dims[0]!)] ?? symbol('dim'), 'dim');
  const known = new Map(own.map((letter, i) => [letter, axes[i]!]));
  const axisOf = (letter: string): readonly Atom[] => known.get(letter) ?? (letter === dims[0] ? [dim] : []);
  const place = isLeft
    ? { node, position: form.right, zero: form.rightZero }
    : { node, position: form.left, zero: form.leftZero };
  const value = operand(place, others.map(axisOf), reading);
  return value && { query: axisOf(query[0]!), key: axisOf(key[0]!), dim, value, output: letters.output.map(axisOf) };
}

interface OperandPlace {
  readonly node: WiredNode;
  readonly position: number;
  readonly zero: number | undefined;
}

/** Where the operand has size 1, it broadcasts: there it has none of what the result has. */
function operand({ node, position, zero }: OperandPlace, axes: AtomAxes, reading: GraphReading): Operand | undefined {
  const tensor = node.inputs[position];
  const zeroPoint = zero === undefined ? undefined : node.inputs[zero];
  const isZero = smallConstant(zeroPoint, 1)?.data[0] === 0;
  const shape = reading.facts(tensor).shape;
  const own = axes.map((axis, i) => (shape?.[i] === 1 ? [] : axis));
  return tensor && { tensor, axes: own, ...(zeroPoint && !isZero && { zeroPoint }) };
}
