/** `npm start`, from outside: the main job from one line of a terminal, and what wrong options get. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';

async function start(...args: string[]): Promise<{ status: number; stdout: string; stderr: string; pieces: number }> {
  const child = spawn(process.execPath, ['scripts/start.mjs', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let [stdout, stderr, pieces] = ['', '', 0];
  child.stdout.setEncoding('utf8').on('data', (text) => {
    stdout += text;
    pieces++;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text;
  });
  const [status] = await once(child, 'close');
  return { status, stdout, stderr, pieces };
}

test.each([
  [['--theme', 'pink'], '--theme is one of dark, light, hc-dark, hc-light, not "pink".'],
  [['--open', 'nothing'], '--open is one of walkthrough, playground, attention, model, not "nothing".'],
  [['--width', 'wide'], '--width is a number of pixels from 200 to 10000, not "wide".'],
  [['--prompt', ' '], '--prompt is empty: say what the model should do.'],
])('refuses %j with a sentence', async (args, sentence) => {
  const { status, stdout, stderr } = await start(...args);
  expect(stderr.trim()).toBe(sentence);
  expect(stdout).toBe('');
  expect(status).toBe(1);
});

// A whole start, a load and an answer.
test('--prompt streams the answer of the real extension to stdout, and nothing else', async () => {
  const { status, stdout, stderr, pieces } = await start('--prompt', 'Name the capital of France.');
  expect(stdout, stderr).toContain('Paris');
  expect(stdout.endsWith('\n')).toBe(true);
  expect(pieces).toBeGreaterThan(1);
  expect(status).toBe(0);
}, 300_000);
