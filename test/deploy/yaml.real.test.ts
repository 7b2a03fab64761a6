import path from 'node:path';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { checkout } from '../setup/checkout.ts';
import { pythonWithTools } from '../setup/python-tools.ts';

/** Parsed by the YAML package that the engine environment has. */
async function documents(file: string) {
  const code = 'import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))))';
  const { stdout } = await execa(await pythonWithTools(), ['-c', code, path.join(checkout, 'deploy', file)]);
  return JSON.parse(stdout);
}

test('docker-compose.yml has a head, two nodes and a gateway, of which the gateway alone is open, on loopback', async () => {
  const [{ services }] = await documents('docker-compose.yml');
  expect(Object.keys(services)).toEqual(['head', 'node', 'gateway']);
  expect(services.node.deploy.replicas).toBe(2);
  for (const [name, { ports = [], environment, image }] of Object.entries<Record<string, never>>(services)) {
    expect(ports).toEqual(name === 'gateway' ? ['127.0.0.1:8277:8277'] : []);
    expect(environment, name).toHaveProperty('ASRPRO_CLUSTER_TOKEN');
    expect(image).toBe('asrpro');
  }
});

test('kuberay.yaml is a RayService with token, nodes with a slot, and gateways without one', async () => {
  const [service, gateway, policy] = await documents('kuberay.yaml');
  expect(service).toMatchObject({ kind: 'RayService', spec: { rayClusterConfig: { authOptions: { mode: 'token' } } } });
  const [nodes, gateways] = service.spec.rayClusterConfig.workerGroupSpecs;
  expect(JSON.parse(JSON.parse(nodes.rayStartParams.resources))).toEqual({ asrpro_slot: 1 });
  expect(gateways.rayStartParams).not.toHaveProperty('resources');
  expect(gateways.template.metadata.labels).toEqual(gateway.spec.selector);
  expect(policy.kind).toBe('NetworkPolicy');
});
