import path from 'node:path';

/**
 * Settings of pip and uv for reaching a package index: address, proxy, certificate, credentials, timeouts, cache. Only
 * these are passed on, because others (target, user, prefix, constraint, ...) would redirect or break an installation.
 * Names are without `PIP_` and `UV_`.
 */
const PIP =
  /^(INDEX_URL|PYPI_URL|EXTRA_INDEX_URL|FIND_LINKS|NO_INDEX|TRUSTED_HOST|PROXY|CERT|CLIENT_CERT|(DEFAULT_)?TIMEOUT|(RESUME_)?RETRIES|CACHE_DIR|NO_CACHE_DIR|KEYRING_PROVIDER)$/;
const UV =
  /^((DEFAULT_|EXTRA_)?INDEX(_URL|_STRATEGY|_.+_(USERNAME|PASSWORD))?|FIND_LINKS|NO_INDEX|OFFLINE|NATIVE_TLS|SYSTEM_CERTS|INSECURE_HOST|(HTTP|REQUEST|HTTP_CONNECT)_TIMEOUT|HTTP_RETRIES|KEYRING_PROVIDER|CREDENTIALS_DIR|CACHE_DIR|NO_CACHE|CONCURRENT_DOWNLOADS|(PYTHON|PYPY)_INSTALL_MIRROR|PYTHON_INSTALL_DIR|PYTHON_DOWNLOADS_JSON_URL|PYTHON_CACHE_DIR)$/;

/** pip before 24.2 needs one of these features to trust the system's certificates. */
const FEATURES: Record<string, RegExp> = {
  PIP_USE_FEATURE: /\btruststore\b/,
  PIP_USE_DEPRECATED: /\blegacy-certs\b/,
};

/** Variables of Python, and of tools that point Python to another environment. */
const PYTHON = /^(PYTHON|_PYTHON_|__PYVENV_LAUNCHER__$|VIRTUAL_ENV|CONDA_|SETUPTOOLS_|DISTUTILS_)/;

/** The root folder of the AppImage or snap that started asrpro. Its libraries break other programs. */
const BUNDLES = ['APPDIR', 'SNAP'];
const SEARCH_PATHS = ['PATH', 'LD_LIBRARY_PATH', 'LD_PRELOAD', 'DYLD_LIBRARY_PATH', 'DYLD_INSERT_LIBRARIES'];

/** Python imports neither user packages nor from the current folder, and can print paths that are not valid UTF-8. */
const OWN = { PYTHONNOUSERSITE: '1', PYTHONSAFEPATH: '1', PYTHONIOENCODING: 'utf-8:surrogateescape' };

/**
 * The environment for Python, pip, uv and the worker; no other code decides it. It is the user's without `PYTHON*`
 * variables (an AppImage sets PYTHONHOME for its children), without settings of pip and uv that do not concern the
 * index, and without the bundle's entries in search paths.
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

/** @param name in upper case: on Windows names ignore case, and pip ignores it after `PIP_`. */
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
