import { Agent } from 'node:http';
import { type AgentOptions, Agent as TlsAgent } from 'node:https';
import type { OnReadOpts, Socket } from 'node:net';

/** Bytes that a connection receives at once. */
const BLOCK = 64 * 1024;
/** As Node's own agents keep connections for the next request. */
const IDLE = { keepAlive: true, timeout: 5_000 };

/**
 * Connections that receive into the same block of memory over and over. Node's HTTP parser copies what it passes on, so the
 * new block that a socket has for every read otherwise is garbage at once, and collecting that takes longer than hashing.
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
      const goesOn = this.push(block.subarray(0, length));
      // Nobody takes them now: the bytes stay where they are, and the next ones go elsewhere.
      if (this.readableLength > 0) block = Buffer.allocUnsafeSlow(BLOCK);
      return goesOn;
    },
  };
}
