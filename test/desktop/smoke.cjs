/**
 * The main job in whatever VS Code runs this: activate, open the pages, answer a prompt. Loaded by `npm run test:desktop`
 * into a desktop VS Code, and by test/host/package.test.ts into the one of `npm test`.
 */
const assert = require('node:assert/strict');
const vscode = require('vscode');

const extensionId = 'glasshead.glasshead';

/** @type {Record<string, () => Promise<void>>} */
const tests = {
  'the extension activates': async () => {
    const extension = vscode.extensions.getExtension(extensionId);
    assert(extension, `${extensionId} is not installed`);
    await extension.activate();
    const commands = await vscode.commands.getCommands(true);
    for (const { command } of extension.packageJSON.contributes.commands)
      assert(commands.includes(command), `${command} is not registered`);
  },
  'the playground opens': async () => {
    await vscode.commands.executeCommand('glasshead.openPlayground');
    await until(() => vscode.window.tabGroups.all.some(({ tabs }) => tabs.some(isPlayground)), 'no tab was opened');
    await vscode.commands.executeCommand('workbench.action.closeAllEditors');
  },
  'a prompt is answered': async () => {
    const prompt = 'What is the capital of France? Answer with one word.';
    const answer = await vscode.commands.executeCommand('glasshead.runPrompt', { prompt });
    assert.match(String(answer), /Paris/);
  },
};

/** @param {vscode.Tab} tab */
function isPlayground({ input }) {
  return input instanceof vscode.TabInputWebview && input.viewType.includes('glasshead');
}

/**
 * What the window shows is told to extensions a little later.
 *
 * @param {() => boolean} isSo
 * @param {string} otherwise
 */
async function until(isSo, otherwise) {
  for (const deadline = Date.now() + 60_000; !isSo(); ) {
    assert(Date.now() < deadline, otherwise);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** @returns {Promise<string[]>} the names of what passed; rejects at the first that did not */
async function run() {
  const passed = [];
  for (const [name, test] of Object.entries(tests)) {
    try {
      await test();
    } catch (error) {
      throw new Error(`${name}: ${error instanceof Error ? error.message : error}`, { cause: error });
    }
    passed.push(name);
    console.log(`passed: ${name}`);
  }
  return passed;
}

module.exports = { run };
