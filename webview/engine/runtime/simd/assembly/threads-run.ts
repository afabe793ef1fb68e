/** A run on several threads: the first instance announces it, the others wait in `serve` for it. */
import { run as walk } from './interpreter';
import { announce, announcedPlan, announcedRows, announcedState, meet } from './threads';

/** As the interpreter's; returns when all threads have done their parts. Traps when one of them is gone. */
export function run(plan: usize, rows: i32, state: usize): void {
  announce(plan, rows, state);
  walk(plan, rows, state);
  meet();
}

/** What every instance but the first does, until its thread is ended. */
export function serve(): void {
  while (true) {
    meet();
    walk(announcedPlan(), announcedRows(), announcedState());
    meet();
  }
}
