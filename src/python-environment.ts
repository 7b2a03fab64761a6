import path from 'node:path';

/**
 * Settings of pip and uv that say how to reach a package index: address, proxy, certificate, credentials, patience, cache.
 * Everything else of theirs (target, user, prefix, constraint, ...) would send an installation elsewhere or make it
 * impossible, so only these are passed on. Names are without `PIP_` and `UV_`.
 */
const PIP =
  /^(INDEX_URL|PYPI_URL|EXTRA_INDEX_URL|FIND_LINKS|NO_INDEX|TRUSTED_HOST|PROXY|CERT|CLIENT_CERT|(DEFAULT_)?TIMEOUT|(RESUME_)?RETRIES|CACHE_DIR|NO_CACHE_DIR|KEYRING_PROVIDER)$/;
const UV =
  /^((DEFAULT_|EXTRA_)?INDEX(_URL|_STRATEGY|_.+_(USERNAME|PASSWORD))?|FIND_LINKS|NO_INDEX|OFFLINE|NATIVE_TLS|SYSTEM_CERTS|INSECURE_HOST|(HTTP|REQUEST|HTTP_CONNECT)_TIMEOUT|HTTP_RETRIES|KEYRING_PROVIDER|CREDENTIALS_DIR|CACHE_DIR|NO_CACHE|CONCURRENT_DOWNLOADS|(PYTHON|PYPY)_INSTALL_MIRROR|PYTHON_INSTALL_DIR|PYTHON_DOWNLOADS_JSON_URL|PYTHON_CACHE_DIR)$/;

/** How pip before 24.2 was told to trust the system's certificates, the only features of these lists that matter here. */
const FEATURES: Record<string, RegExp> = {
  PIP_USE_FEATURE: /\btruststore\b/,
  PIP_USE_DEPRECATED: /\blegacy-certs\b/,
};

/** Variables of Python itself, and of tools that point it to another environment. */
const PYTHON = /^(PYTHON|_PYTHON_|__PYVENV_LAUNCHER__$|VIRTUAL_ENV|CONDA_|SETUPTOOLS_|DISTUTILS_)/;

/** Folder of a bundle that started us, an AppImage or a snap. Its libraries break every other program. */
const BUNDLES = ['APPDIR', 'SNAP'];
const SEARCH_PATHS = ['PATH', 'LD_LIBRARY_PATH', 'LD_PRELOAD', 'DYLD_LIBRARY_PATH', 'DYLD_INSERT_LIBRARIES'];

/** Neither the user's packages nor the folder that we were started in are imported from; paths are printed as they are. */
const OWN = { PYTHONNOUSERSITE: '1', PYTHONSAFEPATH: '1', PYTHONIOENCODING: 'utf-8:surrogateescape' };

/**
 * What Python, pip, uv and the worker see of the user's environment. This is the only place that decides it.
 *
 * Every `PYTHON*` variable is left out (an AppImage sets PYTHONHOME for all that it starts), and so is each setting of pip
 * and uv that does not concern the way to the index. What a bundle put on the paths of libraries and programs goes too.
 */
export function pythonEnvironment(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const result: NodeJS.ProcessEnv = {};
  const bundles = BUNDLES.map((name) => environment[name]).filter((root) => root && path.dirname(root) !== root);
  for (const [name, value] of Object.entries(environment)) {
    if (value === undefined || !isPassedOn(name.toUpperCase(), value)) continue;
    const kept = SEARCH_PATHS.includes(name.toUpperCase()) ? outside(value, bundles as string[]) : value;
    if (kept !== '' || value === '') result[name] = kept;
  }
  return { ...result, ...OWN };
}

/** Windows knows no case, and pip knows none behind its `PIP_`. */
function isPassedOn(name: string, value: string): boolean {
  if (name === 'PYTHON_KEYRING_BACKEND') return true;
  if (PYTHON.test(name)) return false;
  if (name.startsWith('PIP_')) return PIP.test(name.slice(4)) || FEATURES[name]?.test(value) === true;
  if (name.startsWith('UV_')) return UV.test(name.slice(3));
  return true;
}

function outside(value: string, bundles: readonly string[]): string {
  const kept = value.split(path.delimiter).filter((entry) => !bundles.some((root) => isInside(entry, root)));
  return kept.join(path.delimiter);
}

function isInside(entry: string, root: string): boolean {
  const relative = path.relative(root, entry);
  return path.isAbsolute(entry) && !relative.startsWith('..') && !path.isAbsolute(relative);
}
