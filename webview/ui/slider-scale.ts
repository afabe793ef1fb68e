/** The arithmetic of a slider: positions, steps and keys. Pure. */

export interface SliderScale {
  readonly min: number;
  readonly max: number;
  readonly step: number;
  /** Where the track ends; numbers up to `max` can still be typed. */
  readonly trackMax: number;
}

/** The nearest value on the step grid, inside the range, without binary dust such as 0.30000000000000004. */
export function snap({ min, max, step }: SliderScale, value: number): number {
  const clamped = Math.min(max, Math.max(min, value));
  const snapped = min + Math.round((clamped - min) / step) * step;
  return Number(Math.min(max, snapped).toFixed(decimals(step) + 1));
}

/** A typed number: inside the range, whole where the step is whole, else as precise as it was typed. */
export function accept({ min, max, step }: SliderScale, typed: number): number {
  const inside = Math.min(max, Math.max(min, typed));
  return Number.isInteger(step) ? Math.round(inside) : inside;
}

/** 0..1 along the track. */
export function toFraction({ min, trackMax }: SliderScale, value: number): number {
  return trackMax > min ? Math.min(1, Math.max(0, (value - min) / (trackMax - min))) : 0;
}

export function fromFraction(scale: SliderScale, fraction: number): number {
  return snap(scale, scale.min + Math.min(1, Math.max(0, fraction)) * (scale.trackMax - scale.min));
}

/** What a key of the ARIA slider pattern does to a value; undefined for any other key. */
export function valueAfterKey(scale: SliderScale, value: number, key: string): number | undefined {
  const page = Math.max(scale.step, (scale.trackMax - scale.min) / 10);
  const moves: Record<string, number> = {
    ArrowRight: scale.step,
    ArrowUp: scale.step,
    ArrowLeft: -scale.step,
    ArrowDown: -scale.step,
    PageUp: page,
    PageDown: -page,
  };
  if (key === 'Home') return scale.min;
  if (key === 'End') return scale.trackMax;
  const move = moves[key];
  return move === undefined ? undefined : snap(scale, value + move);
}

function decimals(step: number): number {
  const [mantissa = '', exponent] = step.toString().split('e-');
  return (mantissa.split('.')[1]?.length ?? 0) + Number(exponent ?? 0);
}
