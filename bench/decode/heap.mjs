/** JavaScript memory of a page and its workers, WebAssembly's not counted, by the DevTools protocol. */

/** @typedef {{objectBytes: number, bufferBytes: number}} Heap  JavaScript objects, and array buffers. */

/**
 * After a collection of garbage.
 *
 * @param {import('playwright-core').Page} page
 * @returns {Promise<Heap>}
 */
export async function readHeap(page) {
  const session = await page.context().newCDPSession(page);
  /** @type {string[]} */
  const workers = [];
  /** @type {Map<number, (result: any) => void>} */
  const waiting = new Map();
  session.on('Target.attachedToTarget', ({ sessionId }) => workers.push(sessionId));
  session.on('Target.receivedMessageFromTarget', ({ message }) => {
    const { id, result } = JSON.parse(message);
    waiting.get(id)?.(result);
  });
  let nextId = 1;
  /** @param {string} sessionId @param {string} method */
  const ask = async (sessionId, method) => {
    const id = nextId++;
    const reply = new Promise((resolve) => waiting.set(id, resolve));
    await session.send('Target.sendMessageToTarget', { sessionId, message: JSON.stringify({ id, method }) });
    return reply;
  };
  await session.send('Target.setAutoAttach', { autoAttach: true, waitForDebuggerOnStart: false, flatten: false });
  await session.send('HeapProfiler.collectGarbage');
  const usages = [await session.send('Runtime.getHeapUsage')];
  for (const worker of workers) {
    await ask(worker, 'HeapProfiler.collectGarbage');
    usages.push(await ask(worker, 'Runtime.getHeapUsage'));
  }
  await session.detach();
  return {
    objectBytes: usages.reduce((sum, { usedSize }) => sum + usedSize, 0),
    bufferBytes: usages.reduce((sum, { backingStorageSize }) => sum + backingStorageSize, 0),
  };
}
