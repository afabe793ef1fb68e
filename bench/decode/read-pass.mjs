/**
 * A WebAssembly module, written by hand: `read(end)` loads memory from 0 to `end`, a multiple of 128, in vectors of 16
 * bytes, eight of them per turn, and returns the exclusive or of all, folded to 32 bits, so that no load can be left out.
 */
const vectors = 8;

/** @param {number} value  Unsigned LEB128. @returns {number[]} */
function leb(value) {
  return value < 128 ? [value] : [(value % 128) + 128, ...leb(Math.floor(value / 128))];
}
/** @param {number[]} bytes */
const sized = (bytes) => [...leb(bytes.length), ...bytes];
/** @param {number} id @param {number[]} bytes */
const section = (id, bytes) => [id, ...sized(bytes)];
/** @param {string} text */
const name = (text) => sized([...new TextEncoder().encode(text)]);

const [i32, v128] = [0x7f, 0x7b];
/** Locals: 0 end, 1 address, then one sum per vector. */
const [end, address, firstSum] = [0, 1, 2];
/** @param {number} index */
const get = (index) => [0x20, index];
/** @param {number} index */
const set = (index) => [0x21, index];
const xor = [0xfd, 0x51];
const sums = Array.from({ length: vectors }, (_, i) => firstSum + i);

const body = [
  ...[2, 1, i32, vectors, v128], // locals
  ...[0x03, 0x40], // loop
  ...sums.flatMap((sum, i) => [
    ...[...get(address), 0xfd, 0x00, 4, ...leb(16 * i)], // v128.load, aligned to 2 ** 4, offset
    ...[...get(sum), ...xor, ...set(sum)],
  ]),
  ...[...get(address), 0x41, ...[0x80, 0x01], 0x6a, 0x22, address], // address += 128 (signed LEB128)
  ...[...get(end), 0x49, 0x0d, 0, 0x0b], // i32.lt_u, br_if, end of the loop
  ...[...get(firstSum), ...sums.slice(1).flatMap((sum) => [...get(sum), ...xor]), ...set(firstSum)],
  ...[0, 1, 2, 3].flatMap((lane) => [...get(firstSum), 0xfd, 0x1b, lane, ...(lane > 0 ? [0x73] : [])]), // extract, i32.xor
  0x0b,
];

export const readPass = Uint8Array.from([
  ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
  ...section(1, [1, 0x60, 1, i32, 1, i32]),
  ...section(3, [1, 0]),
  ...section(5, [1, 0, 1]),
  ...section(7, [2, ...name('memory'), 2, 0, ...name('read'), 0, 0]),
  ...section(10, [1, ...sized(body)]),
]);
