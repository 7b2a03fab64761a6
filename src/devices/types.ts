import type { DeviceKind, ModelEngine } from '../engine-table.ts';

export interface Device {
  /** `cpu`, `cuda:0`, `mps`. */
  id: string;
  kind: DeviceKind;
  name: string;
  memoryBytes: number | null;
  usable: boolean;
  reason: string | null;
  /** By engine: the outcome of a test inference, or why none was made. */
  engines: Record<string, { usable: boolean; computeTypes: string[]; reason: string | null }>;
}

export interface DeviceReport {
  devices: Device[];
  /** By engine: the device for the next load, which is the best usable one that `device.prefer` allows, else the CPU. */
  selected: Record<string, string>;
}

export interface Devices {
  report(options?: { refresh?: boolean }): Promise<DeviceReport>;
  /** The device and compute type for a load. A missing preferred GPU is not an error; the CPU is used instead. */
  select(engine: ModelEngine): Promise<{ device: string; computeType: string }>;
  /** The device chosen last, from memory; the CPU before the first choice. */
  lastChosen(): string;
}
