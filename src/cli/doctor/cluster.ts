import { clusterEngine, environmentUnsupported } from '../../engine-table.ts';
import type { Finding, Section } from './section.ts';

/** What a cluster needs. Missing parts count as broken only if `cluster.address` is set. */
export const cluster: Section = {
  title: 'Cluster',
  key: 'cluster',
  async examine(services, { config, paths, environment }) {
    const { address } = config.cluster;
    const system = environmentUnsupported(clusterEngine.environment);
    if (address === null) {
      const detail = system ?? 'Models run on this machine: `cluster.address` is not set.';
      return [{ name: 'address', state: 'absent', detail }];
    }
    const [{ clusterToken }, { askStatus }, { whyHeadUnreachable }, { packageFile }] = await Promise.all([
      import('../../cluster/settings.ts'),
      import('../../cluster/node.ts'),
      import('../../cluster/head.ts'),
      import('../../package-files.ts'),
    ]);
    const { installed, packages, reason } = await services.engines.status(clusterEngine.environment);
    const engine: Finding = installed
      ? { name: 'environment', state: 'ok', detail: `Ray ${packages[clusterEngine.id]}` }
      : {
          name: 'environment',
          state: 'broken',
          code: 'engine_not_installed',
          detail: reason ?? 'It is not installed.',
        };
    const { source, present } = clusterToken(config, paths);
    const token: Finding = present
      ? { name: 'token', state: 'ok', detail: source }
      : {
          name: 'token',
          state: 'broken',
          code: 'invalid_config',
          detail: `There is no token in ${source}: copy the token of the head, or set \`cluster.token\`.`,
        };
    const missing = await whyHeadUnreachable(address);
    const head: Finding =
      missing === null
        ? { name: 'head', state: 'ok', detail: `${address} answers` }
        : { name: 'head', state: 'broken', code: 'cluster_unreachable', detail: `${address}: ${missing}` };
    const findings = [engine, token, head];
    if (findings.some(({ state }) => state !== 'ok')) return findings;
    const options = {
      config,
      paths,
      environment,
      engines: services.engines,
      runtimeRoot: packageFile('python-runtime'),
    };
    return [...findings, await nodes(() => askStatus(address, options))];
  },
};

/** Asks the cluster for its nodes, which also checks versions and token: Ray refuses a mismatch. */
async function nodes(ask: () => Promise<{ nodes: { alive: boolean; slots: number }[] }>): Promise<Finding> {
  try {
    const alive = (await ask()).nodes.filter((node) => node.alive);
    const slots = alive.reduce((sum, node) => sum + node.slots, 0);
    const detail = `${alive.length} alive, with ${slots} slots`;
    if (slots > 0) return { name: 'nodes', state: 'ok', detail };
    const remedy = 'start a node with `asrpro cluster start`';
    return { name: 'nodes', state: 'broken', code: 'cluster_full', detail: `${detail}: ${remedy}.` };
  } catch (error) {
    return { name: 'nodes', state: 'broken', code: 'cluster_unreachable', detail: (error as Error).message };
  }
}
