import { Agent } from 'node:http';
import { type AgentOptions, Agent as TlsAgent } from 'node:https';
import type { OnReadOpts, Socket } from 'node:net';

/** Bytes that a connection receives at a time. */
const BLOCK = 64 * 1024;
/** Node's default agents keep idle connections in the same way. */
const IDLE = { keepAlive: true, timeout: 5_000 };

/**
 * Agents whose connections reuse one receive buffer. Node otherwise allocates a buffer for every read, and its HTTP parser
 * copies the bytes, so that each buffer is garbage at once: collecting them took longer than hashing a download.
 */
export function oneBlockAgents(tls: AgentOptions): { http: Agent; https: TlsAgent } {
  return { http: withOneBlock(new Agent(IDLE)), https: withOneBlock(new TlsAgent({ ...IDLE, ...tls })) };
}

function withOneBlock<A extends Agent>(agent: A): A {
  const connect = agent.createConnection.bind(agent);
  agent.createConnection = (options, done) => connect(Object.assign(options, { onread: oneBlock() }), done);
  return agent;
}

function oneBlock(): OnReadOpts {
  let block = Buffer.allocUnsafeSlow(BLOCK);
  return {
    buffer: () => block,
    callback(this: Socket, length: number) {
      const wantsMore = this.push(block.subarray(0, length));
      // The stream has queued the bytes without a copy, so the next read needs a new block.
      if (this.readableLength > 0) block = Buffer.allocUnsafeSlow(BLOCK);
      return wantsMore;
    },
  };
}
