import { expect, test } from 'vitest';
import { z } from 'zod';
import { json, operation } from '../../src/http/operation.ts';

const call = { method: 'GET', path: '/x', summary: 'x' } as const;
const schema = z.object({ id: z.string(), deleted: z.literal(true) });

test('an answer that is not what its schema says does not compile', () => {
  const right = operation({
    ...{ ...call, answers: [json(schema, 'x')] },
    handler: async () => ({ id: 'a', deleted: true as const }),
  });
  const wrong = operation({
    ...{ ...call, answers: [json(schema, 'x')] },
    // @ts-expect-error a key is missing, and another has the wrong type: types are checked by `test/run.ts types`
    handler: async () => ({ id: 1 }),
  });
  const sentByItself = operation({
    ...{ ...call, answers: [json(schema, 'x')] },
    // @ts-expect-error only a streaming operation may send by itself
    handler: async (_request, reply) => reply.send({ id: 1 }),
  });
  expect([right, wrong, sentByItself].map(({ path }) => path)).toEqual(['/x', '/x', '/x']);
});
