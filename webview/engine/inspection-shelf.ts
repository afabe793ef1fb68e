/** Keeps the last few inspections until they are closed or newer ones push them out. */
import { AppError } from '../../src/shared/app-error.ts';

interface Shelved {
  readonly sizeBytes: number;
  dispose(): void;
}

const mostInspections = 4;
const mostBytes = 1.25 * 2 ** 30;

export class InspectionShelf<T extends Shelved> {
  readonly #inspections = new Map<number, T>();
  #nextId = 1;

  get sizeBytes(): number {
    return [...this.#inspections.values()].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  }

  /** Returns its number; the oldest go while there are too many or they are too large together. */
  add(inspection: T): number {
    const id = this.#nextId++;
    this.#inspections.set(id, inspection);
    for (const oldest of this.#inspections.keys()) {
      if (oldest === id || (this.#inspections.size <= mostInspections && this.sizeBytes <= mostBytes)) break;
      this.close(oldest);
    }
    return id;
  }

  get(id: number): T {
    const inspection = this.#inspections.get(id);
    if (!inspection) throw new AppError('bad-input', 'This inspection is no longer kept. Inspect the text again.');
    return inspection;
  }

  close(id: number): void {
    this.#inspections.get(id)?.dispose();
    this.#inspections.delete(id);
  }
}
