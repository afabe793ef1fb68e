/** Runs other programs: their output kept, and shown when they fail. */
import { spawn } from 'node:child_process';

/**
 * @param {string} command
 * @param {readonly string[]} args
 * @param {import('node:child_process').SpawnOptions & {onLine?: (line: string) => void}} [options] `onLine` sees each
 *   line of the output as it comes.
 * @returns {Promise<string>} what it wrote to stdout
 */
export function runCommand(command, args, { onLine, ...options } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let all = '';
    /** @param {string} text */
    const keep = (text) => {
      all += text;
      for (const line of text.split('\n')) if (line.trim()) onLine?.(line.trim());
    };
    child.stdout?.setEncoding('utf8').on('data', (text) => {
      stdout += text;
      keep(text);
    });
    child.stderr?.setEncoding('utf8').on('data', keep);
    child.once('error', reject);
    child.once('close', (status) => {
      if (status === 0) resolve(stdout);
      else reject(new Error(`"${[command, ...args].join(' ')}" ended with ${status}:\n${all.trim().slice(-2000)}`));
    });
  });
}
