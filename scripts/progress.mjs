/** Progress of long steps on stderr: a line that counts the seconds on a terminal, few plain lines elsewhere. */

/**
 * Runs `task` under a line that says what is going on; a task of less than a second leaves no line.
 *
 * @template T
 * @param {string} message such as "Installing the packages"
 * @param {(report: (detail: string) => void) => Promise<T> | T} task may report where it stands
 * @returns {Promise<T>}
 */
export async function withProgress(message, task) {
  const isTerminal = process.stderr.isTTY === true;
  const startMs = Date.now();
  const seconds = () => Math.round((Date.now() - startMs) / 1000);
  let detail = '';
  let printed = '';
  const show = () => {
    const line = `${message}${detail ? `: ${detail}` : '…'}`;
    if (isTerminal) process.stderr.write(`\r\x1b[K${line} ${seconds()} s`);
    else if (line !== printed || seconds() % 10 === 0) process.stderr.write(`${line} ${seconds()} s\n`);
    printed = line;
  };
  const timer = setInterval(show, 1000);
  try {
    const value = await task((text) => {
      detail = text;
    });
    if (isTerminal) process.stderr.write('\r\x1b[K');
    if (printed) process.stderr.write(`${message}: done in ${seconds()} s\n`);
    return value;
  } catch (error) {
    if (isTerminal) process.stderr.write('\r\x1b[K');
    throw error;
  } finally {
    clearInterval(timer);
  }
}
