import path from 'node:path';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { checkout } from '../setup/checkout.ts';
import { pythonWithTools } from '../setup/python-tools.ts';

/** Parses a file of deploy/ with the YAML package of the engine environment. */
async function documents(file: string) {
  const code = 'import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))))';
  const { stdout } = await execa(await pythonWithTools(), ['-c', code, path.join(checkout, 'deploy', file)]);
  return JSON.parse(stdout);
}

test('docker-compose.yml has a head, two nodes and a gateway, and opens only the gateway, on loopback', async () => {
  const [{ services }] = await documents('docker-compose.yml');
  expect(Object.keys(services)).toEqual(['head', 'node', 'gateway']);
  expect(services.node.deploy.replicas).toBe(2);
  for (const [name, { ports = [], environment, image }] of Object.entries<Record<string, never>>(services)) {
    expect(ports).toEqual(name === 'gateway' ? ['127.0.0.1:8277:8277'] : []);
    expect(environment, name).toHaveProperty('ASRPRO_CLUSTER_TOKEN');
    expect(image).toBe('asrpro');
  }
});

test('kuberay.yaml has a RayService with a token, nodes with one slot, and gateways with only their port open', async () => {
  const [ray, deployment, service, ofNodes, ofGateways] = await documents('kuberay.yaml');
  expect(ray).toMatchObject({ kind: 'RayService', spec: { rayClusterConfig: { authOptions: { mode: 'token' } } } });
  const [nodes] = ray.spec.rayClusterConfig.workerGroupSpecs;
  expect(JSON.parse(JSON.parse(nodes.rayStartParams.resources))).toEqual({ asrpro_slot: 1 });
  const { labels } = deployment.spec.template.metadata;
  expect(deployment.spec.selector.matchLabels).toEqual(labels);
  expect(service.spec.selector).toEqual(labels);
  expect(ofGateways.spec.podSelector.matchLabels).toEqual(labels);
  expect(ofNodes.spec.ingress.every(({ from }: { from?: unknown[] }) => from !== undefined)).toBe(true);
  expect(ofGateways.spec.ingress[0].ports).toEqual([{ port: 8277 }]);
});
