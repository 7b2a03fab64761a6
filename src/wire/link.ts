import type { ProtocolError } from './codec.ts';
import type { GatewayMessage, WorkerMessage } from './messages.ts';

export interface LinkListener {
  message(message: WorkerMessage): void;
  /** The worker sent an invalid frame. The owner must end it. */
  protocolError(error: ProtocolError): void;
}

/** The way to one worker: ZeroMQ to a process, or a function call to the mock. */
export interface WorkerLink {
  /** Resolves when the message is on its way; rejects when nobody is there to take it. Messages keep their order. */
  send(message: GatewayMessage): Promise<void>;
  /** One listener, set before the worker can speak. */
  listen(listener: LinkListener): void;
  close(): void;
}
