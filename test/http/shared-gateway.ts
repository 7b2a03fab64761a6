import { afterAll, beforeAll } from 'vitest';
import { type MockGateway, mockGateway } from './mock-gateway.ts';

/** One gateway with the mock worker for all tests of a file. Its members exist only inside the tests. */
export function sharedGateway(
  config: Parameters<typeof mockGateway>[0] = {},
): Pick<MockGateway, 'url' | 'services' | 'spooled'> {
  let gateway: MockGateway;
  beforeAll(async () => {
    gateway = await mockGateway(config);
  });
  afterAll(() => gateway[Symbol.asyncDispose]());
  return {
    get url() {
      return gateway.url;
    },
    get services() {
      return gateway.services;
    },
    spooled: () => gateway.spooled(),
  };
}
