import type { ModelEngine } from '../models/model.ts';

export type DeviceKind = 'cpu' | 'cuda' | 'mps';

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
  /** By engine: the device that `auto` takes. */
  selected: Record<string, string>;
}

export interface Devices {
  report(options?: { refresh?: boolean }): Promise<DeviceReport>;
  /** The device and compute type to load with, from configuration and capability. Throws `device_unavailable`. */
  select(engine: ModelEngine): Promise<{ device: string; computeType: string }>;
}
