import type { DeviceKind, ModelEngine } from '../engine-table.ts';

export interface Device {
  /** `cpu`, `cuda:0`, `mps`. */
  id: string;
  kind: DeviceKind;
  name: string;
  memoryBytes: number | null;
  usable: boolean;
  reason: string | null;
  /** By engine: the outcome of a real inference, or why none was tried. */
  engines: Record<string, { usable: boolean; computeTypes: string[]; reason: string | null }>;
}

export interface DeviceReport {
  devices: Device[];
  /** By engine: the device that a load takes, the best usable one that `device.prefer` allows, else the CPU. */
  selected: Record<string, string>;
}

export interface Devices {
  report(options?: { refresh?: boolean }): Promise<DeviceReport>;
  /** The device and compute type to load with: the one of `selected`. A preferred GPU that is missing is no error. */
  select(engine: ModelEngine): Promise<{ device: string; computeType: string }>;
  /** The device that was chosen last, without a look at anything; the CPU before the first choice. */
  lastChosen(): string;
}
