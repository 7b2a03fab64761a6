import type { ProtocolError } from './codec.ts';
import type { GatewayMessage, WorkerMessage } from './messages.ts';

export interface LinkListener {
  message(message: WorkerMessage): void;
  /** The worker sent an invalid frame. The owner must end it. */
  protocolError(error: ProtocolError): void;
}

/** The connection to one worker: ZeroMQ to a process, or function calls to the mock. */
export interface WorkerLink {
  /** Resolves when the message is sent; rejects when no worker is connected. Messages keep their order. */
  send(message: GatewayMessage): Promise<void>;
  /** Sets the only listener. To be called before the worker can send a message. */
  listen(listener: LinkListener): void;
  close(): void;
}
