/**
 * Which part of a step an instance computes when several threads walk through a plan, and where they wait for each
 * other. In builds without threads all of this is constant and leaves no code.
 */

/** Of this instance: 0 is the one that JavaScript calls. */
@external('env', 'threadIndex')
declare const threadIndex: i32;

@external('env', 'threadCount')
declare const threadCount: i32;

@external('env', 'threadOffset')
declare const threadOffset: usize;

@external('env', 'threadControl')
declare const threadControl: usize;

// What lies at `threadControl` (docs/simd-runtime.md), zeroed before the first instance starts. What all threads write is
// in another line of the caches than what they wait for.
const arrivedAt: usize = 0;
const meetingAt: usize = 64;
const sleepersAt: usize = 68;
const failedAt: usize = 72;
const planAt: usize = 128;
const rowsAt: usize = 132;
const stateAt: usize = 136;

/** Some 200 microseconds: to sleep and be woken 400 times a token takes longer than the token itself. */
const spins = 60_000;
/** A thread that does not come within this time 4 times over is taken for dead. */
const patienceNs: i64 = 2_500_000_000;
const mostPatience = 4;

/** To be added to the place of a buffer that each instance needs for itself: instances share one memory. */
export const ownOffset: usize = ASC_FEATURE_THREADS ? threadOffset : 0;

/** The part of `memory` that is this instance's, of as many parts of `sizeBytes` as there are threads. */
@inline
export function partOf(memory: usize, sizeBytes: usize): usize {
  return ASC_FEATURE_THREADS ? memory + <usize>threadIndex * sizeBytes : memory;
}

/** Of `count` equal pieces of work, the first that is this instance's. */
@inline
export function firstOf(count: i32): i32 {
  return ASC_FEATURE_THREADS ? (count * threadIndex + threadCount - 1) / threadCount : 0;
}

/** Of `count` equal pieces of work, the first that is not this instance's any more. */
@inline
export function endOf(count: i32): i32 {
  return ASC_FEATURE_THREADS ? (count * (threadIndex + 1) + threadCount - 1) / threadCount : count;
}

/** What is done once is done by the instance that JavaScript calls. */
@inline
export function isFirst(): bool {
  return ASC_FEATURE_THREADS ? threadIndex == 0 : true;
}

@inline
export function threads(): i32 {
  return ASC_FEATURE_THREADS ? threadCount : 1;
}

/** Returns when all threads are here: what they have written is then to be read. Traps when one does not come. */
@inline
export function meet(): void {
  if (ASC_FEATURE_THREADS) waitForAll();
}

function waitForAll(): void {
  const meeting = atomic.load<i32>(threadControl, meetingAt);
  if (atomic.add<i32>(threadControl, 1, arrivedAt) == threadCount - 1) {
    atomic.store<i32>(threadControl, 0, arrivedAt);
    atomic.add<i32>(threadControl, 1, meetingAt);
    if (atomic.load<i32>(threadControl, sleepersAt)) atomic.notify(threadControl + meetingAt, -1);
    return;
  }
  for (let i = 0; i < spins; i++) if (atomic.load<i32>(threadControl, meetingAt) != meeting) return;
  sleep(meeting);
}

function sleep(meeting: i32): void {
  let late = 0;
  atomic.add<i32>(threadControl, 1, sleepersAt);
  while (atomic.load<i32>(threadControl, meetingAt) == meeting) {
    if (atomic.load<i32>(threadControl, failedAt)) unreachable();
    // The others are ended from outside: they may sleep as long as nobody asks for anything.
    const answer = atomic.wait<i32>(threadControl + meetingAt, meeting, isFirst() ? patienceNs : -1);
    if (answer == 2 && ++late == mostPatience) unreachable();
  }
  atomic.sub<i32>(threadControl, 1, sleepersAt);
}

/** Gives all threads what they are to walk through, as `run` of the interpreter takes it. */
export function announce(plan: usize, rows: i32, state: usize): void {
  store<usize>(threadControl, plan, planAt);
  store<i32>(threadControl, rows, rowsAt);
  store<usize>(threadControl, state, stateAt);
  meet();
}

@inline
export function announcedPlan(): usize {
  return load<usize>(threadControl, planAt);
}

@inline
export function announcedRows(): i32 {
  return load<i32>(threadControl, rowsAt);
}

@inline
export function announcedState(): usize {
  return load<usize>(threadControl, stateAt);
}
