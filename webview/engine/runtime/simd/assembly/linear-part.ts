/** The rows of a matrix that one of several threads multiplies. */
import { Matrix } from './linear-matrix';
import { endOf, firstOf, ownOffset } from './threads';

const descriptor = changetype<Matrix>(memory.data(48, 16) + ownOffset);

/** The first row, a multiple of 8, that is this thread's. */
@inline
export function firstRowOf(m: Matrix): i32 {
  return firstOf(m.rows8 >> 3) << 3;
}

/** The descriptor of this thread's rows, valid until the next call; or 0 where it has none. */
export function rowsOfThread(m: Matrix, isFloat: bool): usize {
  const first = firstOf(m.rows8 >> 3);
  const count = endOf(m.rows8 >> 3) - first;
  if (count == 0) return 0;
  const blocks = isFloat ? m.columns : m.columns32 >> 5;
  memory.copy(changetype<usize>(descriptor), changetype<usize>(m), 48);
  descriptor.data = m.data + <usize>first * <usize>blocks * <usize>m.recordBytes;
  descriptor.rows8 = count << 3;
  descriptor.rows = min(count << 3, m.rows - (first << 3));
  return changetype<usize>(descriptor);
}
