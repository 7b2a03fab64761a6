/** One row of the table. Smaller values are better. */
export interface Row {
  name: string;
  value: number;
  target: number;
  unit: string;
  /** The figures behind the value, of both sides where two are compared. */
  detail: string;
}

export const holds = (row: Row): boolean => row.value <= row.target;

export interface Chart {
  title: string;
  unit: string;
  bars: { name: string; value: number }[];
}

export interface Measured {
  rows: Row[];
  charts: Chart[];
  /** Everything that was measured, for the results file. */
  raw: unknown;
}

/** What the measurements share. */
export interface Surroundings {
  /** ASRPRO_HOME with engines and models. */
  home: string;
  /** Python of the core environment. */
  python: string;
  /** Folder of an installed model. */
  modelPath(id: string): string;
  /** Path of the peer's program; null where it could not be installed. */
  agentCli: string | null;
  /** Rounds of a measurement, from its `normal` number. */
  rounds(normal: number): number;
  full: boolean;
}
