export interface Claim {
  /** The folder of the claim; in the temporary directory when the file system cannot hold sockets. */
  readonly folder: string;
  release(): void;
}

export interface TakeOptions {
  signal?: AbortSignal;
  /** Called once, when another living process holds the claim. */
  onWait?(): void;
}

export function take(folder: string, options?: TakeOptions): Promise<Claim>;
export function tryTake(folder: string): Promise<Claim | null>;
export function hold(folder: string): Promise<Claim>;
export function look(folder: string): Promise<'held' | 'dead' | 'none'>;
export function isOurs(folder: string): boolean;
export function isPrivate(folder: string): boolean;
